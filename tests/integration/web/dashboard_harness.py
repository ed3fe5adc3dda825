"""The dashboard, served over what a rig has mirrored; and pages taken apart as a browser does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import aiohttp
from yarl import URL

from artifact_sync.state.browsing import SqliteBrowsing
from artifact_sync.state.overview import SqliteOverview
from artifact_sync.web import Limits, Reader, serve
from artifact_sync.web.dashboard import Dashboard, Gauge, Live, dashboard
from artifact_sync.web.dashboard.stream import Stream
from tests.integration.engine.engine_harness import Rig
from tests.integration.web.web_harness import replica_of

#: For tests that wait for what a page is told.
QUICK = Stream(pace=0.05, changed=0.1, heartbeat=0.3, by_clock=0.3, taken=1.0, readers=4)


@dataclass
class Shown:
    """A dashboard that answers."""

    rig: Rig
    url: str
    live: Live
    shown: Dashboard


@asynccontextmanager
async def shown(rig: Rig, *readers: Reader, pace: Stream = QUICK, limits: Limits | None = None) -> AsyncIterator[Shown]:
    """Serve the replica and the dashboard of what the rig has."""
    live = Live()
    for event in rig.events:
        live.hear(event)
    made = Dashboard(
        browsing=SqliteBrowsing(rig.state),
        gauge=Gauge(SqliteOverview(rig.state, lambda: tuple(rule.name for rule in rig.rules)), live, rig.clock),
        live=live,
        explains=rig.engine,
        remote=rig.remote,
    )
    parts = [dashboard(made, pace=pace)]
    async with serve(replica_of(rig, readers), host="127.0.0.1", port=0, limits=limits, parts=parts) as (host, port):
        yield Shown(rig, f"http://{host}:{port}", live, made)


@dataclass
class Page:
    """What a browser sees of a page."""

    status: int
    headers: dict[str, str]
    text: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: str = ""

    def links(self, start: str = "/") -> list[str]:
        """Where its links lead."""
        return [of["href"] for tag, of in self.tags if tag == "a" and of.get("href", "").startswith(start)]


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"bdi", "a", "span", "strong"}:
            self._page.words += " "
        self._page.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self._page.words += data


async def look(http: aiohttp.ClientSession, url: str | URL, **options: Any) -> Page:
    """One page, without following where it leads."""
    async with http.get(url, allow_redirects=False, **options) as answer:
        page = Page(answer.status, dict(answer.headers), await answer.text())
    _Reader(page).feed(page.text)
    page.words = " ".join(page.words.split())
    return page
