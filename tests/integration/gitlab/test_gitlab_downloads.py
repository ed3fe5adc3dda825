"""Downloads over HTTP: no credential to strangers, no bytes of another entity behind those that are here."""

from __future__ import annotations

import hashlib

import anyio
import pytest

from artifact_sync.core.model import Item
from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, Transient
from artifact_sync.gitlab import TokenKind
from artifact_sync.ports import Source
from artifact_sync.simulator import Delivery, JobSpec, SimToken, World, faults
from artifact_sync.simulator.faults import Fault
from tests.integration.fetch.raw_server import RawServer, Reset, Stay, Step, chunk, head, raw_server, script, whole
from tests.integration.gitlab.gitlab_harness import ARCHIVE, TRACE, client_of, downloaded, said, scene_of, token

SECRET = "glpat-canary-secret-0123456789"
SOURCE = Source(project_id=1, job_id=2, item=ARCHIVE)
LOG = Source(project_id=1, job_id=2, item=TRACE)
BODY = bytes(range(256)) * 40
TAG = '"strong"'
EXPIRED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
KINDS = [TokenKind.PRIVATE, TokenKind.BEARER, TokenKind.JOB]


def moved(to: str, *headers: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return whole(b"moved", f"Location: {to}", *headers, status=status)


def shown(server: RawServer) -> str:
    """All that a server was told."""
    return repr([(seen.target, seen.headers) for seen in server.requests])


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_the_archive_arrives_by_every_way_of_delivery(delivery):
    """From GitLab's disk, through it, or from the object store."""
    async with scene_of() as scene:
        scene.world.delivery = delivery
        assert await downloaded(scene.client, scene.source) == scene.archive


async def test_what_a_body_says_of_itself():
    """Size, tag, type, and the place without the signature."""
    async with scene_of() as scene:
        async with scene.client.open(scene.source) as body:
            digest = hashlib.sha256(scene.archive).hexdigest()
            assert (body.offset, body.total, body.etag) == (0, len(scene.archive), f'"{digest}"')
            assert body.content_type == "application/octet-stream"
        scene.world.delivery = Delivery.REDIRECT
        async with scene.client.open(scene.source) as body:
            assert body.source.startswith(scene.world.storage_url)
            assert "?" not in body.source


async def test_single_files_and_the_log():
    """A path keeps its slashes and nothing else; the log comes whole."""
    async with scene_of() as scene:
        project, job = scene.project.id, scene.job.id
        assert scene.job.spec.archive is not None
        log = await downloaded(scene.client, Source(project_id=project, job_id=job, item=TRACE))
        assert log == scene.job.trace
    file = Item(kind="file", name="files/x", path="a b/c?d#e%2f/\u00e4.txt")
    async with raw_server(script([whole(b"x")])) as server, client_of(server.url) as client:
        await downloaded(client, Source(project_id=1, job_id=2, item=file))
        (seen,) = server.requests
        assert seen.target == "/api/v4/projects/1/jobs/2/artifacts/a%20b/c%3Fd%23e%252f/%C3%A4.txt"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_object_store_is_not_shown_the_token(kind):
    """Whatever header it is in; the range survives the redirect."""
    async with scene_of(World(token=SECRET), token=token(SECRET, kind)) as scene:
        scene.world.delivery = Delivery.REDIRECT
        if kind is TokenKind.JOB:
            job = scene.world.start(scene.world.add_pipeline(scene.project, "x", [JobSpec("mirror")]).jobs[0])
            scene.world.add_token(SimToken(value=SECRET, kind="job", job_id=job.id))
        async with scene.client.open(scene.source) as body:
            etag, total = body.etag, body.total
        rest = await downloaded(scene.client, scene.source, offset=100, etag=etag, total=total)
        assert rest == scene.archive[100:]
        strangers = [dict(seen.headers) for seen in scene.world.requests if seen.origin == "storage"]
        assert len(strangers) == 2
        assert SECRET not in repr(strangers)
        names = {name.lower() for headers in strangers for name in headers}
        assert not names & {"private-token", "job-token", "authorization", "cookie"}
        assert (strangers[1]["Range"], strangers[1]["If-Range"]) == ("bytes=100-", etag)
        assert all(SECRET in repr(dict(seen.headers)) for seen in scene.world.requests if seen.origin == "gitlab")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_no_hop_behind_a_stranger_is_shown_the_token(kind, status):
    """Another port is a stranger, and so is GitLab itself when a stranger leads back to it."""
    async with raw_server(script([b""])) as gitlab, raw_server(script([b""])) as store:
        cookie = "Set-Cookie: session=SECRET; Path=/"
        gitlab.scripts = [
            script([moved("/api/v4/here", cookie, status=status)]),
            script([moved(f"{store.url}/there?sig=1", cookie, status=status)]),
            script([whole(BODY)]),
        ]
        store.scripts = [script([moved(f"{gitlab.url}/api/v4/back", status=status)])]
        async with client_of(gitlab.url, token=token(SECRET, kind)) as client:
            assert await downloaded(client, SOURCE) == BODY
        assert SECRET not in shown(store)
        assert [SECRET in repr(seen.headers) for seen in gitlab.requests] == [True, True, False]
        assert not any("cookie" in seen.headers for seen in gitlab.requests + store.requests)


@pytest.mark.parametrize(
    "location",
    [
        "https://user:SIGNED@127.0.0.1/x",
        "ftp://127.0.0.1/x?sig=SIGNED",
        "http://169.254.169.254/latest/meta-data?sig=SIGNED",
        "http://[bad/x?sig=SIGNED",
        "http://2852039166/x?sig=SIGNED",
        "http://0251.0376.0251.0376/x?sig=SIGNED",
    ],
)
async def test_redirects_that_are_refused(location):
    """Nothing is asked, and the error shows no query."""
    async with raw_server(script([moved(location)])) as server, client_of(server.url) as client:
        with pytest.raises(Refused) as caught:
            await downloaded(client, SOURCE)
        assert "SIGNED" not in said(caught.value)
        assert caught.value.hint
        assert len(server.requests) == 1


async def test_a_host_that_is_not_listed_is_refused():
    """It was not even connected to."""
    async with raw_server(script([whole(BODY)])) as store, raw_server(script([moved(store.url)])) as server:
        async with client_of(server.url, redirect_hosts=("bucket.example.net",)) as client:
            with pytest.raises(Refused, match="does not list"):
                await downloaded(client, SOURCE)
        assert store.requests == []
        async with client_of(server.url, redirect_hosts=("127.0.0.1",)) as client:
            assert await downloaded(client, SOURCE) == BODY


async def test_redirects_without_end():
    """Five are followed."""
    async with raw_server(script([moved("/api/v4/again")])) as server, client_of(server.url) as client:
        with pytest.raises(Refused, match="redirects"):
            await downloaded(client, SOURCE)
        assert len(server.requests) == 6


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [EXPIRED, b"the signature has expired", b""])
async def test_an_expired_url_is_asked_for_anew(status, body):
    """The store's refusal says nothing of the token: GitLab gives another URL."""
    async with scene_of(attempts=2) as scene:
        scene.world.delivery = Delivery.REDIRECT
        answer = faults.Answer(status=status, body=body)
        scene.world.faults.add(Fault(origin="storage", action=answer))
        assert await downloaded(scene.client, scene.source) == scene.archive
        assert scene.statuses("/artifacts") == [302, 302]
        await scene.client.version()


async def test_a_url_that_is_always_expired():
    """As with a store whose clock is wrong: passing trouble, and no word of the signature."""
    async with scene_of(attempts=3) as scene:
        scene.world.delivery = Delivery.REDIRECT
        answer = faults.Answer(status=403, body=EXPIRED, content_type="application/xml")
        scene.world.faults.add(Fault(origin="storage", action=answer, times=None))
        with pytest.raises(Transient, match="AccessDenied") as caught:
            await downloaded(scene.client, scene.source)
        assert "X-Amz" not in said(caught.value)
        assert scene.statuses("/artifacts") == [302, 302, 302]


async def test_a_stores_error_that_gitlab_passes_through():
    """An XML error is the store's, though GitLab's address sent it."""
    xml = head("403 Forbidden", f"Content-Length: {len(EXPIRED)}", "Content-Type: application/xml") + EXPIRED
    async with (
        raw_server(script([xml]), script([whole(BODY)])) as server,
        client_of(server.url, attempts=2) as client,
    ):
        assert await downloaded(client, SOURCE) == BODY


async def test_what_is_gone_or_not_allowed():
    """404 and 403 of GitLab's own; a missing file is a text, not JSON; a short 404 is one all the same."""
    async with scene_of(attempts=3) as scene:
        missing = Item(kind="file", name="files/none", path="none")
        with pytest.raises(NotFound):
            await downloaded(scene.client, Source(project_id=1, job_id=scene.job.id, item=missing))
        scene.world.erase(scene.job)
        with pytest.raises(NotFound):
            await downloaded(scene.client, scene.source)
        hidden = scene.world.add_pipeline(
            scene.project, "x", [JobSpec("h", archive=scene.job.spec.archive, access="none")]
        )
        scene.world.finish(hidden.jobs[0])
        with pytest.raises(Denied):
            await downloaded(scene.client, Source(project_id=1, job_id=hidden.jobs[0].id, item=ARCHIVE))
        assert len(scene.statuses()) == 3
    short = head("404 Not Found", "Content-Length: 20") + b"404"
    async with raw_server(script([short])) as server, client_of(server.url) as client:
        with pytest.raises(NotFound):
            await downloaded(client, SOURCE)


async def test_the_sign_in_page():
    """A redirect to it is about the token."""
    async with scene_of() as scene:
        scene.world.faults.add(Fault(action=faults.SignIn()))
        with pytest.raises(CredentialRefused):
            await downloaded(scene.client, scene.source)


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip"])
async def test_an_encoding_is_refused(encoding):
    """None was asked for, and a cut gzip stream can look complete."""
    answer = whole(BODY, f"Content-Encoding: {encoding}")
    async with raw_server(script([answer])) as server, client_of(server.url) as client:
        with pytest.raises(Refused, match="encoding"):
            await downloaded(client, SOURCE)
        with pytest.raises(Refused, match="encoding"):
            await client.version()
        assert {seen.headers["accept-encoding"] for seen in server.requests} == {"identity"}


def rest(offset: int, *headers: str, status: str = "206 Partial Content", **changes: object) -> bytes:
    """The rest of BODY, right but for ``changes``."""
    given = {"first": offset, "last": len(BODY) - 1, "total": len(BODY), "etag": TAG} | changes
    span = f"Content-Range: bytes {given['first']}-{given['last']}/{given['total']}"
    return whole(BODY[offset:], span, f"ETag: {given['etag']}", *headers, status=status)


@pytest.mark.parametrize("offset", [1, 5000, len(BODY) - 1])
async def test_the_exact_rest_is_taken(offset):
    """With the range and the tag that were asked for."""
    async with raw_server(script([rest(offset)])) as server, client_of(server.url) as client:
        async with client.open(SOURCE, offset=offset, etag=TAG, total=len(BODY)) as body:
            assert (body.offset, body.total, body.etag) == (offset, len(BODY), TAG)
            assert b"".join([part async for part in body.chunks()]) == BODY[offset:]
        (seen,) = server.requests
        assert (seen.headers["range"], seen.headers["if-range"]) == (f"bytes={offset}-", TAG)


@pytest.mark.parametrize(
    "wrong",
    [
        rest(500, first=501),
        rest(500, first=0),
        rest(500, last=len(BODY)),
        rest(500, total=len(BODY) + 1),
        rest(500, total="*"),
        rest(500, etag='"another"'),
        rest(500, etag=f"W/{TAG}"),
        rest(400, first=500),
        rest(500, "Content-Type: multipart/byteranges; boundary=b"),
        whole(BODY[500:], status="206 Partial Content"),
        whole(b"", f"Content-Range: bytes */{len(BODY)}", status="416 Range Not Satisfiable"),
    ],
)
async def test_a_rest_that_does_not_continue_is_dropped(wrong):
    """Everything is asked for instead, without a range, from the first byte."""
    async with raw_server(script([wrong]), script([whole(BODY, f"ETag: {TAG}")])) as server:
        async with client_of(server.url) as client, client.open(SOURCE, offset=500, etag=TAG, total=len(BODY)) as body:
            assert body.offset == 0
            assert b"".join([part async for part in body.chunks()]) == BODY
        assert ["range" in seen.headers for seen in server.requests] == [True, False]


async def test_a_changed_entity_comes_whole():
    """200 to a range is another entity, or a server without ranges: it starts over."""
    async with raw_server(script([whole(BODY, 'ETag: "new"')])) as server, client_of(server.url) as client:
        async with client.open(SOURCE, offset=500, etag=TAG, total=len(BODY)) as body:
            assert (body.offset, body.etag) == (0, '"new"')
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["206 Partial Content", "416 Range Not Satisfiable", "201 Created", "202 Accepted"])
async def test_a_part_that_nobody_asked_for(status):
    """It is no answer to a plain request."""
    async with raw_server(script([rest(500, status=status)])) as server, client_of(server.url) as client:
        with pytest.raises(Refused):
            await downloaded(client, SOURCE)


BROKEN: list[list[Step]] = [
    [head("200 OK", "Content-Length: 10240"), BODY[:5000]],
    [head("200 OK", "Content-Length: 10240"), BODY[:5000], Reset()],
    [head("200 OK", "Transfer-Encoding: chunked"), chunk(BODY[:5000])],
    [head("200 OK", "Content-Length: 10240"), BODY[:5000], 5.0],
]


@pytest.mark.parametrize("steps", BROKEN)
async def test_a_body_that_ends_too_early(steps):
    """It is never taken for whole: cut, reset, without its last chunk, or silent."""
    async with raw_server(script(steps)) as server, client_of(server.url, timeout=0.3) as client:
        with pytest.raises(Transient) as caught:
            await downloaded(client, SOURCE)
        assert caught.value.hint


async def test_a_log_that_does_not_say_where_it_ends():
    """Anything but an archive would be taken for whole wherever it breaks."""
    steps = [head("200 OK"), BODY]
    async with raw_server(script(steps)) as server, client_of(server.url) as client:
        with pytest.raises(Transient, match="where it ends"):
            await downloaded(client, LOG)
        assert await downloaded(client, SOURCE) == BODY


async def test_surplus_bytes_are_not_the_next_answer():
    """A connection that carried a download is not used again."""
    surplus: list[Step] = [whole(BODY), 0.1, whole(b"another entity"), Stay()]
    async with raw_server(script(surplus), script([whole(b"right")])) as server, client_of(server.url) as client:
        assert await downloaded(client, SOURCE) == BODY
        await anyio.sleep(0.3)
        assert await downloaded(client, LOG) == b"right"
        assert len(server.requests) == 2
