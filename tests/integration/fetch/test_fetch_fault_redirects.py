"""Redirects of downloads, right and wrong: the bytes arrive or the transfer ends as named, and no stranger sees the token."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from artifact_sync.errors import Outcome
from tests.integration.fetch.fault_bench import ATTEMPTS, SECRET, SUBJECTS, ZIP, Bench, opened
from tests.integration.fetch.fault_rows import HTML, XML
from tests.integration.fetch.raw_server import Request, Script, Step, head, script, whole

PUBLISHED, RETRY, REFUSED = Outcome.PUBLISHED, Outcome.RETRY_LATER, Outcome.REFUSED
ARCHIVE = SUBJECTS["archive"]
SIGNED = "X-Amz-Signature=5a16ed5a16ed"
SIZE, AT = len(ZIP), 20_000
TAG = 'ETag: "v1"'
Location = Callable[[Bench], str]


def moved(location: str, *headers: str, status: str = "302 Found") -> Script:
    """A redirect."""
    return script([whole(b"moved", f"Location: {location}", *headers, status=status)])


def stored(bench: Bench) -> str:
    """A signed URL of the storage, which is another port."""
    return f"{bench.storage.url}/bucket/archive?{SIGNED}"


def by_name(bench: Bench) -> str:
    """The same under another host name."""
    return stored(bench).replace("127.0.0.1", "localhost")


def assert_unseen(bench: Bench) -> None:
    """The storage was shown no credential, and what is kept and told holds neither the token nor a signature."""
    for request in bench.storage.requests:
        assert not {"private-token", "job-token", "authorization", "cookie"} & request.headers.keys()
        assert SECRET not in repr(request)
    assert bench.tells(SECRET) == bench.tells("5a16ed") == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("location", [stored, by_name], ids=["another port", "another host"])
async def test_the_storage_sends_the_archive_and_sees_no_token(tmp_path, location, status):
    """Other HTTP clients carry PRIVATE-TOKEN to wherever a redirect leads."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(location(bench), "Set-Cookie: _gitlab_session=c00c1e; Path=/", status=status))
        bench.store(script([whole(ZIP)]))
        await bench.ends(PUBLISHED)

        assert bench.gitlab.requests[0].headers["private-token"] == SECRET
        assert len(bench.storage.requests) == 1
        assert_unseen(bench)


async def test_gitlabs_own_address_still_sees_the_token(tmp_path):
    """A moved project is redirected to its numeric id, on the same origin."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved("/api/v4/projects/2/jobs/7/artifacts", status="301 Moved Permanently"), script([whole(ZIP)]))
        await bench.ends(PUBLISHED)

        assert [seen.headers.get("private-token") for seen in bench.gitlab.requests] == [SECRET, SECRET]


async def test_behind_a_stranger_nobody_sees_the_token(tmp_path):
    """Not even GitLab, whose address a stranger would choose; and no cookie of the way goes along."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(stored(bench)), script([whole(ZIP)]))
        back = f"{bench.gitlab.url}/api/v4/projects/9/jobs/9/artifacts"
        bench.store(moved(back, "Set-Cookie: a=c00c1e; Path=/"))
        await bench.ends(PUBLISHED)

        behind = bench.gitlab.requests[1]
        assert not {"private-token", "cookie"} & behind.headers.keys()
        assert_unseen(bench)


async def test_a_range_goes_along_and_gitlab_is_asked_anew(tmp_path):
    """Signed URLs live for minutes: each connection asks GitLab first, and the storage gets Range and If-Range."""

    def answer(request: Request) -> list[Step]:
        if not request.begins:
            return [head("200 OK", f"Content-Length: {SIZE}", TAG), ZIP[:AT], 0.1]
        line = f"Content-Range: bytes {request.begins}-{SIZE - 1}/{SIZE}"
        return [whole(ZIP[request.begins :], line, TAG, status="206 Partial Content")]

    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(stored(bench)))
        bench.store(answer)
        await bench.ends(PUBLISHED)

        assert bench.begins == [0, AT]
        asked = [(seen.headers.get("range"), seen.headers.get("if-range")) for seen in bench.storage.requests]
        assert asked == [(None, None), (f"bytes={AT}-", '"v1"')]
        assert_unseen(bench)


REFUSALS: dict[str, Location] = {
    "user name and password": lambda bench: stored(bench).replace("://", "://user:word@"),
    "user name": lambda bench: stored(bench).replace("://", "://user@"),
    "file": lambda _: f"file:///etc/passwd?{SIGNED}",
    "ftp": lambda _: f"ftp://127.0.0.1/archive?{SIGNED}",
    "no URL": lambda _: f"http://[::1/archive?{SIGNED}",
    "a port that is none": lambda _: f"http://127.0.0.1:port/archive?{SIGNED}",
    "a port too large": lambda _: f"http://127.0.0.1:99999/archive?{SIGNED}",
    "nowhere": lambda _: "",
    "metadata": lambda _: f"http://169.254.169.254/latest/meta-data/?{SIGNED}",
    "link-local": lambda _: f"http://[fe80::1]/archive?{SIGNED}",
    "metadata in IPv6": lambda _: f"http://[::ffff:169.254.169.254]/?{SIGNED}",
}


@pytest.mark.parametrize("name", list(REFUSALS))
async def test_a_redirect_that_is_never_followed_is_refused(tmp_path, name):
    """With an error that shows no signature."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(REFUSALS[name](bench)))
        bench.store(script([whole(ZIP)]))
        await bench.ends(REFUSED)

        assert bench.storage.requests == []
        assert_unseen(bench)


async def test_no_location_at_all_is_refused(tmp_path):
    """A 302 alone."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(script([whole(b"", status="302 Found")]))
        await bench.ends(REFUSED)


async def test_from_https_to_http_is_refused(tmp_path):
    """What was encrypted stays so."""
    async with opened(tmp_path, ARCHIVE, tls=True) as bench:
        await bench.want(7)
        bench.answer(moved(stored(bench)))
        bench.store(script([whole(ZIP)]))
        await bench.ends(REFUSED)

        assert bench.storage.requests == []
        assert_unseen(bench)


@pytest.mark.parametrize(
    ("hosts", "outcome"), [(("storage.example.com",), REFUSED), (("127.0.0.1",), PUBLISHED)], ids=["others", "this one"]
)
async def test_only_listed_hosts_are_followed_where_any_are_listed(tmp_path, hosts, outcome):
    """gitlab.redirect_hosts."""
    async with opened(tmp_path, ARCHIVE, redirect_hosts=hosts) as bench:
        await bench.want(7)
        bench.answer(moved(stored(bench)))
        bench.store(script([whole(ZIP)]))
        await bench.ends(outcome)

        assert len(bench.storage.requests) == (outcome is PUBLISHED)


@pytest.mark.parametrize("start", [stored, lambda bench: bench.gitlab.url], ids=["the storage", "GitLab"])
async def test_a_loop_ends_after_five_hops(tmp_path, start):
    """Wherever it turns."""
    async with opened(tmp_path, ARCHIVE, engine={"attempts": 1}) as bench:
        await bench.want(7)
        bench.answer(moved(start(bench)))
        bench.store(moved(stored(bench)))
        assert await bench.run() == [REFUSED]

        assert len(bench.gitlab.requests) + len(bench.storage.requests) == 6
        assert bench.visible == []
        assert_unseen(bench)


@pytest.mark.parametrize(
    "path", ["/users/sign_in", "/users/sign_in?redirect=1", "http://outside.example.com/users/sign_in"]
)
async def test_the_sign_in_page_ends_the_token(tmp_path, path):
    """GitLab sends there who is nobody to it."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(path))
        await bench.ends(Outcome.CREDENTIAL)


async def test_a_signed_url_of_12_kib_is_followed(tmp_path):
    """Longer than aiohttp's own limit of a header's value."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(stored(bench) + "&X-Amz-Security-Token=" + "a" * 12_288))
        bench.store(script([whole(ZIP)]))
        await bench.ends(PUBLISHED)

        assert_unseen(bench)


def failing(status: str, body: bytes = XML) -> Script:
    """An error of the storage."""
    return script([whole(body, "Content-Type: application/xml", status=status)])


STORAGES: dict[str, tuple[Script, Outcome]] = {
    "expired": (failing("403 Forbidden"), RETRY),
    "401": (failing("401 Unauthorized"), RETRY),
    "two credentials": (failing("400 Bad Request"), REFUSED),
    "no such key": (failing("404 Not Found"), RETRY),
    "500": (failing("500 Internal Server Error"), RETRY),
    "slow down": (failing("503 Slow Down"), RETRY),
    "an error with 200": (failing("200 OK"), Outcome.NOT_AN_ARCHIVE),
    "a page with 200": (failing("200 OK", HTML), Outcome.NOT_AN_ARCHIVE),
    "a part that nobody asked for": (failing("206 Partial Content", ZIP), REFUSED),
    "nothing": (script([]), RETRY),
}


@pytest.mark.parametrize("name", list(STORAGES))
async def test_a_storage_that_refuses_ends_as_named(tmp_path, name):
    """Its 401 and 403 tell about the signed URL, not about the token; GitLab is asked anew for each attempt."""
    storage, outcome = STORAGES[name]
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(stored(bench)))
        bench.store(storage)
        await bench.ends(outcome)

        asked = [request for request in bench.asked if request.target.endswith("/artifacts")]
        assert [request.headers["private-token"] for request in asked] == [SECRET] * ATTEMPTS
        assert len(bench.storage.requests) >= ATTEMPTS
        assert_unseen(bench)


async def test_an_expired_url_is_replaced_by_a_new_one(tmp_path):
    """The next attempt gets it from GitLab."""

    def answer(request: Request) -> list[Step]:
        return [whole(ZIP)] if "fresh" in request.target else [whole(XML, status="403 Forbidden")]

    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(moved(stored(bench)), moved(stored(bench) + "&fresh=1"))
        bench.store(answer)
        assert await bench.run() == [RETRY, PUBLISHED]

        assert bench.published == bench.right(7)
        assert_unseen(bench)
