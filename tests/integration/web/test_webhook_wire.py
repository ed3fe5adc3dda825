"""Webhooks on the wire: who is let in, what he is answered, and what it comes to."""

import asyncio
import gzip
import time
import tracemalloc
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import anyio
import pytest

from artifact_sync.core.events import WebhookReceived
from artifact_sync.core.hints import Hint, Receipt
from artifact_sync.errors import CredentialRefused
from artifact_sync.gitlab import FileToken
from artifact_sync.state.deliveries import SqliteDeliveries
from artifact_sync.web import Limits
from artifact_sync.web.webhook import receiving
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.web_harness import Served, request, served, status_of, statuses, told
from tests.webhooks import SIGNING, TOKEN, job_event, pipeline_event, signed

MIB = 1 << 20


@dataclass
class Hooked:
    """A server with a receiver, and what it told."""

    served: Served
    hints: list[Hint] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    answer: Receipt = Receipt.ACCEPTED

    async def post(self, body: bytes, *lines: str, within: float = 20.0) -> bytes:
        """What a socket gets for a post of this body."""
        head = request("/webhook", f"Content-Length: {len(body)}", *lines, method="POST")
        return await self.served.raw(head + body, within=within)

    async def posted(self, body: bytes, **headers: str) -> int:
        """The status for these headers."""
        return status_of(await self.post(body, *(f"{name}: {value}" for name, value in headers.items())))


@asynccontextmanager
async def hooked(world, path, secret=TOKEN, *, patience=10.0, limits=None, readers=()):
    """A receiver that knows this secret, or what it returns, on a daemon's state."""
    async with rig(world, path, rule()) as daemon:
        made = Hooked(served=None)  # type: ignore[arg-type]  # there in a moment

        def hint(hint: Hint) -> Receipt:
            made.hints.append(hint)
            return made.answer

        def emit(event) -> None:
            assert isinstance(event, WebhookReceived)
            made.results[event.result] += 1

        async with (
            receiving(
                secret=secret if callable(secret) else lambda: secret,
                hint=hint,
                deliveries=SqliteDeliveries(daemon.state),
                clock=daemon.clock,
                emit=emit,
                patience=patience,
            ) as part,
            served(daemon, *readers, limits=limits, parts=[part]) as answering,
        ):
            made.served = answering
            yield made


@pytest.fixture
async def by_token(world, app, tmp_path):
    """Knows X-Gitlab-Token."""
    async with hooked(world, tmp_path) as made:
        yield made


@pytest.fixture
async def by_signature(world, app, tmp_path):
    """Knows signatures."""
    async with hooked(world, tmp_path, SIGNING) as made:
        yield made


def lines(headers) -> list[str]:
    """As they go over the wire."""
    return [f"{name}: {value}" for name, value in headers.items()]


async def test_a_job_event_with_the_token_is_a_hint(by_token):
    """By numbers alone: no URL of it is kept."""
    answer = await by_token.post(job_event(), f"X-Gitlab-Token: {TOKEN}", "X-Gitlab-Event: Job Hook")
    assert status_of(answer) == 200
    assert answer.endswith(b'{"result":"accepted"}')
    assert by_token.hints == [Hint(project_id=1, pipeline_id=5, job_id=7)]
    assert by_token.results == {"accepted": 1}


async def test_a_system_hook_is_read_as_well(by_token):
    """The same event under another header."""
    answer = await by_token.post(pipeline_event(), f"X-Gitlab-Token: {TOKEN}", "X-Gitlab-Event: System Hook")
    assert status_of(answer) == 200
    assert by_token.hints == [Hint(project_id=1, pipeline_id=5)]


async def test_a_signed_event_is_a_hint(by_signature):
    """Also beside a token that nobody knows here, as GitLab sends both where both are set."""
    body = job_event()
    answer = await by_signature.post(body, *lines(signed(body, at=time.time())), "X-Gitlab-Token: other")
    assert status_of(answer) == 200
    assert by_signature.hints == [Hint(project_id=1, pipeline_id=5, job_id=7)]


@pytest.mark.parametrize(
    "shown",
    [
        (),
        ("X-Gitlab-Token: ",),
        ("X-Gitlab-Token: wrong",),
        ("X-Gitlab-Token: gehe\u00efm",),
        ("X-Gitlab-Token: \udcff\udcfe",),
        ("PRIVATE-TOKEN: reader",),
        ("Authorization: Bearer reader",),
        (f"PRIVATE-TOKEN: {TOKEN}",),
    ],
)
async def test_without_the_token_it_is_401(world, app, tmp_path, shown):
    """Whatever else is shown, a token that may read here included; nothing is told, and nothing comes of it."""
    async with hooked(world, tmp_path, readers=[told("reader")]) as made:
        answer = await made.post(job_event(), *shown)
        assert status_of(answer) == 401
        assert answer.endswith(b'{"message":"401 Unauthorized"}')
        assert made.hints == []
        assert made.results == {"refused": 1}


async def test_a_reader_token_in_the_query_opens_nothing(world, app, tmp_path):
    """Where the API would take it."""
    async with hooked(world, tmp_path, readers=[told("reader")]) as made:
        head = request("/webhook?private_token=reader", "Content-Length: 2", method="POST")
        assert status_of(await made.served.raw(head + b"{}")) == 401


@pytest.mark.parametrize("off", [301, -302, 10**6])
async def test_a_signature_of_another_time_is_401(by_signature, off):
    """Somebody may have kept it."""
    body = job_event()
    assert status_of(await by_signature.post(body, *lines(signed(body, at=time.time() - off)))) == 401
    assert by_signature.hints == []


async def test_a_forged_signature_is_401(by_signature):
    """By another key, of another body, or of none."""
    body, now = job_event(), time.time()
    for headers in (signed(body, at=now, key=b"x" * 32), signed(body + b" ", at=now), {"X-Gitlab-Token": SIGNING}):
        assert status_of(await by_signature.post(body, *lines(headers))) == 401
    assert by_signature.hints == []
    assert by_signature.results == {"refused": 3}


async def test_a_repeated_delivery_is_answered_and_does_nothing(by_signature):
    """A replay of the same bytes within the time for which their signature is good."""
    body = job_event()
    headers = lines(signed(body, at=time.time()))
    answers = [await by_signature.post(body, *headers) for _ in range(3)]
    assert [status_of(answer) for answer in answers] == [200] * 3
    assert answers[-1].endswith(b'{"result":"duplicate"}')
    assert len(by_signature.hints) == 1
    assert by_signature.results == {"accepted": 1, "duplicate": 2}


async def test_what_came_before_a_restart_is_known_after_it(world, app, tmp_path):
    """Deliveries are in the state when the receiver has ended."""
    headers = (f"X-Gitlab-Token: {TOKEN}", "Idempotency-Key: 0e1ca1b0")
    for expected in (b'{"result":"accepted"}', b'{"result":"duplicate"}'):
        async with hooked(world, tmp_path) as made:
            assert (await made.post(job_event(), *headers)).endswith(expected)


async def test_what_was_too_many_may_come_again(by_token):
    """It is answered with success, because GitLab would stop to deliver, and is not remembered."""
    headers = (f"X-Gitlab-Token: {TOKEN}", "Idempotency-Key: a")
    by_token.answer = Receipt.OVERFLOW
    answer = await by_token.post(job_event(), *headers)
    assert (status_of(answer), answer.endswith(b'{"result":"overflow"}')) == (200, True)
    by_token.answer = Receipt.ACCEPTED
    assert (await by_token.post(job_event(), *headers)).endswith(b'{"result":"accepted"}')


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"object_kind":"push"}', b"[" * 500_000])
async def test_what_tells_nothing_is_acknowledged(by_token, body):
    """Whoever knows the secret may send any event."""
    answer = await by_token.post(body, f"X-Gitlab-Token: {TOKEN}")
    assert (status_of(answer), answer.endswith(b'{"result":"ignored"}')) == (200, True)
    assert by_token.hints == []


async def test_a_body_above_what_the_api_takes_is_read(by_token):
    """A pipeline of many jobs has an event of many KiB."""
    body = pipeline_event(builds=[{"id": number, "name": "x" * 1000} for number in range(900)])
    assert 64 << 10 < len(body) < MIB
    assert status_of(await by_token.post(body, f"X-Gitlab-Token: {TOKEN}")) == 200
    assert len(by_token.hints) == 1


@pytest.mark.parametrize("size", [MIB + 1, 25 * MIB])
async def test_a_proved_event_above_the_limit_is_taken_in_and_acknowledged(world, app, tmp_path, size):
    """GitLab sends up to 25 MB, and gives up on who refuses; polling finds what it was about. No more than an event is held."""
    body = pipeline_event(more="x" * size)
    for number, (secret, headers) in enumerate(
        [(TOKEN, {"X-Gitlab-Token": TOKEN}), (SIGNING, signed(body, at=time.time()))]
    ):
        async with hooked(world, tmp_path / str(number), secret) as made:
            tracemalloc.start()
            try:
                answer = await _streamed(made, body, headers)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert (status_of(answer), answer.endswith(b'{"result":"overflow"}')) == (200, True)
            assert peak < 8 * MIB
            assert made.hints == []


async def _streamed(made: Hooked, body: bytes, headers) -> bytes:
    """The answer to a body of which this client holds no copy."""
    head = request("/webhook", f"Content-Length: {len(body)}", *lines(headers), method="POST")
    with anyio.fail_after(20):
        reader, writer = await asyncio.open_connection(made.served.host, made.served.port)
        writer.write(head)
        for at in range(0, len(body), 64 << 10):
            writer.write(memoryview(body)[at : at + (64 << 10)])
            await writer.drain()
        answer = await reader.read(-1)
        writer.close()
    return answer


async def test_an_unproved_body_above_the_limit_is_413(by_signature):
    """It could be anything."""
    body = pipeline_event(more="x" * (2 * MIB))
    headers = signed(b"else", at=time.time())
    assert status_of(await by_signature.post(body, *lines(headers))) == 413


async def test_more_than_gitlab_ever_sends_is_413_unread(by_token):
    """By its length, or as soon as so much has come."""
    head = request("/webhook", f"X-Gitlab-Token: {TOKEN}", f"Content-Length: {33 * MIB}", method="POST")
    assert status_of(await by_token.served.raw(head)) == 413
    chunked = request("/webhook", f"X-Gitlab-Token: {TOKEN}", "Transfer-Encoding: chunked", method="POST")
    chunk = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB)
    assert status_of(await by_token.served.raw(chunked + chunk * 34)) in {413, 0}
    assert by_token.results == {"refused": 2}


async def test_a_body_in_chunks_is_read(by_token):
    """As clients send what they make on the way."""
    body = job_event()
    head = request("/webhook", f"X-Gitlab-Token: {TOKEN}", "Transfer-Encoding: chunked", method="POST")
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(body[at : at + 9]), body[at : at + 9]) for at in range(0, len(body), 9))
    assert status_of(await by_token.served.raw(head + pieces + b"0\r\n\r\n")) == 200
    assert len(by_token.hints) == 1


@pytest.mark.parametrize(
    ("extra", "rest"),
    [
        (("Transfer-Encoding: chunked", "Content-Length: 5"), b"0\r\n\r\n"),
        (("Content-Length: 5", "Content-Length: 6"), b"hello!"),
        (("Content-Length: -1",), b""),
        (("Transfer-Encoding: chunked",), b"zz\r\nhello\r\n"),
    ],
)
async def test_a_body_without_a_clear_end_is_400(by_token, extra, rest):
    """A proxy in front could see another one (request smuggling, RFC 9112 section 11.2)."""
    head = request("/webhook", f"X-Gitlab-Token: {TOKEN}", *extra, method="POST")
    assert status_of(await by_token.served.raw(head + rest)) == 400
    assert by_token.hints == []


async def test_a_bomb_is_415_and_takes_no_memory(by_token):
    """GitLab compresses nothing."""
    bomb = gzip.compress(bytes(100 * MIB))
    tracemalloc.start()
    try:
        answer = await by_token.post(bomb, f"X-Gitlab-Token: {TOKEN}", "Content-Encoding: gzip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert status_of(answer) == 415
    assert peak < 8 * MIB


@pytest.mark.parametrize("secret", [TOKEN, SIGNING])
async def test_a_body_that_does_not_come_is_408(world, app, tmp_path, secret):
    """A byte now and then does not help, and others are served meanwhile."""
    async with hooked(world, tmp_path, secret, patience=0.6) as made:
        body = job_event()
        headers = {"X-Gitlab-Token": TOKEN} if secret is TOKEN else signed(body, at=time.time())
        head = request("/webhook", f"Content-Length: {len(body)}", *lines(headers), method="POST")
        with anyio.fail_after(15):
            reader, writer = await asyncio.open_connection(made.served.host, made.served.port)
            writer.write(head)
            reading = asyncio.create_task(reader.read(65536))
            for byte in body:
                if reading.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
            assert status_of(await reading) == 408
            writer.close()
            assert status_of(await made.served.raw(request("/livez"))) == 200
        assert made.results == {"refused": 1}
        assert made.hints == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_405(by_token, method):
    """Whoever asks."""
    answer = await by_token.served.raw(request("/webhook", f"X-Gitlab-Token: {TOKEN}", method=method))
    assert status_of(answer) == 405
    assert b"\r\nAllow: POST\r\n" in answer


async def test_without_a_secret_there_is_no_such_route(replica):
    """Nor does the API know one."""
    answer = await replica.raw(request("/webhook", "Content-Length: 2", method="POST") + b"{}")
    assert status_of(answer) == 404


async def test_other_routes_still_take_small_bodies_alone(by_token):
    """The limit of the receiver is its own."""
    head = request("/livez", f"Content-Length: {MIB}", method="GET")
    assert status_of(await by_token.served.raw(head + bytes(MIB))) == 413


async def test_a_secret_that_changes_is_read_again(world, app, tmp_path):
    """The old one is good no more; one that cannot be read lets nobody in, and the daemon goes on."""
    path = tmp_path / "secret"
    path.write_text("first\n")
    source = FileToken(path)
    async with hooked(world, tmp_path, lambda: source.current().value) as made:
        assert await made.posted(job_event(), **{"X-Gitlab-Token": "first"}) == 200
        path.write_text("second\n")
        assert await made.posted(job_event(), **{"X-Gitlab-Token": "first"}) == 401
        assert await made.posted(job_event(), **{"X-Gitlab-Token": "second"}) == 200
        path.unlink()
        with pytest.raises(CredentialRefused):
            source.current()
        assert await made.posted(job_event(), **{"X-Gitlab-Token": "second"}) == 401
        body = job_event()
        path.write_text(SIGNING)
        assert status_of(await made.post(body, *lines(signed(body, at=time.time())))) == 200
        path.write_text("whsec_broken\n")
        assert status_of(await made.post(body, *lines(signed(body, at=time.time(), identity="b")))) == 401


async def test_several_come_over_one_connection(by_token):
    """As a proxy sends them."""
    body = job_event()
    one = (
        f"POST /webhook HTTP/1.1\r\nHost: a\r\nX-Gitlab-Token: {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    last = request("/webhook", f"X-Gitlab-Token: {TOKEN}", f"Content-Length: {len(body)}", method="POST")
    assert statuses(await by_token.served.raw((one + body) * 3 + last + body)) == [200] * 4
    assert len(by_token.hints) == 4


async def test_a_flood_is_answered_with_success_and_remembered_within_bounds(world, app, tmp_path):
    """Two thousand deliveries over a hundred connections; each has an id of its own."""
    async with (
        hooked(world, tmp_path, limits=Limits()) as made,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as http,
    ):
        answers: Counter[int] = Counter()

        async def deliver(number: int) -> None:
            headers = {"X-Gitlab-Token": TOKEN, "Idempotency-Key": f"delivery {number}"}
            body = job_event(job_id=number + 1, pipeline_id=number % 50 + 1)
            async with http.post(f"{made.served.url}/webhook", data=body, headers=headers) as answer:
                answers[answer.status] += 1

        async with anyio.create_task_group() as group:
            for number in range(2000):
                group.start_soon(deliver, number)
        assert answers == {200: 2000}
        assert len(made.hints) == 2000
