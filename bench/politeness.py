"""Measures how many requests are made, on a virtual clock: what comes of it is the same on every machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby
from statistics import median

from bench.backlog import SOON, Backlog, Mirrored, mirror
from bench.idle import Idleness, idle
from bench.virtual import PER_MINUTE

from artifact_sync.engine import EnginePolicy
from artifact_sync.simulator import Delivery

__all__ = ["requests"]

_MANY = Backlog(projects=1, pipelines=1250, jobs=4, archives=4)
_SOME = Backlog(projects=5, pipelines=500, jobs=5, archives=4, retried=50)


def requests() -> str:
    """Measure, and write the section of the results."""
    resting = idle()
    fast = mirror(replace(_MANY, keep_share=0.0))
    shared = mirror(_MANY)
    redirected = mirror(replace(_MANY, delivery=Delivery.REDIRECT))
    frugal = mirror(_SOME)
    hurried = mirror(replace(_SOME, expiry=SOON))
    rows = [
        *_idle_rows(resting),
        _elapsed_row(f"{_said(fast)}: minutes to the last one, with `keep_share: 0`", fast),
        _elapsed_row("the same, with a tenth of the budget for keeps alone: minutes", shared),
        _elapsed_row("the same, delivered by a redirect to an object store: minutes", redirected),
        _requests_row(f"{_said(frugal)}, which expire in twenty days: requests", frugal),
        _requests_row("the same, but all of them expire within the lead of a keep: requests", hurried),
    ]
    longest = round(EnginePolicy().max_interval.total_seconds() / 60)
    table = "\n".join(rows)
    return f"""## Requests

Measured with the daemon's own client, store, state and engine against the simulated GitLab on a virtual clock that moves
when nobody can do anything before it does; answers take no time, so these figures do not depend on the machine. Everything
is as the configuration has it by default: {PER_MINUTE} requests a minute, a project polled every minute and, while nothing
happens in it, down to every {longest} minutes, an audit a day. In the backlogs GitLab allows {PER_MINUTE} requests in each
minute of its clock and answers 429 to the rest.

| what | measured | at the least | ratio | what the least is, and where requests go |
|---|---|---|---|---|
{table}

The idle projects by hour, from the start: {_by_hour(resting.by_hour)}.
"""


def _idle_rows(resting: Idleness) -> list[str]:
    interval = EnginePolicy().max_interval
    minutes, hours = interval.total_seconds() / 60, len(resting.by_hour) - 1
    audits = resting.by_purpose["AUDIT"]
    told = f"{_kinds(resting.by_kind)}; {audits:,} of them for the audit"
    waits = sorted(resting.waits)
    return [
        _row(
            f"{resting.projects:,} idle projects: requests an hour at rest",
            f"{resting.at_rest:,.0f}",
            f"{resting.least:,.0f}",
            resting.at_rest / resting.least,
            f"each project asked once in {minutes:.0f} minutes",
        ),
        _row(
            f"the same: requests in {hours} hours after the first, with the audit",
            f"{resting.day:,}",
            f"{resting.least * hours:,.0f}",
            resting.day / (resting.least * hours),
            told,
        ),
        _row(
            f"the same: minutes from the end of a job to its mirrored archive, longest of {len(waits)}",
            f"{waits[-1]:.0f}",
            f"{minutes:.0f}",
            waits[-1] / minutes,
            f"the longest time between two polls; the median is {median(waits):.0f}",
        ),
    ]


def _elapsed_row(what: str, done: Mirrored) -> str:
    least = f"{done.least:,} requests at {done.backlog.rate:.0f} a minute; {_refusals(done)}"
    return _row(what, f"{done.minutes:.2f}", f"{done.least_minutes:.2f}", done.minutes / done.least_minutes, least)


def _requests_row(what: str, done: Mirrored) -> str:
    note = f"one for each archive; {_kinds(done.by_kind)}; {_refusals(done)}"
    return _row(what, f"{done.by_kind.total():,}", f"{done.backlog.wanted:,}", done.per_archive, note)


def _said(done: Mirrored) -> str:
    backlog = done.backlog
    projects = "1 project" if backlog.projects == 1 else f"{backlog.projects} projects"
    retried = f", {backlog.retried} of them superseded" if backlog.retried else ""
    return f"{backlog.wanted:,} archives of {backlog.listed:,} jobs{retried} in {projects}"


def _refusals(done: Mirrored) -> str:
    by_minute = [f"{count} in minute {minute + 1}" for minute, count in sorted(done.throttled.items())]
    return f"answers 429: {', '.join(by_minute) or 'none'}"


def _kinds(by_kind: Counter[str]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in by_kind.most_common())


def _by_hour(counts: list[int]) -> str:
    runs = [(count, len(list(hours))) for count, hours in groupby(counts)]
    return ", ".join(f"{count:,}" if times == 1 else f"{times} times {count:,}" for count, times in runs)


def _row(what: str, measured: str, least: str, ratio: float, note: str) -> str:
    return f"| {what} | {measured} | {least} | {ratio:.3f} | {note} |"
