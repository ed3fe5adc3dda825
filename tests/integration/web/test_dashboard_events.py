"""What an open page is told while things happen, and that no open page can hold anything up."""

import asyncio
import socket

import aiohttp
import anyio
import pytest

from artifact_sync.core.events import Discovered, Event, Received, TransferEnded, TransferStarted
from artifact_sync.core.selectors import ProjectSelectors
from artifact_sync.errors import Outcome
from artifact_sync.web import Limits
from artifact_sync.web.dashboard import Live
from artifact_sync.web.dashboard.seats import Seats
from artifact_sync.web.dashboard.stream import Stream
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.dashboard_harness import QUICK, shown
from tests.integration.web.web_harness import ended, told

TOKEN = "reader-token-0123456789"


def begun(number: int, total: int | None = 100) -> TransferStarted:
    """A worker took it."""
    return TransferStarted(transfer_id=number, project="p", job_id=1, job="j", ref="r", dest="d", total=total)


def over(number: int) -> TransferEnded:
    """It was published."""
    return TransferEnded(
        transfer_id=number, project="p", job_id=1, job="j", ref="r", dest="d", outcome=Outcome.PUBLISHED
    )


class Watching:
    """An open page."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.lines: list[str] = []

    async def line(self) -> str:
        """The next one; empty at the end."""
        with anyio.fail_after(10):
            found = (await self.answer.content.readline()).decode()
        self.lines.append(found)
        return found

    async def until(self, text: str) -> str:
        """Read on to a line with this text."""
        while text not in (found := await self.line()):
            assert found, f"the stream ended before {text}: {self.lines}"
        return found


@pytest.fixture
async def watch(mirror, http):
    """Opens the stream of a dashboard."""
    async with shown(mirror) as served, http.get(f"{served.url}/events") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        yield Watching(answer), served


async def test_progress_is_told_as_it_is(watch):
    """Of what runs, and then that nothing runs any more."""
    page, served = watch
    await page.until("data: []")
    served.live.hear(begun(7))
    await page.until("data: [[7,0,100]]")
    served.live.hear(Received(transfer_id=7, received=60))
    await page.until("data: [[7,60,100]]")
    served.live.hear(over(7))
    await page.until("data: []")
    await page.until("event: changed")
    assert list(served.live.published)[-1] == 7


async def test_a_thousand_pieces_are_a_few_events(watch):
    """The last state, and not each on the way."""
    page, served = watch
    served.live.hear(begun(7, total=1000))
    for received in range(1001):
        served.live.hear(Received(transfer_id=7, received=received))
        if received % 100 == 0:
            await asyncio.sleep(0)
    await page.until("[7,1000,1000]")
    assert sum(line.startswith("event: progress") for line in page.lines) <= 4


async def test_silence_has_a_heartbeat_and_a_look_at_nothing_is_no_change(watch):
    """A comment, which no script sees."""
    page, served = watch
    await page.until("data: []")
    served.live.hear(Discovered(project_id=1, path="p", jobs=5, selected=0))
    assert await page.until(":\n") == ":\n"
    assert not any("changed" in line for line in page.lines)


async def test_seats_are_bounded_and_given_back(mirror, http):
    """One more page than there are seats is told to come again; a seat is free once its page is gone."""
    async with shown(mirror) as served:
        answers = [await http.get(f"{served.url}/events") for _ in range(QUICK.readers)]
        async with http.get(f"{served.url}/events") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        for answer in answers:
            answer.close()
        with anyio.fail_after(10):
            while True:
                async with http.get(f"{served.url}/events") as again:
                    if again.status == 200:
                        break
                await anyio.sleep(0.05)


async def test_a_token_takes_its_own_seats_alone(mirror, http):
    """Pages of one token and sessions of it count together; another one's have room, and a header is no other token."""
    other = "another-token-of-the-team"
    async with (
        shown(mirror, told(TOKEN), told(other)) as served,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
    ):
        await browser.post(f"{served.url}/login", data={"token": TOKEN})
        events = f"{served.url}/events"
        share = QUICK.readers // 2
        open_ones = [await browser.get(events), await http.get(events, headers={"PRIVATE-TOKEN": TOKEN})]
        assert [answer.status for answer in open_ones] == [200] * share
        for asking in ({"PRIVATE-TOKEN": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}):
            async with http.get(events, headers=asking) as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
        async with browser.get(events) as refused:
            assert refused.status == 503
        open_ones += [await http.get(events, headers={"PRIVATE-TOKEN": other}) for _ in range(share)]
        assert [answer.status for answer in open_ones] == [200] * QUICK.readers
        for answer in open_ones:
            answer.close()


@pytest.mark.parametrize(("tokens", "share"), [(0, 64), (1, 64), (2, 32), (3, 21), (4, 16), (50, 16)])
def test_shares_of_the_seats(tokens, share):
    """As many for each as there are tokens, and a quarter where there are many; what is given back is free."""
    seats = Seats(64)
    token = b"t" if tokens else None
    assert [seats.take(token, tokens=tokens) for _ in range(share + 1)] == [True] * share + [False]
    assert seats.take(b"other", tokens=tokens) == (share < 64)
    seats.leave(token)
    assert seats.take(token, tokens=tokens)


async def test_a_page_that_does_not_read_is_dropped(mirror):
    """However much happens: its seat is free again, and others are not held up."""
    pace = Stream(pace=0.0, changed=0.0, heartbeat=0.2, taken=0.3, readers=1)
    # The server's own limit for connections that stand still is out of the way.
    async with shown(mirror, pace=pace, limits=Limits(stalled=1000.0)) as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        silent.connect((host, int(port)))
        silent.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for number in range(150):
            served.live.hear(begun(number, total=10**15))
        async with aiohttp.ClientSession() as session:
            with anyio.fail_after(30):
                while True:
                    for number in range(150):
                        received = served.live.running[number].received + 1
                        served.live.hear(Received(transfer_id=number, received=received))
                    async with session.get(f"{served.url}/events") as answer:
                        if answer.status == 200:
                            break
                    await anyio.sleep(0.005)
        silent.close()


async def test_a_stop_ends_the_stream(mirror, http):
    """At once, also where nothing happens."""
    async with shown(mirror, pace=Stream()) as served:
        answer = await http.get(f"{served.url}/events")
        page = Watching(answer)
        await page.until("data: []")
    with anyio.fail_after(5):
        assert b"event" not in await answer.content.read()


async def test_a_session_that_ends_ends_the_stream(mirror):
    """At the next heartbeat."""
    async with (
        shown(mirror, told(TOKEN)) as served,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
    ):
        await browser.post(f"{served.url}/login", data={"token": TOKEN})
        async with browser.get(f"{served.url}/events") as answer:
            assert answer.status == 200
            page = Watching(answer)
            await page.until("data: []")
            await browser.post(f"{served.url}/logout")
            with pytest.raises((aiohttp.ClientError, AssertionError)):
                await page.until("never sent")


async def test_a_token_hears_of_its_projects_alone(world, app, tmp_path, http):
    """Of another one's transfer not even that it runs; and `changed` comes by the clock, whatever happens."""
    lib = world.add_project("acme/libs/core")
    hidden, open_ = ended(world, app, "a")[0], ended(world, lib, "b")[0]
    scoped = told(TOKEN, projects=ProjectSelectors.parse(["acme/libs/**"]))
    async with rig(world, tmp_path, rule("acme/**")) as daemon:
        await daemon.sync()
        for job in (hidden, open_):
            await daemon.queue.lost((await daemon.transfer(job)).id)
        claimed = [await daemon.queue.claim(daemon.clock.now()) for _ in range(2)]
        ids = {one.transfer.project_id: one.id for one in claimed if one is not None}
        headers = {"PRIVATE-TOKEN": TOKEN}
        async with shown(daemon, scoped) as served, http.get(f"{served.url}/events", headers=headers) as answer:
            page = Watching(answer)
            for number in ids.values():
                served.live.hear(begun(number))
            await page.until(f"[{ids[lib.id]},0,100]")
            before = len(page.lines)
            await page.until("event: changed")
            await page.until("event: changed")
            served.live.hear(Received(transfer_id=ids[app.id], received=50))
            served.live.hear(Received(transfer_id=ids[lib.id], received=70))
            await page.until(f"[{ids[lib.id]},70,100]")
    assert before
    assert not any(f"[{ids[app.id]}," in line for line in page.lines)


def test_only_what_runs_is_held_in_memory():
    """A transfer that ended is forgotten; bytes of one that is not known count nothing."""
    live = Live()
    events: list[Event] = [begun(1), Received(transfer_id=1, received=10), Received(transfer_id=1, received=4)]
    events += [Received(transfer_id=1, received=9), Received(transfer_id=2, received=99), over(1)]
    for event in events:
        live.hear(event)
    assert (dict(live.running), live.received) == ({}, 15)
