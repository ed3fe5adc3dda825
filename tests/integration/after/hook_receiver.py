"""A receiver of webhooks that remembers what came, and answers as it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Post:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, in order; ``answers`` are given one after another, then 204."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    #: Called before each answer.
    meanwhile: Callable[[], Awaitable[None]] | None = None
    under_way: int = 0
    most_at_once: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Remember it, and answer."""
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            body = await request.read()
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.posts.append(Post(request.path_qs, headers, body))
            if self.meanwhile is not None:
                await self.meanwhile()
            return self.answers.pop(0) if self.answers else web.Response(status=204)
        finally:
            self.under_way -= 1


@asynccontextmanager
async def receiver(*answers: web.Response) -> AsyncIterator[Receiver]:
    """Listens on this machine as long as the block lasts."""
    made = Receiver(answers=list(answers))
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
