"""`artifact-sync plan`: what a pass would fetch, keep and prune, and why; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.estimate import Estimate, Forecast
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import Selection, config_option, json_option, load_settings, selection_options
from artifact_sync.cli.plan_fetches import Fetches
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.retention_lines import plan_facts, plan_lines
from artifact_sync.cli.words import count, one_line, size, span
from artifact_sync.core.model import Project
from artifact_sync.core.retention import RetentionPlan
from artifact_sync.engine import planned, resolve
from artifact_sync.errors import CredentialRefused, RemoteError

__all__ = ["command"]


@dataclass(slots=True)
class _Totals:
    fetched: int = 0
    size: int = 0
    mirrored: int = 0
    keeps: int = 0
    #: What retention would take of what is mirrored and what would come.
    retention: RetentionPlan = field(default_factory=lambda: RetentionPlan(groups=()))
    #: How much of what is fetched goes again at once.
    in_vain: int = 0
    in_vain_size: int = 0
    problems: list[RemoteError] = field(default_factory=list)
    estimate: Estimate = field(default_factory=Estimate)


@click.command("plan")
@config_option
@selection_options
@json_option
def command(config_path: Path | None, *, selection: Selection, as_json: bool) -> int:
    """Show what a pass would fetch, keep and prune, and why; changes nothing, also beside a running daemon."""
    settings = load_settings(config_path, selection)
    totals = _Totals()

    async def work() -> int:
        async with app.read(settings) as reading:
            resolved = await resolve(reading.remote, reading.rules)
            totals.problems += resolved.failures.values()
            totals.estimate.found = len(resolved.projects)
            fetches = Fetches(reading, as_json=as_json)
            for project in resolved.projects.values():
                await _project(project, reading, totals, fetches)
            watched = (await reading.state.summary()).watched_pipelines
            totals.retention = await fetches.end()
            totals.in_vain, totals.in_vain_size = fetches.in_vain, fetches.in_vain_size
            _prunes(totals, as_json=as_json)
        if totals.problems and not resolved.projects:
            raise totals.problems[0]
        requests = settings.gitlab.requests
        forecast = totals.estimate.forecast(
            reading.rules,
            watched=watched,
            now=reading.clock.now(),
            per_minute=requests.per_minute,
            keep_share=requests.keep_share,
        )
        if as_json:
            prune = plan_facts(totals.retention, share=reading.policy.max_delete)
            print(dumps({"event": "summary", **_summary_facts(totals, forecast), "prune": prune}))
        else:
            print("\n".join(_summary(totals, forecast, per_minute=requests.per_minute)))
            if totals.retention.removed or totals.retention.orphans:
                print("\n".join(plan_lines(totals.retention, share=reading.policy.max_delete, orphans=False)))
        return 1 if totals.problems else 0

    return finish(supervise(work))


async def _project(project: Project, reading: app.Reading, totals: _Totals, fetches: Fetches) -> None:
    coming = planned(
        project,
        remote=reading.remote,
        state=reading.state,
        clock=reading.clock,
        rules=reading.rules,
        policy=reading.policy,
        survey=totals.estimate.survey,
    )
    try:
        async for plan in coming:
            if not plan.missing:
                totals.mirrored += 1
                continue
            totals.fetched += 1
            totals.size += plan.size or 0
            totals.keeps += len(plan.keeps)
            totals.estimate.add(plan)
            fetches.add(plan)
    except CredentialRefused:
        raise
    except RemoteError as error:
        totals.problems.append(error)


def _prunes(totals: _Totals, *, as_json: bool) -> None:
    """What the pass would prune of what is mirrored."""
    for verdict in totals.retention.removed:
        held = verdict.held
        if held.id < 0:
            continue
        if as_json:
            facts = {"project": held.project, "job_id": held.job_id, "job": held.job, "ref": held.ref}
            print(dumps({"event": "prune", **facts, "dest": held.dest, "size": held.size, "reasons": verdict.reasons}))
        else:
            job = f"{held.project} {held.ref} {held.job} #{held.job_id}"
            print(one_line(f"prune  {job} ({size(held.size)}; {', '.join(verdict.reasons)}) -> trash"), flush=True)


def _summary_facts(totals: _Totals, forecast: Forecast) -> dict[str, object]:
    return {
        "fetch": totals.fetched,
        "size": totals.size,
        "mirrored": totals.mirrored,
        "jobs": totals.estimate.survey.jobs,
        "keeps": totals.keeps,
        "pruned_again": {"fetch": totals.in_vain, "size": totals.in_vain_size},
        "requests": {
            "projects": forecast.projects,
            "pages": forecast.pages,
            "pipelines": forecast.pipelines,
            "downloads": forecast.downloads,
            "keeps": forecast.keeps,
            "total": forecast.requests,
        },
        "seconds": forecast.seconds,
        "history": {"requests": forecast.history, "seconds": forecast.history_seconds},
        "problems": [str(problem) for problem in totals.problems],
    }


def _summary(totals: _Totals, forecast: Forecast, *, per_minute: float) -> Iterator[str]:
    for problem in totals.problems:
        yield one_line(f"failed {problem}" + (f" (hint: {problem.hint})" if problem.hint else ""))
    yield (
        f"A pass would fetch {count(totals.fetched, 'job')} ({size(totals.size)}); {count(totals.mirrored, 'job')} mirrored"
        f" already, {count(totals.keeps, 'keep')} to be scheduled. Nothing was changed."
    )
    if totals.in_vain:
        yield (
            f"{count(totals.in_vain, 'job')} of them ({size(totals.in_vain_size)}) would be fetched in vain: `retain` lets them go"
            " at the next look. Narrow `when` or poll.backfill, or widen `retain`."
        )
    parts = (
        (forecast.projects, "to find the projects"),
        (forecast.pages, "for pages of jobs"),
        (forecast.pipelines, "for pipelines that move"),
        (forecast.downloads, "downloads"),
        (forecast.keeps, "for keeps"),
    )
    listed = ", ".join(f"{number:,} {what}" for number, what in parts if number)
    yield (
        f"It would take {count(forecast.requests, 'request')} to GitLab ({listed}): at least {span(forecast.seconds)} at"
        f" gitlab.requests.per_minute {per_minute:g}."
    )
    if forecast.history:
        yield (
            f"{count(forecast.history, 'request')} of them, {span(forecast.history_seconds)}, are for history, which the daemon"
            " walks newest first, below what is new."
        )
