"""`artifact-sync status`: how far the mirror is, from the state alone; works while the daemon runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.lag_lines import Behind
from artifact_sync.cli.options import Selection, config_option, json_option, selection_options
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.retention_lines import look_lines
from artifact_sync.cli.standing import hook_counts, hook_words
from artifact_sync.cli.stored import reading_settings, store_option
from artifact_sync.cli.words import ago, count, moment, size, span
from artifact_sync.config import Settings
from artifact_sync.core.timetable import Timetable
from artifact_sync.errors import Outcome
from artifact_sync.ports import HookFigures, KeepEntry, Progress, QueuedTransfer, Summary, TransferState

__all__ = ["command"]


@click.command("status")
@config_option
@store_option
@selection_options
@json_option
def command(config_path: Path | None, *, store: Path | None, selection: Selection, as_json: bool) -> int:
    """Show the backlog, how far each rule is behind, what is at risk, the last errors, the projects and the ledger of keeps."""
    settings = reading_settings(store, config_path, selection)

    async def work() -> int:
        async with app.read(settings) as reading:
            summary = await reading.state.summary()
            hooks = await reading.state.hook_figures()
            now = datetime.now(UTC)
            behind = await Behind.read(reading.overview, now)
        if as_json:
            told = {field.name: getattr(summary, field.name) for field in fields(summary)}
            print(dumps(told | behind.data() | {"hooks": hooks, "budget": _budget(settings)}))
        else:
            lines = (*_lines(summary, behind, now), *_hooks(hooks, now), *_limit(settings.downloads.timetable, now))
            print("\n".join(lines))
        return 0

    return finish(supervise(work))


def _budget(settings: Settings) -> dict[str, float]:
    requests = settings.gitlab.requests
    return {"per_minute": requests.per_minute, "keep_share": requests.keep_share}


def _lines(summary: Summary, behind: Behind, now: datetime) -> Iterator[str]:
    for trouble in summary.troubles:
        hint = f" (hint: {trouble.hint})" if trouble.hint else ""
        yield f"failing:   {trouble.subject}, for {span(now - trouble.since)}: {trouble.error}{hint}"
    states = (f"{summary.by_state.get(state, 0):,} {state}" for state in TransferState)
    yield f"transfers: {', '.join(states)}; {size(summary.published_bytes)} mirrored"
    yield from behind.lines(now)
    yield f"watched:   {count(summary.watched_pipelines, 'pipeline')} with jobs that may still finish"
    yield f"keeps:     {summary.keeps_due:,} scheduled"
    yield from look_lines(summary)
    yield from _counted(summary.counts)
    yield from _verified(summary, now)
    yield from _section("at risk, soonest first", [_risk(queued, now) for queued in summary.at_risk])
    yield from _section("last errors", [_error(queued) for queued in summary.failures])
    yield from _section("projects", [_project(progress, now) for progress in summary.projects])
    yield from _section(
        "last keeps",
        [
            f"{moment(entry.at)} {entry.project_path} {entry.job_name} #{entry.job_id}: {entry.result}{_cause(entry)} ({entry.reason})"
            for entry in summary.keeps
        ],
    )


def _counted(counts: Mapping[str, int]) -> Iterator[str]:
    def by_purpose(kind: str) -> dict[str, int]:
        return {name.partition(".")[2]: number for name, number in counts.items() if name.startswith(f"{kind}.")}

    requests, unchanged, throttled = by_purpose("requests"), by_purpose("unchanged"), by_purpose("throttled")
    if requests:
        purposes = ", ".join(f"{number:,} {purpose}" for purpose, number in requests.items())
        answers = f"{sum(unchanged.values()):,} unchanged, {sum(throttled.values()):,} refused with 429"
        yield f"requests:  {sum(requests.values()):,} so far: {purposes}; {answers}"
    ended = {outcome: counts.get(f"outcome.{outcome}", 0) for outcome in Outcome}
    if any(ended.values()):
        words = ", ".join(f"{number:,} {outcome}" for outcome, number in ended.items() if number)
        yield f"outcomes:  {words}"
    if audits := counts.get("audit.projects", 0):
        missing = counts.get("audit.missing", 0)
        yield f"audits:    {count(audits, 'project')}, {count(counts['audit.jobs'], 'job')}: {missing:,} had been missed"


def _hooks(figures: HookFigures, now: datetime) -> Iterator[str]:
    if not figures.by_state:
        return
    yield f"hooks:     {hook_counts(figures)}"
    troubled = [*figures.failures, *figures.retrying]
    yield from _section("hooks that failed or wait", [f"{_name(h.queued)}: {hook_words(h, now)}" for h in troubled])


def _limit(timetable: Timetable, now: datetime) -> Iterator[str]:
    if timetable.unlimited:
        return
    local = now.astimezone()
    limit = timetable.limit(local.time())
    yield f"bandwidth: {f'{size(limit)}/s' if limit else 'no limit'} at {local:%H:%M %Z}"


def _verified(summary: Summary, now: datetime) -> Iterator[str]:
    if summary.oldest_verified is None:
        return
    looked = summary.counts.get("scrub.publications", 0)
    last = f"last {ago(summary.last_verified, now)}" if summary.last_verified else "nothing read again yet"
    found = summary.counts.get("damage.found", 0)
    words = f"{last}, longest unread since {ago(summary.oldest_verified, now)}, {count(looked, 'publication')} in the background"
    yield f"verified:  {words}; {found:,} damaged so far, {summary.counts.get('damage.mended', 0):,} mended"


def _cause(entry: KeepEntry) -> str:
    return f": {entry.detail}" if entry.detail else ""


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield f"{title}: {'none' if not lines else ''}".rstrip()
    for line in lines:
        yield f"  {line}"


def _name(queued: QueuedTransfer) -> str:
    transfer = queued.transfer
    return f"{transfer.project_path} {transfer.job.ref} {transfer.job.name} #{transfer.job.id}"


def _risk(queued: QueuedTransfer, now: datetime) -> str:
    when = f"expires {ago(queued.transfer.deadline, now)}" if queued.transfer.deadline else "does not expire"
    return f"{_name(queued)}: {queued.state}, {when}, {count(queued.attempts, 'attempt')}"


def _error(queued: QueuedTransfer) -> str:
    again = f"; next try {moment(queued.next_attempt_at)}" if queued.next_attempt_at else ""
    return f"{_name(queued)}: {queued.outcome or 'failed'}: {queued.error}{again}"


def _project(progress: Progress, now: datetime) -> str:
    history = "history done" if progress.backfill_done else "history under way"
    return f"{progress.path}: looked at {ago(progress.polled_at, now)}, {history}"
