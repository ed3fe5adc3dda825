"""What arrives on the wire and is no client's request: each is refused in time, and the server goes on."""

import asyncio
import base64
import gzip
import json
from dataclasses import replace
from urllib.parse import quote

import anyio
import pytest

from artifact_sync.simulator import big
from artifact_sync.simulator.state import JobSpec
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.web_harness import (
    FILES,
    QUICK,
    archive_of,
    request,
    served,
    small_window,
    status_of,
    statuses,
)

JOB = "/api/v4/projects/1/jobs/1001"
#: What stands above the store, and must come out by no path.
CLIMBS = (
    "../state.db",
    "../../state.db",
    "..%2fstate.db",
    "%2e%2e/state.db",
    "%2e%2e%2fstate.db",
    "%252e%252e%252fstate.db",
    "..%5cstate.db",
    "....//state.db",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    ".artifact-sync.json",
    "dist/../../.artifact-sync.json",
    "SHA256SUMS",
    "a" * 300,
    "a/" * 100,
    "dist/",
    "dist",
    ".",
    "",
)


@pytest.mark.parametrize("path", CLIMBS)
async def test_no_path_leads_out_of_the_archive(replica, job, path):
    """Every one is 404: paths are looked up among names, and never opened."""
    answer = await replica.raw(request(f"{JOB}/artifacts/{path}"))
    assert status_of(answer) == 404
    assert b"SQLite" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("path", ["%00", "notes.txt%00.png", "%ff%fe", "a%c3"])
async def test_a_path_with_nul_or_broken_utf8_is_400(replica, job, path):
    """As in GitLab (lib/gitlab/ci/build/artifacts/path.rb)."""
    assert status_of(await replica.raw(request(f"{JOB}/artifacts/{path}"))) == 400


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nBad Header: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET\r\n\r\n", 400),
        (b"FOO /livez HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_400(replica, lines, expected):
    """And ends the connection: nobody can say where the next one begins."""
    assert status_of(await replica.raw(lines)) == expected


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "OPTIONS", "TRACE"])
async def test_other_methods_are_405(replica, job, method):
    """In GitLab's words, with what is allowed."""
    answer = await replica.raw(request(f"{JOB}/artifacts", method=method))
    assert status_of(answer) == 405
    assert b'{"error":"405 Not Allowed"}' in answer
    assert b"\r\nAllow: " in answer


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v4/nothing", b'{"error":"404 Not Found"}'),
        ("/api/v4/projects/99", b'{"message":"404 Project Not Found"}'),
        ("/api/v4/projects/none%2fsuch", b'{"message":"404 Project Not Found"}'),
        ("/api/v4/projects/1/jobs/7", b'{"message":"404 Not found"}'),
        (f"/api/v4/projects/1/jobs/{10**17}", b'{"message":"404 Not found"}'),
        (f"/api/v4/projects/{9 * 10**40}/jobs/1", b'{"message":"404 Project Not Found"}'),
        ("/api/v4/projects/1/jobs/abc", b'{"error":"404 Not Found"}'),
        ("/elsewhere", b"404 Not Found\n"),
    ],
)
async def test_what_is_not_there_is_404_in_gitlabs_words(replica, path, expected):
    """Routes, projects and records each have their own; numbers beyond any id are no error."""
    answer = await replica.raw(request(path))
    assert (status_of(answer), answer.endswith(expected)) == (404, True)


async def test_http_1_0_is_answered_and_closed(replica, job):
    """Without a Host header, as such clients send it."""
    answer = await replica.raw(f"GET {JOB}/artifacts/notes.txt HTTP/1.0\r\n\r\n".encode())
    assert status_of(answer) == 200
    assert answer.endswith(FILES["notes.txt"])


async def test_the_absolute_form_is_understood(replica, job):
    """A client behind a proxy sends it (RFC 9112 section 3.2.2)."""
    answer = await replica.raw(request(f"http://localhost{JOB}/artifacts/notes.txt"))
    assert (status_of(answer), answer.endswith(FILES["notes.txt"])) == (200, True)


@pytest.mark.parametrize("named", ["acme%2Fapp", "acme%2fapp", "1"])
async def test_a_project_is_found_by_id_or_encoded_path(replica, job, named):
    """In either case of the escape."""
    answer = await replica.raw(request(f"/api/v4/projects/{named}/jobs/{job.id}"))
    assert status_of(answer) == 200


async def test_pipelined_requests_are_answered_in_order(replica, job):
    """Three on one connection, of which a file is the second."""
    both = f"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET {JOB}/artifacts HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = await replica.raw(both.encode() + request("/api/v4/version"))
    assert statuses(answer.replace(archive_of(job), b"")) == [200, 200, 200]
    assert archive_of(job) in answer


async def test_a_small_body_on_a_get_is_read_and_ignored(replica, job):
    """The connection can be used again after it."""
    first = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
    assert statuses(await replica.raw(first + request("/livez"))) == [200, 200]


@pytest.mark.parametrize("kind", ["length", "chunked", "gzip"])
async def test_a_large_body_is_413(replica, job, kind):
    """However it is announced, and before it is in memory."""
    head = f"POST {JOB}/artifacts/keep HTTP/1.1\r\nHost: localhost\r\n"
    if kind == "length":
        sent = f"{head}Content-Length: 200000\r\n\r\n".encode() + bytes(200_000)
    elif kind == "chunked":
        sent = f"{head}Transfer-Encoding: chunked\r\n\r\n30d40\r\n".encode() + bytes(200_000) + b"\r\n0\r\n\r\n"
    else:
        packed = gzip.compress(bytes(50 << 20))
        sent = f"{head}Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed
    assert status_of(await replica.raw(sent)) == 413


async def test_bad_parameters_are_400_or_405_and_never_500(replica, job):
    """Of pages, cursors and statuses, also those that are numbers in Unicode or beyond SQLite's."""
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode()
    huge = base64.urlsafe_b64encode(json.dumps({"id": str(10**30)}).encode()).decode()
    queries = (
        "page=0", "page=-1", "page=x", f"page={10**30}", "page=99999999", "per_page=0", "per_page=%D9%A1",
        "scope=wrong", "scope[]=success&scope[]=wrong", "pagination=keyset&cursor=%ff", f"pagination=keyset&cursor={deep}",
        "pagination=keyset&cursor=e30%3D", f"pagination=keyset&cursor={huge}", "pagination=keyset&sort=asc",
        "pagination=keyset&order_by=name",
    )  # fmt: skip
    for query in queries:
        answer = await replica.raw(request(f"/api/v4/projects/1/jobs?{query}"))
        assert (query, status_of(answer)) in {(query, 400), (query, 405)}


async def test_who_sends_headers_too_slowly_is_cut_off(mirror):
    """One byte now and then does not keep a connection, however long the next request is waited for."""
    async with served(mirror, limits=replace(QUICK, keepalive=60.0)) as replica:
        reader, writer = await asyncio.open_connection(replica.host, replica.port)
        with anyio.fail_after(10):
            for byte in b"GET /livez HTTP/1.1\r\nHost: localhost\r\n":
                try:
                    writer.write(bytes([byte]))
                    await writer.drain()
                except ConnectionError:
                    break
                await asyncio.sleep(0.1)
            try:
                answer = await reader.read(-1)
            except ConnectionError:
                answer = b""
        assert answer == b""
        writer.close()


async def test_who_sends_nothing_or_no_next_request_is_cut_off(mirror):
    """Neither a new connection nor one that was used stays for ever."""
    async with served(mirror, limits=QUICK) as replica:
        assert await replica.raw(b"", within=10) == b""
        answer = await replica.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", within=15)
        assert status_of(answer) == 200


async def test_who_sends_a_body_too_slowly_is_answered_408(mirror, job):
    """The body is waited for no longer than is said."""
    async with served(mirror, limits=QUICK) as replica:
        head = f"POST {JOB}/artifacts/keep HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nab"
        assert status_of(await replica.raw(head.encode(), within=10)) == 408


@pytest.mark.parametrize("what", ["archive", "member"])
async def test_who_never_reads_is_cut_off_and_who_reads_slowly_is_not(world, app, tmp_path, what):
    """Whether the kernel sends the file or it is unpacked on the way."""
    (job,) = world.add_pipeline(app, "main", [JobSpec("b", archive=big(48 << 20, seed="slow"))]).jobs
    world.finish(job)
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        async with served(daemon, limits=QUICK) as replica:
            path = f"/api/v4/projects/1/jobs/{job.id}/artifacts"
            if what == "member":
                async with served(daemon) as other:
                    listed = await other.raw(request(f"{path}/tree?recursive=true"))
                name = max(json.loads(listed.split(b"\r\n\r\n", 1)[1]), key=lambda row: row.get("size", 0))["path"]
                path = f"{path}/{quote(name)}"
            loop = asyncio.get_running_loop()
            idle, slow = (small_window(replica.host, replica.port) for _ in range(2))
            try:
                for connection in (idle, slow):
                    connection.setblocking(False)
                    await loop.sock_sendall(connection, request(path))
                # Longer than any wait is allowed to be, some bytes at a time.
                read = 0
                for _ in range(25):
                    read += len(await loop.sock_recv(slow, 64 << 10))
                    await asyncio.sleep(0.1)
                assert read > 64 << 10
                assert len(await loop.sock_recv(slow, 64 << 10)) > 0
                with anyio.fail_after(10):
                    got = 0
                    try:
                        while block := await loop.sock_recv(idle, 1 << 20):
                            got += len(block)
                    except ConnectionError:
                        pass
                assert got < 40 << 20
            finally:
                idle.close()
                slow.close()
            assert status_of(await replica.raw(request("/livez"))) == 200


async def test_too_many_connections_are_told_so_and_room_comes_back(mirror):
    """Of one address; what was let in goes on."""
    async with served(mirror, limits=QUICK) as replica:
        held = [await asyncio.open_connection(replica.host, replica.port) for _ in range(QUICK.per_address)]
        try:
            await asyncio.sleep(0.05)
            assert status_of(await replica.raw(request("/livez"))) == 503
            held[0][1].write(request("/livez"))
            assert status_of(await held[0][0].read(-1)) == 200
        finally:
            for _, writer in held:
                writer.close()
        with anyio.fail_after(10):
            while status_of(await replica.raw(request("/livez"))) != 200:  # noqa: ASYNC110 -- a socket's end rings no bell
                await asyncio.sleep(0.05)


async def test_a_client_that_goes_away_takes_nothing_along(mirror, job):
    """Thirty times in the middle of an answer; then everybody else is answered."""
    async with served(mirror) as replica:
        for number in range(30):
            _, writer = await asyncio.open_connection(replica.host, replica.port)
            path = f"{JOB}/artifacts" if number % 2 else f"{JOB}/artifacts/dist/app.bin"
            writer.write(request(path))
            await writer.drain()
            writer.transport.abort()
        answer = await replica.raw(request(f"{JOB}/artifacts"))
        assert answer.endswith(archive_of(job))


async def test_health_is_plain_and_tells_what_does_not_answer(mirror, replica):
    """Liveness in any case; readiness while store and discovery are there."""
    assert status_of(await replica.raw(request("/livez"))) == 200
    assert status_of(await replica.raw(request("/readyz"))) == 200
    async with served(mirror, alive=False) as other:
        answer = await other.raw(request("/readyz"))
        assert (status_of(answer), answer.endswith(b"discovery\n")) == (503, True)
    (mirror.path / "store" / "tree").rename(mirror.path / "elsewhere")
    try:
        answer = await replica.raw(request("/readyz"))
        assert (status_of(answer), answer.endswith(b"store\n")) == (503, True)
        assert status_of(await replica.raw(request("/livez"))) == 200
    finally:
        (mirror.path / "elsewhere").rename(mirror.path / "store" / "tree")
