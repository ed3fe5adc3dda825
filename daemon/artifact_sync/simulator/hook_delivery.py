"""Delivering webhooks, as Sidekiq's workers do: some at once, in no certain order, each once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

from artifact_sync.simulator.hooks import Posting
from artifact_sync.simulator.world import World

__all__ = ["delivering"]

#: Threads of a Sidekiq process (https://docs.gitlab.com/administration/sidekiq/extra_sidekiq_processes/, by default).
_AT_ONCE = 20


@asynccontextmanager
async def delivering(world: World) -> AsyncIterator[None]:
    """Deliver until left. A task of asyncio's own, because fixtures of tests are left in another task than entered."""
    come = asyncio.Event()
    world.hooks.base, world.hooks.wake = world.external_url or world.url, come.set
    if world.hooks.waiting:
        come.set()
    task = asyncio.create_task(_deliver(world, come))
    try:
        yield
    finally:
        world.hooks.wake = lambda: None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _deliver(world: World, come: asyncio.Event) -> None:
    await come.wait()
    limit = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session, asyncio.TaskGroup() as group:
        while True:
            await come.wait()
            come.clear()
            while world.hooks.waiting:
                await limit.acquire()
                posting = world.hooks.waiting.popleft()
                group.create_task(_post(world, session, posting)).add_done_callback(lambda _: limit.release())


async def _post(world: World, session: aiohttp.ClientSession, posting: Posting) -> None:
    """Follows no redirect, and waits no longer than the hook's timeout (app/services/web_hook_service.rb).

    What a disabled hook would be told now is told to nobody, ever.
    """
    hook = posting.hook
    if not hook.takes(world.clock.now()):
        hook.dropped += 1
        return
    try:
        async with session.post(
            hook.url,
            data=posting.body,
            headers=posting.headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=hook.timeout),
        ) as answer:
            await answer.read()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        status = 0
    hook.answered(status, world.clock.now())
