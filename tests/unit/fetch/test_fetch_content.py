"""Nothing wrong gets through: what arrives is what was asked for, or the attempt ends with the reason."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from artifact_sync.core.model import Artifact, Item, Job
from artifact_sync.errors import (
    ArtifactSyncError,
    Corrupt,
    CredentialRefused,
    Denied,
    NotAnArchive,
    NotFound,
    Outcome,
    TooLarge,
    Transient,
)
from tests.unit.fetch.fetch_doubles import KIB, NOW, URL, Answer, Bench, archive, entity, queued
from tests.zips import craft, real_zip, text

ZIP = real_zip({"a.bin": bytes(range(256)) * 2000, "dir/": b"", "b.txt": b"text" * 999}, compression=0)
SHA = hashlib.sha256(ZIP).hexdigest()
FILE = Item(kind="file", name="files/out.json", path="out.json")
PAGE = Item(kind="file", name="files/report.html", path="report.html")
LOST = Transient("GET /projects/1/jobs/7/artifacts", "connection lost")
TRACE = Item(kind="trace", name="job.log")


async def test_an_archive_is_staged_with_its_identity(tmp_path):
    """Size, sha256, ETag and source are what came, and the part holds those bytes."""
    bench = Bench(tmp_path, entity(ZIP))

    (staged,) = await bench.fetcher.fetch(queued(archive(len(ZIP))))

    assert (staged.name, staged.part) == ("artifacts.zip", "3-0.part")
    assert (staged.size, staged.sha256, staged.etag, staged.source) == (len(ZIP), SHA, '"v1"', URL)
    assert (tmp_path / staged.part).read_bytes() == ZIP
    assert bench.remote.asked == [(0, None, None)]


@pytest.mark.parametrize("announced", [len(ZIP), None])
@pytest.mark.parametrize("total", [len(ZIP), None])
@pytest.mark.parametrize("etag", [f'"{SHA}"', '"d41d8cd98f00b204e9800998ecf8427e-3"', None])
async def test_a_good_archive_passes_whatever_the_server_tells_about_it(tmp_path, announced, total, etag):
    """Announced size, Content-Length and ETag may each be missing; the archive's own structure remains."""
    bench = Bench(tmp_path, Answer([ZIP[:100_000], ZIP[100_000:]], total=total, etag=etag))

    (staged,) = await bench.fetcher.fetch(queued(archive(announced)))

    assert staged.sha256 == SHA


LOGIN = b'<!DOCTYPE html><html><form class="new_user" action="/users/sign_in">' + b"." * 3000
XML = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>'


@pytest.mark.parametrize(
    ("answer", "size", "kind", "words"),
    [
        (Answer([LOGIN], total=len(LOGIN)), len(ZIP), NotAnArchive, "got a login page"),
        (Answer([LOGIN], total=len(LOGIN)), 10, NotAnArchive, "got a login page"),
        (Answer([b"\n<html>maintenance"]), None, NotAnArchive, "got an HTML page"),
        (Answer([b'{"message":"404 Not found"}'], total=27), len(ZIP), NotAnArchive, "got JSON"),
        (Answer([XML]), None, NotAnArchive, "got an XML document"),
        (Answer([b"\x1f\x8b\x08\0", bytes(900)]), len(ZIP), NotAnArchive, "got gzip data"),
        (Answer([b"\x28\xb5\x2f\xfd" + bytes(900)]), len(ZIP), NotAnArchive, "got zstandard data"),
        (Answer([b"P", b"L", b"A", b"IN"]), None, NotAnArchive, "got plain text"),
        (Answer([b"\x7fELF" + bytes(900)]), None, NotAnArchive, "got data of another format"),
        (Answer([], total=0), len(ZIP), NotAnArchive, "got nothing"),
        (Answer([]), None, NotAnArchive, "got nothing"),
        (entity(ZIP), len(ZIP) + 1, Corrupt, f"announced {len(ZIP) + 1} bytes, the answer has {len(ZIP)}"),
        (entity(ZIP), len(ZIP) - 1, Corrupt, f"announced {len(ZIP) - 1} bytes, the answer has {len(ZIP)}"),
        (entity(ZIP, total=None), len(ZIP) - 1, Corrupt, f"announced {len(ZIP) - 1} bytes"),
        (entity(ZIP, total=None), len(ZIP) + 1, Corrupt, f"announced {len(ZIP) + 1} bytes"),
        (Answer([ZIP[:-1]]), None, Corrupt, "does not end where the file ends"),
        (Answer([ZIP[:-500]]), None, Corrupt, "no end record"),
        (Answer([ZIP + b"\r\n"]), None, Corrupt, "does not end where the file ends"),
        (Answer([ZIP[:-1]], total=len(ZIP)), None, Transient, f"{len(ZIP) - 1} bytes of {len(ZIP)} came"),
        (Answer([ZIP[:5000] + b"!" + ZIP[5001:]]), len(ZIP), Corrupt, "has CRC"),
        (entity(craft([text("a"), text("b", header_offset=0)])), None, Corrupt, "shares bytes"),
        (entity(ZIP, etag=f'"{"0" * 64}"'), None, Corrupt, f"sha256 is {SHA}, its ETag says 000"),
    ],
)
async def test_a_wrong_archive_is_refused_and_leaves_nothing(tmp_path, answer, size, kind, words):
    """The class says what it is, the text what was expected and what came."""
    bench = Bench(tmp_path, answer)

    with pytest.raises(kind, match=words) as caught:
        await bench.fetcher.fetch(queued(archive(size)))

    assert type(caught.value) is kind
    assert caught.value.hint
    assert bench.staging == {}
    assert not any(record.size for record in bench.state.records.values())


async def test_members_that_cannot_be_tested_do_not_keep_an_archive_out(tmp_path):
    """Encrypted members and other methods are mirrored after a check of their place."""
    data = craft([text("a"), text("locked", flags=1), text("zstd", method=93)])

    (staged,) = await Bench(tmp_path, entity(data)).fetcher.fetch(queued(archive(len(data))))

    assert staged.size == len(data)


async def test_an_archive_announced_empty_may_be_empty(tmp_path):
    """Nothing was announced, nothing came."""
    (staged,) = await Bench(tmp_path, Answer([], total=0)).fetcher.fetch(queued(archive(0)))

    assert staged.size == 0


@pytest.mark.parametrize(
    ("answer", "announced", "requests"),
    [(entity(ZIP), len(ZIP), 0), (entity(ZIP), None, 1), (entity(ZIP, total=None), None, 1)],
)
async def test_more_than_the_rule_allows_is_too_large(tmp_path, answer, announced, requests):
    """Known before the request, by Content-Length, or while counting; never more is written than allowed."""
    bench = Bench(tmp_path, answer)

    with pytest.raises(TooLarge, match="max_size is 200000"):
        await bench.fetcher.fetch(queued(archive(announced), max_size=200_000))

    assert len(bench.remote.asked) == requests
    assert sum(bench.store.appended) <= 200_000
    assert bench.staging == {}


async def test_an_endless_answer_ends_at_the_announced_size(tmp_path):
    """A gzip bomb behind a zip's first bytes fills no disk."""
    endless = Answer([ZIP[: 64 * KIB]] * 10_000)
    bench = Bench(tmp_path, endless)

    with pytest.raises(Corrupt):
        await bench.fetcher.fetch(queued(archive(len(ZIP))))

    assert sum(bench.store.appended) <= len(ZIP)


@pytest.mark.parametrize("total", [14, None])
async def test_a_file_is_taken_as_it_comes(tmp_path, total):
    """Nothing is known of a file but its length, where the server tells it."""
    bench = Bench(tmp_path, Answer([b'{"not": "zip"}'], total=total, content_type="application/json"))

    (staged,) = await bench.fetcher.fetch(queued(FILE))

    assert (staged.name, staged.size) == ("files/out.json", 14)


@pytest.mark.parametrize(
    ("item", "content_type", "outcome"),
    [
        (FILE, "text/html; charset=utf-8", Outcome.CORRUPT),
        (TRACE, "text/html", Outcome.CORRUPT),
        (PAGE, "text/html", None),
        (FILE, "application/json", None),
        (TRACE, "text/plain", None),
    ],
)
async def test_a_login_page_is_no_file_and_no_log(tmp_path, item, content_type, outcome):
    """An HTML page is taken only where an HTML page was asked for, or where it does not call itself one."""
    bench = Bench(tmp_path, *(Answer([LOGIN], content_type=content_type) for _ in range(2)))
    got = None
    try:
        await bench.fetcher.fetch(queued(item))
    except ArtifactSyncError as error:
        got = error.outcome

    assert got == outcome


@pytest.mark.parametrize("size", [245, 255])
async def test_a_listed_log_has_the_size_that_is_listed(tmp_path, size):
    """Before it is archived GitLab gives out what is written so far: that is asked for again later."""
    bench = Bench(tmp_path, *(Answer([b"line\n" * 50], total=250) for _ in range(2)))

    with pytest.raises(Transient, match=f"a log of 250 bytes, though the job lists one of {size} bytes"):
        await bench.fetcher.fetch(queued(Item(kind="trace", name="job.log", size=size)))
    (staged,) = await bench.fetcher.fetch(queued(Item(kind="trace", name="job.log", size=250)))

    assert staged.size == 250
    assert len(bench.remote.asked) == 2


async def test_a_log_that_is_not_listed_is_complete_when_two_answers_agree(tmp_path):
    """Until then it is still written, also where the size stays the same."""
    answers = [b"one\n", b"one\ntwo\n", b"one\ntwo\n", b"one\nTWO\n", b"one\nTWO\n", b"one\nTWO\n"]
    bench = Bench(tmp_path, *(Answer([text], total=len(text)) for text in answers))

    for _ in range(2):
        with pytest.raises(Transient, match="a log that is still written"):
            await bench.fetcher.fetch(queued(TRACE))
        assert bench.staging == {}
    (staged,) = await bench.fetcher.fetch(queued(TRACE))

    assert (tmp_path / staged.part).read_bytes() == answers[-1]


async def test_an_empty_log_is_published_only_where_none_is_listed(tmp_path):
    """GitLab answers 200 with nothing for no log and for one it cannot read just now."""
    bench = Bench(tmp_path, Answer([], total=0), Answer([], total=0))
    listed = (Artifact(file_type="trace", size=1200),)

    (staged,) = await bench.fetcher.fetch(queued(TRACE))
    with pytest.raises(Transient, match="an empty log, though the job lists one of 1200 bytes"):
        await bench.fetcher.fetch(queued(TRACE, artifacts=listed))

    assert staged.size == 0
    assert bench.staging == {}


def job(**changes) -> Job:
    """The job as GitLab tells it now."""
    return Job(id=7, name="build", status="success", **changes)


TOKEN, OLD_TOKEN = "glpat-AbCdEfGhIjKlMnOpQrSt", "Ab3dEf6hIj9lMn2pQr5t"


@pytest.mark.parametrize("token", [TOKEN, OLD_TOKEN])
@pytest.mark.parametrize("item", [archive(), FILE], ids=["archive", "file"])
async def test_a_server_that_repeats_the_token_does_not_get_it_told(tmp_path, item, token):
    """Neither its page nor the page's type is in the error."""
    page = Answer([f"<html>no such token: {token}".encode()], content_type=f"text/html; for={token}")
    other = Answer([f"Private-Token: {token}".encode()], content_type=f"text/{token}")

    for answer in (page, other) if item.kind == "archive" else (page,):
        with pytest.raises(ArtifactSyncError) as caught:
            await Bench(tmp_path, answer).fetcher.fetch(queued(item))
        assert token.lower() not in f"{caught.value} {caught.value.hint}".lower()


@pytest.mark.parametrize("token", [TOKEN, OLD_TOKEN])
async def test_a_repeated_token_is_in_no_identity(tmp_path, token):
    """As an ETag, or in the address that it redirected to: nothing of it reaches the state or the manifest."""
    source = f"https://cdn.example.com/{token}/4e/artifacts.zip"
    answers = [
        entity(ZIP, f'"{token}"', source=source, cut=200_000, broken=LOST),
        entity(ZIP, f'"{token}"', source=source),
    ]
    bench = Bench(tmp_path, *answers, checkpoint=100_000)

    (staged,) = await bench.fetcher.fetch(queued(archive(len(ZIP))))

    assert (staged.sha256, staged.etag) == (SHA, None)
    assert staged.source == "https://cdn.example.com/.../4e/artifacts.zip"
    # It is good enough to go on at once where the connection broke, but not to be written down.
    assert bench.remote.asked[1] == (200_000, f'"{token}"', len(ZIP))
    assert token not in repr(bench.state.records)


async def test_a_part_whose_etag_may_not_be_kept_is_not_left(tmp_path):
    """Without it nobody could continue the part."""
    bench = Bench(tmp_path, entity(ZIP, f'"{TOKEN}"', cut=200_000, broken=LOST), LOST)

    with pytest.raises(Transient):
        await bench.fetcher.fetch(queued(archive(len(ZIP))))

    assert bench.staging == {}
    assert not any(record.size for record in bench.state.records.values())


LISTED = (Artifact(file_type="archive", size=5),)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
GONE = NotFound("GET /projects/1/jobs/7/artifacts", "404 Not Found", status=404)


@pytest.mark.parametrize(
    ("now", "outcome", "words"),
    [
        (job(artifacts=LISTED, artifacts_expire_at=LATER), Outcome.RETRY_LATER, "still lists its archive"),
        (job(artifacts=LISTED), Outcome.RETRY_LATER, "still lists its archive"),
        (job(artifacts=LISTED, artifacts_expire_at=EARLIER), Outcome.GONE, "expired at 2024-05-01T11:00"),
        (job(artifacts=(), artifacts_expire_at=LATER), Outcome.GONE, "lists no archive any more"),
        (job(artifacts=(), erased_at=EARLIER), Outcome.GONE, "was erased at"),
        (NotFound("GET /projects/1/jobs/7", "404"), Outcome.RETRY_LATER, "the job itself is not found"),
        (Denied("GET /projects/1/jobs/7", "403"), Outcome.REFUSED, "403"),
        (CredentialRefused("GET /projects/1/jobs/7", "401"), Outcome.CREDENTIAL, "401"),
        (Transient("GET /projects/1/jobs/7", "502"), Outcome.RETRY_LATER, "502"),
    ],
)
async def test_a_404_is_explained_by_the_job(tmp_path, now, outcome, words):
    """Gone for good only when the job says so; what cannot be told is tried again."""
    bench = Bench(tmp_path, GONE, job=now)

    with pytest.raises(ArtifactSyncError, match=words) as caught:
        await bench.fetcher.fetch(queued(archive(5)))

    assert caught.value.outcome == outcome
    assert bench.staging == {}


async def test_a_missing_file_is_gone(tmp_path):
    """The job lists its archive, so it is the path that is wrong, and the hint names the rule."""
    bench = Bench(tmp_path, GONE, job=job(artifacts=LISTED))
    with pytest.raises(NotFound, match="the job's archive has no file") as caught:
        await bench.fetcher.fetch(queued(FILE))
    assert "fetch.files" in caught.value.hint
