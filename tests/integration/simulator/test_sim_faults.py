"""Faults by script do to an answer what they say."""

import gzip

import aiohttp
import pytest

from artifact_sync.simulator import faults
from artifact_sync.simulator.faults import Fault


async def fetched(scene, http, **options) -> tuple[int, bytes]:
    """Status and bytes of the archive; an error carries how many bytes came."""
    async with http.get(scene.job_url(scene.build, "/artifacts"), allow_redirects=False, **options) as answer:
        return answer.status, await answer.read()


@pytest.fixture
def whole(scene):
    """The archive's bytes."""
    return scene.build.spec.archive.content.data


async def test_another_answer(scene, running, http):
    """Once, at the second matching request."""
    action = faults.Answer(status=503, body="busy", headers={"Retry-After": "2"})
    fault = scene.world.faults.add(Fault(path=r"/artifacts$", method="GET", nth=2, times=1, action=action))
    assert [(await fetched(scene, http))[0] for _ in range(3)] == [200, 503, 200]
    assert (fault.matched, fault.fired) == (3, 1)
    assert [seen.status for seen in scene.world.requests] == [200, 503, 200]


@pytest.mark.parametrize("reset", [True, False])
async def test_a_connection_that_is_closed_before_the_headers(scene, running, http, reset):
    """Every attempt of a client ends without an answer, and is on record with status 0."""
    scene.world.faults.add(Fault(times=None, action=faults.Hangup(reset=reset)))
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetched(scene, http)
    assert {seen.status for seen in scene.world.requests} == {0}


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("delivery", ["local", "proxied"])
async def test_a_body_that_is_cut(scene, running, http, whole, reset, delivery):
    """Exactly the promised bytes arrive, then the connection ends."""
    scene.world.delivery = delivery
    scene.world.faults.add(Fault(action=faults.Cut(after=1000, reset=reset)))
    received = b""
    with pytest.raises(aiohttp.ClientError):  # noqa: PT012 -- the bytes before the end count
        async with http.get(scene.job_url(scene.build, "/artifacts")) as answer:
            async for chunk in answer.content.iter_any():
                received += chunk
    assert received == whole[:1000]


async def test_a_body_that_stalls(scene, running, http):
    """Silence after some bytes, until the client has enough."""
    scene.world.faults.add(Fault(action=faults.Stall(seconds=30, after=10)))
    with pytest.raises(aiohttp.SocketTimeoutError):
        await fetched(scene, http, timeout=aiohttp.ClientTimeout(sock_read=0.1))


async def test_headers_that_stall(scene, running, http):
    """Silence from the beginning."""
    scene.world.faults.add(Fault(action=faults.Stall(seconds=30)))
    with pytest.raises(aiohttp.SocketTimeoutError):
        await fetched(scene, http, timeout=aiohttp.ClientTimeout(sock_read=0.1))


async def test_a_body_that_trickles(scene, running, http, whole):
    """All of it, some bytes at a time."""
    scene.world.faults.add(Fault(action=faults.Trickle(size=500, seconds=0.001)))
    assert await fetched(scene, http) == (200, whole)


@pytest.mark.parametrize("delivery", ["local", "proxied"])
async def test_a_body_that_is_silently_short(scene, running, http, whole, delivery):
    """A well-formed answer with fewer bytes."""
    scene.world.delivery = delivery
    scene.world.faults.add(Fault(action=faults.Truncate(after=1500)))
    assert await fetched(scene, http) == (200, whole[:1500])


async def test_a_body_with_a_wrong_byte(scene, running, http, whole):
    """As long as it should be, and not the same."""
    scene.world.faults.add(Fault(action=faults.Corrupt(at=700)))
    _, found = await fetched(scene, http)
    assert [at for at, (left, right) in enumerate(zip(found, whole, strict=True)) if left != right] == [700]


async def test_a_body_of_nothing(scene, running, http):
    """200, and no byte."""
    scene.world.faults.add(Fault(action=faults.Empty()))
    assert await fetched(scene, http) == (200, b"")


async def test_a_compressed_body(scene, running, http, whole):
    """With Content-Encoding, unasked."""
    scene.world.faults.add(Fault(action=faults.Gzip()))
    async with http.get(scene.job_url(scene.build, "/artifacts")) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await answer.read()) == whole


async def test_a_range_that_is_ignored(scene, running, http, whole):
    """200 and everything."""
    scene.world.faults.add(Fault(action=faults.IgnoreRange()))
    assert await fetched(scene, http, headers={"Range": "bytes=100-"}) == (200, whole)


async def test_a_range_that_is_another(scene, running, http, whole):
    """206, honest about being wrong."""
    scene.world.faults.add(Fault(action=faults.WrongRange(shift=3)))
    async with http.get(scene.job_url(scene.build, "/artifacts"), headers={"Range": "bytes=100-"}) as answer:
        assert (answer.status, await answer.read()) == (206, whole[103:])
        assert answer.headers["Content-Range"].startswith("bytes 103-")


async def test_the_sign_in_page(scene, running, http):
    """As a redirect to it, and as its HTML with 200."""
    scene.world.faults.add(Fault(action=faults.SignIn()))
    async with http.get(scene.api("/projects/1"), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/users/sign_in")
    scene.world.faults.add(Fault(action=faults.SignInPage()))
    async with http.get(scene.api("/projects/1")) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "Sign in" in await answer.text()


async def test_a_fault_at_the_store(scene, running, http):
    """The second origin has its own script."""
    scene.world.delivery = "redirect"
    scene.world.faults.add(Fault(origin="storage", action=faults.Answer(status=503)))
    async with http.get(scene.job_url(scene.build, "/artifacts")) as answer:
        assert answer.status == 503
    assert [(seen.origin, seen.status) for seen in scene.world.requests] == [("gitlab", 302), ("storage", 503)]


async def test_chance_is_the_same_for_the_same_seed(scene, running, http):
    """A fault with a probability hits some, and the same ones every time."""
    runs = []
    for _ in range(2):
        script = faults.Faults(seed=7)
        script.add(Fault(times=None, probability=0.5, action=faults.Empty()))
        runs.append([script.strike("gitlab", "GET", "/") is not None for _ in range(40)])
    assert runs[0] == runs[1]
    assert 5 < sum(runs[0]) < 35
