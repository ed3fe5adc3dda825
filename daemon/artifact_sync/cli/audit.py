"""`artifact-sync audit`: list GitLab completely, and prove that nothing selected is missing."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.holder import Worker, holder
from artifact_sync.cli.jsonl import JsonLines, dumps
from artifact_sync.cli.options import (
    Selection,
    config_option,
    json_option,
    load_settings,
    selection_options,
    verbose_option,
)
from artifact_sync.cli.plain import Plain
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import count
from artifact_sync.core.events import Audited, Emit, ProjectFailed
from artifact_sync.engine import resolve
from artifact_sync.engine.accounts import Accounts
from artifact_sync.engine.audit import audit
from artifact_sync.errors import CredentialRefused, RemoteError
from artifact_sync.ports import TransferState
from artifact_sync.store.layout import LOCK

__all__ = ["command"]

_INCOMPLETE = 5


@dataclass(slots=True)
class _Totals:
    audited: list[Audited] = field(default_factory=list)
    problems: list[RemoteError] = field(default_factory=list)
    #: Transfers that were given up: known, so not missing, and not mirrored either.
    failed: int = 0
    #: Who will work on what is wanted now.
    worker: Worker | None = None
    recorded: bool = True

    @property
    def missing(self) -> int:
        return sum(event.missing for event in self.audited)

    @property
    def ahead(self) -> int:
        return sum(event.ahead for event in self.audited)

    @property
    def complete(self) -> bool:
        """Nothing was missed, and what is new is a running daemon's next work."""
        return not self.missing and (not self.ahead or self.worker is not None)

    @property
    def exit_code(self) -> int:
        if not self.complete:
            return _INCOMPLETE
        return max((problem.exit_code for problem in self.problems), default=0)


@click.command("audit")
@config_option
@selection_options
@json_option
@verbose_option
def command(config_path: Path | None, *, selection: Selection, as_json: bool, verbose: bool) -> int:
    """List every project of the rules completely, and compare with what is mirrored or waits to be.

    May run beside the daemon. What is missing is put into the queue, which is all that changes: the daemon, or the next
    sync, fetches it. Ends with 5 when something was missing.
    """
    settings = load_settings(config_path, selection)
    totals = _Totals()
    # Never bars: nothing is transferred.
    tell = JsonLines(sys.stdout) if as_json else Plain(sys.stdout, verbose=verbose)

    async def work() -> int:
        async with app.read(settings) as reading:
            totals.recorded = reading.recorded
            try:
                await _audit(reading, totals, tell)
            finally:
                await Accounts(reading.means(tell)).settle()
            totals.failed = (await reading.state.summary()).by_state.get(TransferState.FAILED, 0)
        totals.worker = holder(settings.store_path / LOCK)
        if totals.problems and not totals.audited:
            raise totals.problems[0]
        if as_json:
            print(dumps({"event": "summary", **_facts(totals)}), flush=True)
        else:
            tell.say(_words(totals))
        return totals.exit_code

    return finish(supervise(work))


async def _audit(reading: app.Reading, totals: _Totals, tell: Emit) -> None:
    resolved = await resolve(reading.remote, reading.rules)
    for subject, failure in resolved.failures.items():
        _troubled(subject, failure, totals, tell)
    for project in resolved.projects.values():
        try:
            audited = await audit(project, reading.means(tell))
        except CredentialRefused:
            raise
        except RemoteError as error:
            _troubled(project.path_with_namespace, error, totals, tell)
        else:
            totals.audited.append(audited)


def _troubled(subject: str, error: RemoteError, totals: _Totals, tell: Emit) -> None:
    totals.problems.append(error)
    tell(ProjectFailed(project=subject, error=str(error), hint=error.hint))


def _facts(totals: _Totals) -> dict[str, object]:
    return {
        "projects": len(totals.audited),
        "jobs": sum(event.jobs for event in totals.audited),
        "selected": sum(event.selected for event in totals.audited),
        "missing": totals.missing,
        "ahead": totals.ahead,
        "failed": totals.failed,
        "problems": [str(problem) for problem in totals.problems],
        "complete": totals.complete and not totals.problems,
    }


def _words(totals: _Totals) -> str:
    jobs, selected = sum(event.jobs for event in totals.audited), sum(event.selected for event in totals.audited)
    head = f"Audited {count(len(totals.audited), 'project')}, {count(jobs, 'job')}, {selected:,} selected: "
    told = f"{totals.missing:,} missed" if totals.missing else "none missed"
    if totals.ahead:
        told += f", {totals.ahead:,} new, which no pass has looked at"
    if totals.failed:
        told += f"; {count(totals.failed, 'transfer')} had failed for good (`artifact-sync status` names them)"
    if totals.problems:
        told += f"; {count(len(totals.problems), 'project')} could not be asked"
    return f"{head}{told}.{_next(totals)}"


def _next(totals: _Totals) -> str:
    if not totals.missing + totals.ahead:
        return ""
    if not totals.recorded:
        return " There is no state yet, so nothing was put into the queue: `artifact-sync sync` fetches it."
    if totals.worker is not None:
        return f" Put into the queue; {totals.worker.name} comes to it within minutes."
    return " Put into the queue; no daemon runs, and `artifact-sync sync` fetches it."
