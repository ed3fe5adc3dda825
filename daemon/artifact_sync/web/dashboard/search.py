"""What is called so."""

from __future__ import annotations

from aiohttp import web

from artifact_sync.web.context import replica_of
from artifact_sync.web.dashboard.context import dashboard_of, scope_of
from artifact_sync.web.dashboard.entering import page
from artifact_sync.web.dashboard.pages import pages_of
from artifact_sync.web.finding import grant_of

__all__ = ["routes"]

#: Characters of a question that are looked at, and rows of the answer.
_LONGEST = 200
_PROJECTS, _ROWS = 20, 50


@page
async def _search(request: web.Request) -> web.StreamResponse:
    """GET /search with ``q``: projects by path; jobs by number, or by the words in where they are published."""
    dashboard, grant = dashboard_of(request), grant_of(request)
    asked = request.query.get("q", "").strip()[:_LONGEST].encode("utf-8", "replace").decode()
    found, projects = [], []
    if asked:
        found = list(await dashboard.browsing.search(asked, await scope_of(dashboard, grant), limit=_ROWS))
        words = asked.casefold().split()
        projects = [
            one
            for one in await dashboard.browsing.projects()
            if grant.sees(one) and all(word in one.path.casefold() for word in words)
        ]
    return pages_of(request).answer(
        "search",
        here="search",
        readers=replica_of(request).readers,
        asked=asked,
        projects=projects[:_PROJECTS],
        more_projects=max(0, len(projects) - _PROJECTS),
        found=found,
        full=len(found) == _ROWS,
    )


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    return [web.get("/search", _search)]
