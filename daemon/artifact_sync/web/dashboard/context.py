"""What the pages work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from anyio import CapacityLimiter

from artifact_sync.core.model import Project
from artifact_sync.engine import Explanation
from artifact_sync.ports.browsing import Browsing, Scope
from artifact_sync.web.access import Grant
from artifact_sync.web.dashboard.figures import Gauge
from artifact_sync.web.dashboard.live import Live
from artifact_sync.web.dashboard.sessions import Sessions

__all__ = ["DASHBOARD", "Dashboard", "Explains", "dashboard_of", "scope_of"]


class Projects(Protocol):
    """Where projects are looked up that the mirror does not know."""

    async def project(self, path_or_id: str | int) -> Project:
        """As ``ports.Remote.project``."""


class Explains(Protocol):
    """Who says why a job is taken or not."""

    async def explain(self, project_id: int, job_id: int) -> Explanation:
        """As ``engine.Engine.explain``."""


def _explaining() -> CapacityLimiter:
    return CapacityLimiter(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """What is shown, beside what the replica serves."""

    browsing: Browsing
    gauge: Gauge
    live: Live
    explains: Explains
    remote: Projects
    sessions: Sessions = field(default_factory=Sessions)
    #: Each explanation asks GitLab: so many at a time, the others wait.
    explaining: CapacityLimiter = field(default_factory=_explaining)


DASHBOARD = web.AppKey("dashboard", Dashboard)


def dashboard_of(request: web.Request) -> Dashboard:
    """As a handler's request has it."""
    return request.config_dict[DASHBOARD]


async def scope_of(dashboard: Dashboard, grant: Grant) -> Scope:
    """The projects that are shown. Raises StateError."""
    if grant.everything:
        return None
    return [project.id for project in await dashboard.browsing.projects() if grant.sees(project)]
