"""`artifact-sync sync`: one complete pass, with a configuration or with options in place of one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli import sandbox
from artifact_sync.cli.holder import Worker, alone
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.notices import notice
from artifact_sync.cli.options import (
    Selection,
    config_option,
    json_option,
    load_settings,
    moved_option,
    selection_options,
    verbose_option,
)
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.reporter import reporter
from artifact_sync.cli.words import count, size
from artifact_sync.core.events import Discovered, Event, Kept, Stopping
from artifact_sync.core.model import KeepResult
from artifact_sync.engine import SyncReport
from artifact_sync.observe import configure, fan_out
from artifact_sync.observe.tracing import tracing
from artifact_sync.store.layout import LOCK

__all__ = ["command"]

_FAILED, _INCOMPLETE = 1, 5


@click.command("sync")
@config_option
@selection_options
@click.option("--strict", is_flag=True, help="End with 5 when not everything is mirrored.")
@moved_option
@json_option
@verbose_option
def command(
    config_path: Path | None, *, selection: Selection, strict: bool, moved: bool, as_json: bool, verbose: bool
) -> int:
    """Do one complete pass and exit: look at every project, mirror what the rules select, keep what is due.

    Without a configuration, --url and --project say what: --url https://gitlab.example.com --project group/app
    """
    settings = load_settings(config_path, selection)
    sandbox.refuse(settings.store_path)
    if verbose:
        configure(level="debug", words=notice, masking=app.masking(settings))
    with tracing(app.masking(settings)), reporter(as_json=as_json, verbose=verbose) as tell:
        seen = _Seen()

        async def work() -> int:
            with alone(settings.store_path / LOCK, _instead):
                async with app.build(settings, emit=fan_out(seen, tell), moved=moved) as engine:
                    report = await engine.sync()
            if as_json:
                print(dumps({"event": "summary", "at": datetime.now(UTC), **_facts(report, seen)}), flush=True)
            else:
                tell.say(_words(report, seen))
            if strict and not report.complete:
                return _INCOMPLETE
            return _FAILED if report.failed or report.problems or report.hooks_failed else 0

        return finish(supervise(work, on_stop=lambda number: tell(Stopping(reason=number.name))))


def _instead(who: Worker) -> str:
    """What helps somebody who wants one pass."""
    return f"Wait for it, or end {who.name}. A daemon does by itself what a sync does."


class _Seen:
    """What a pass came by beside its transfers."""

    def __init__(self) -> None:
        self.jobs = 0
        self.kept = 0
        self.unkept = 0

    def __call__(self, event: Event) -> None:
        match event:
            case Discovered():
                self.jobs += event.jobs
            case Kept(result=KeepResult.KEPT):
                self.kept += 1
            case Kept():
                self.unkept += 1


def _facts(report: SyncReport, seen: _Seen) -> dict[str, object]:
    return {
        "projects": report.projects,
        "jobs": seen.jobs,
        "kept": seen.kept,
        "not_kept": seen.unkept,
        "published": report.published,
        "published_bytes": report.published_bytes,
        "failed": report.failed,
        "unmirrored": report.unmirrored,
        "problems": [str(problem) for problem in report.problems],
        "hooks_done": report.hooks_done,
        "hooks_failed": report.hooks_failed,
        "hooks_waiting": report.hooks_waiting,
        "complete": report.complete,
    }


def _words(report: SyncReport, seen: _Seen) -> str:
    looked = f"looked at {count(report.projects, 'project')}, {count(seen.jobs, 'new or moving job')}"
    mirrored = f"mirrored {count(report.published, 'job')} ({size(report.published_bytes)})" if report.published else ""
    failed = f"{report.failed} failed" if report.failed else ""
    if report.unmirrored > report.failed:
        earlier = report.unmirrored - report.failed
        failed += (
            f"{', ' if failed else ''}{earlier} failed for good in earlier passes (`artifact-sync status` names them)"
        )
    problems = f"{count(len(report.problems), 'project')} could not be looked at" if report.problems else ""
    told = ", ".join(
        part
        for part in (looked, mirrored or "nothing new to mirror", failed, problems, _kept(seen), _hooks(report))
        if part
    )
    if report.complete:
        return f"Done: {told}."
    return f"Not everything is mirrored: {told}."


def _hooks(report: SyncReport) -> str:
    words = [f"ran {count(report.hooks_done, 'hook')}"] if report.hooks_done else []
    words += [
        f"{count(report.hooks_failed, 'hook')} failed (`artifact-sync hooks` says why)" if report.hooks_failed else ""
    ]
    words += [f"{count(report.hooks_waiting, 'hook')} left to a later pass" if report.hooks_waiting else ""]
    return ", ".join(word for word in words if word)


def _kept(seen: _Seen) -> str:
    words = [f"kept {seen.kept} in GitLab"] if seen.kept else []
    words += [f"{count(seen.unkept, 'keep')} in vain"] if seen.unkept else []
    return ", ".join(words)
