"""The first page: what is at risk, what goes on, what came last, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from aiohttp import web

from artifact_sync.core.words import size
from artifact_sync.ports import Trouble
from artifact_sync.ports.browsing import Scope
from artifact_sync.web.context import replica_of
from artifact_sync.web.dashboard.context import Dashboard, dashboard_of, scope_of
from artifact_sync.web.dashboard.cures import CURES
from artifact_sync.web.dashboard.entering import page
from artifact_sync.web.dashboard.figures import SPANS, Gauge
from artifact_sync.web.dashboard.history import COARSE, FINE, Sample
from artifact_sync.web.dashboard.pages import pages_of
from artifact_sync.web.dashboard.plots import Plot, bars, line
from artifact_sync.web.finding import grant_of

__all__ = ["routes"]

#: Rows of a list, and of a short one.
_ROWS, _FEW = 20, 10
#: Bars of what expires: so many hours, and so many days.
_HOURS, _DAYS = 48, 30
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
#: What is long overdue counts as well.
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@page
async def _overview(request: web.Request) -> web.StreamResponse:
    """GET /."""
    dashboard, grant = dashboard_of(request), grant_of(request)
    now, scope = replica_of(request).clock.now(), await scope_of(dashboard, grant)
    browsing, live = dashboard.browsing, dashboard.live
    # Figures of the whole mirror tell of projects that a token may not open.
    figures = await dashboard.gauge.figures() if scope is None else None
    overdue, *hours = await browsing.expiring(scope, [_EVER, *(now + number * _HOUR for number in range(_HOURS + 1))])
    days = await browsing.expiring(scope, [now + number * _DAY for number in range(_DAYS + 1)])
    risks = figures.at_risk if figures is not None else [overdue + sum(hours[: span // _HOUR]) for span in SPANS]
    return pages_of(request).answer(
        "overview",
        here="overview",
        readers=replica_of(request).readers,
        now=now,
        figures=figures,
        risks=[(f"{span // _HOUR} h", number) for span, number in zip(SPANS, risks, strict=True)],
        overdue=overdue,
        at_risk=await browsing.at_risk(scope, limit=_FEW),
        running=await browsing.running(scope, limit=_ROWS),
        live=live,
        plots=_plots(dashboard.gauge, now) if figures is not None else (),
        timelines=_timelines(hours, days),
        recent=await browsing.recent(scope, limit=_ROWS, also=live.published),
        failed=await browsing.failed(scope, limit=_FEW),
        cures=CURES,
        troubles=await _troubles(dashboard, scope),
        gitlab=replica_of(request).gitlab,
    )


async def _troubles(dashboard: Dashboard, scope: Scope) -> Sequence[Trouble]:
    """A subject is a project's path, or what a rule names: that is shown to who may see all."""
    found = await dashboard.browsing.troubles(limit=_FEW if scope is None else -1)
    if scope is None:
        return found
    shown = {project.path for project in await dashboard.browsing.projects() if project.id in scope}
    return [trouble for trouble in found if trouble.subject in shown][:_FEW]


def _plots(gauge: Gauge, now: datetime) -> list[Plot]:
    history = gauge.history
    fine, coarse = list(history.fine), list(history.coarse)
    return [
        _rate(fine, "rate-2h", "Throughput, 2 hours", now, FINE[0], timedelta(minutes=30)),
        _waiting(fine, "backlog-2h", "Backlog, 2 hours", now, FINE[0], timedelta(minutes=30)),
        _rate(coarse, "rate-3d", "Throughput, 3 days", now, COARSE[0], timedelta(hours=12)),
        _waiting(coarse, "backlog-3d", "Backlog, 3 days", now, COARSE[0], timedelta(hours=12)),
    ]


def _rate(samples: Sequence[Sample], name: str, title: str, now: datetime, span: timedelta, every: timedelta) -> Plot:
    values = [(sample.at, sample.rate) for sample in samples]
    return line(values, name=name, title=title, now=now, span=span, every=every, words=_per_second, binary=True)


def _waiting(
    samples: Sequence[Sample], name: str, title: str, now: datetime, span: timedelta, every: timedelta
) -> Plot:
    values = [(sample.at, float(sample.waiting)) for sample in samples]
    return line(values, name=name, title=title, now=now, span=span, every=every, words=_number)


def _timelines(hours: Sequence[int], days: Sequence[int]) -> list[Plot]:
    return [
        bars(hours, name="expiry-hours", title="Not mirrored, by hour of expiry", unit="h", every=12),
        bars(days, name="expiry-days", title="Not mirrored, by day of expiry", unit="d", every=5),
    ]


def _per_second(value: float) -> str:
    return f"{size(int(value))}/s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    return [web.get("/", _overview)]
