"""Connections that carried a download: used again where that is safe, and nowhere else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import anyio
import msgspec
import pytest

from artifact_sync.errors import NotFound, Transient
from artifact_sync.ports import Source
from tests.integration.fetch.raw_server import Stay, Step, chunk, head, raw_server, script, whole
from tests.integration.gitlab.gitlab_harness import ARCHIVE, TRACE, client_of, downloaded

BODY = bytes(range(256)) * 40
KNOWN = Source(project_id=1, job_id=2, item=msgspec.structs.replace(ARCHIVE, size=len(BODY)))
LOG = Source(project_id=1, job_id=2, item=TRACE)
TIMES = 5


def stays(*steps: Step) -> list[Step]:
    """An answer on a connection that is left open."""
    return [*steps, Stay()]


async def test_many_downloads_come_over_one_connection_to_each_server():
    """A redirect, and a body of the size that GitLab listed, end where they say: their connections are used again."""
    async with raw_server(script(stays(whole(BODY)))) as store:
        redirect = whole(b"moved", f"Location: {store.url}/archive", status="302 Found")
        async with raw_server(script(stays(redirect))) as gitlab, client_of(gitlab.url) as client:
            for _ in range(TIMES):
                assert await downloaded(client, KNOWN) == BODY
            assert len(gitlab.requests) == len(store.requests) == TIMES
            assert (gitlab.connections, store.connections) == (1, 1)
            assert all("private-token" in seen.headers for seen in gitlab.requests)
            assert not any("private-token" in seen.headers for seen in store.requests)


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        pytest.param(msgspec.structs.replace(ARCHIVE, size=7), [whole(BODY)], id="another size than GitLab listed"),
        pytest.param(ARCHIVE, [whole(BODY)], id="no size is known"),
        pytest.param(TRACE, [whole(BODY)], id="a log"),
        pytest.param(
            KNOWN.item,
            [head("200 OK", "Transfer-Encoding: chunked"), chunk(BODY), chunk(b"")],
            id="the answer does not say its size",
        ),
    ],
)
async def test_an_answer_of_doubtful_length_is_the_last_on_its_connection(source, steps):
    """What came behind it would be taken for the next answer."""
    wanted = Source(project_id=1, job_id=2, item=source)
    async with raw_server(script(stays(*steps))) as server, client_of(server.url) as client:
        for _ in range(TIMES):
            assert await downloaded(client, wanted) == BODY
        assert server.connections == TIMES


async def test_a_body_that_was_not_read_to_its_end_ends_the_connection():
    """Its rest is not read for the sake of the next request: it may be 50 GiB."""
    large = bytes(4 << 20)
    wanted = Source(project_id=1, job_id=2, item=msgspec.structs.replace(ARCHIVE, size=len(large)))
    async with raw_server(script(stays(whole(large)))) as server, client_of(server.url) as client:
        for _ in range(TIMES):
            async with client.open(wanted) as body:
                async for _chunk in body.chunks():
                    break
        assert server.connections == TIMES


@pytest.mark.parametrize("status", ["404 Not Found", "302 Found"])
async def test_what_is_said_beside_an_error_or_a_redirect_is_bounded(status):
    """A long one is not read to its end, and its connection is not used again."""
    async with raw_server(script(stays(whole(BODY)))) as store:
        answer = whole(bytes(1 << 20), f"Location: {store.url}/archive", status=status)
        async with raw_server(script(stays(answer))) as gitlab, client_of(gitlab.url) as client:
            for _ in range(TIMES):
                if status.startswith("302"):
                    assert await downloaded(client, KNOWN) == BODY
                else:
                    with pytest.raises(NotFound):
                        await downloaded(client, KNOWN)
            assert gitlab.connections == TIMES


@pytest.mark.parametrize("pause", [0.0, 0.1])
async def test_surplus_bytes_behind_a_right_length_are_not_the_next_answer(pause):
    """Whether they come with the body or while nothing is asked for (RFC 9112 section 9.2)."""
    surplus = stays(whole(BODY), pause, whole(b"another entity"))
    async with raw_server(script(surplus), script(stays(whole(BODY[::-1])))) as server, client_of(server.url) as client:
        assert await downloaded(client, KNOWN) == BODY
        await anyio.sleep(0.3)
        assert await downloaded(client, KNOWN) == BODY[::-1]
        assert (len(server.requests), server.connections) == (2, 2)


async def test_surplus_that_the_event_loop_has_not_seen_is_no_answer_either():
    """It lies in the socket when the next request is to be sent."""
    answers = [whole(BODY), whole(BODY[::-1])]
    with threaded_server(answers, surplus=whole(b"another entity")) as url:
        async with client_of(url) as client:
            assert await downloaded(client, KNOWN) == BODY
            time.sleep(0.3)  # noqa: ASYNC251 - the event loop must not see what comes meanwhile
            assert await downloaded(client, KNOWN) == BODY[::-1]


async def test_a_connection_that_was_closed_meanwhile_is_not_used():
    """Servers end idle connections when they like; that costs no attempt."""
    async with raw_server(script([whole(BODY)])) as server, client_of(server.url) as client:
        for _ in range(TIMES):
            assert await downloaded(client, KNOWN) == BODY
            await anyio.sleep(0.05)
        assert server.connections == TIMES


async def test_a_connection_that_breaks_under_a_request_is_a_matter_of_trying_again():
    """The next attempt has a new one."""
    broken: list[Step] = [head("200 OK", f"Content-Length: {len(BODY)}"), BODY[:100]]
    async with (
        raw_server(script(stays(whole(BODY))), script(broken), script(stays(whole(BODY)))) as server,
        client_of(server.url) as client,
    ):
        assert await downloaded(client, KNOWN) == BODY
        with pytest.raises(Transient):
            await downloaded(client, KNOWN)
        assert await downloaded(client, KNOWN) == BODY
        assert server.connections == 2


@contextmanager
def threaded_server(answers: Sequence[bytes], *, surplus: bytes) -> Iterator[str]:
    """Beside the event loop: one answer a connection, and bytes that nobody asked for a moment later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                # What closes a connection with bytes in it resets it.
                with connection, suppress(ConnectionResetError):
                    connection.recv(1 << 16)
                    connection.sendall(answer)
                    time.sleep(0.1)
                    connection.sendall(surplus)
                    connection.recv(1 << 16)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)
