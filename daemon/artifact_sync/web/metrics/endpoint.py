"""``/metrics`` for those who may see every project."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import anyio
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from artifact_sync.core.events import Event
from artifact_sync.ports.remote import TokenInfo
from artifact_sync.web.answers import forbidden
from artifact_sync.web.context import replica_of
from artifact_sync.web.metrics.figures import Figures, Readings, Sources
from artifact_sync.web.metrics.happenings import Happenings
from artifact_sync.web.metrics.standing import StandingCollector
from artifact_sync.web.metrics.watching import heartbeat, tokens

__all__ = ["METER", "Meter"]

#: Seconds that a reader waits for new figures; Prometheus' own patience is 10 s.
_PATIENCE = 5.0


class Meter:
    """Counts what it hears from the beginning, and tells the rest while it watches. Use ``part`` with ``web.serve``."""

    def __init__(self, rules: Iterable[str]) -> None:
        """``rules``: names of the configured ones, as they are at the start."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._happenings = Happenings(self.registry, rules)
        self._standing: StandingCollector | None = None
        self._readings: Readings | None = None
        self._asked = anyio.Event()

    def hear(self, event: Event) -> None:
        """Something happened."""
        self._happenings.hear(event)

    @asynccontextmanager
    async def watching(self, sources: Sources) -> AsyncIterator[None]:
        """Tell of these until left."""
        readings = Readings(partial(Figures.read, sources))
        standing = StandingCollector(sources, failures=lambda: readings.failures)
        self._readings, self._standing = readings, standing
        self.registry.register(standing)
        self._happenings.follow(sources.rules)

        def learn(known: Mapping[str, TokenInfo]) -> None:
            standing.tokens = known

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(readings.run)
                group.start_soon(heartbeat, sources.clock, self._happenings.loop_delay.observe)
                if sources.traffic is not None:
                    group.start_soon(tokens, sources.traffic, sources.clock, lambda: self._asked, learn)
                yield
                group.cancel_scope.cancel()
        finally:
            self.registry.unregister(standing)
            self._readings = self._standing = None

    def part(self, application: web.Application) -> None:
        """Add the route to an application."""
        application[METER] = self
        application.router.add_get("/metrics", _metrics)

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Everything in the format that is asked for, and its media type."""
        self._asked.set()
        self._asked = anyio.Event()
        if self._readings is not None:
            figures = await self._readings.latest(_PATIENCE)
            if self._standing is not None:
                self._standing.figures = figures
        try:
            encode, media_type = choose_encoder(accept)
        except (ValueError, TypeError):
            # A version that is none.
            encode, media_type = choose_encoder("")
        return encode(self.registry), media_type


METER = web.AppKey("meter", Meter)


async def _metrics(request: web.Request) -> web.StreamResponse:
    """Figures over all projects are nothing for who may see some of them."""
    if not replica_of(request).readers.grant(request).everything:
        raise forbidden()
    body, media_type = await request.config_dict[METER].exposition(request.headers.get("Accept", ""))
    headers = {"Content-Type": media_type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=body, headers=headers)
