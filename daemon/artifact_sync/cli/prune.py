"""`artifact-sync prune`: retention now; `--undo` brings back what it took."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import anyio
import click

from artifact_sync import app
from artifact_sync.cli.holder import holder
from artifact_sync.cli.jsonl import JsonLines, dumps
from artifact_sync.cli.options import config_option, json_option, load_settings
from artifact_sync.cli.plain import Plain
from artifact_sync.cli.process import Stopped, finish, supervise
from artifact_sync.cli.retention_lines import (
    group_facts,
    group_lines,
    limit_words,
    plan_facts,
    plan_lines,
    report_words,
)
from artifact_sync.cli.words import count, one_line, size
from artifact_sync.config import Settings
from artifact_sync.core.retention import RetentionPlan
from artifact_sync.engine.holdings import beyond, plan_of
from artifact_sync.engine.janitor import is_meant
from artifact_sync.errors import ArtifactSyncError, StoreLocked, UsageError
from artifact_sync.ports import PruneOrder, PruneReport, QueuedTransfer
from artifact_sync.store.layout import LOCK

__all__ = ["command"]

#: Seconds that another process has for an order, and between two looks at whether it is done.
_PATIENCE, _LOOK = 900.0, 0.5


@click.command("prune")
@click.argument("only", metavar="[WHAT]...", nargs=-1)
@click.option("--dry-run", "-n", is_flag=True, help="Show what stays and goes, and why; change nothing.")
@click.option("--orphans", is_flag=True, help="Also prune what no present rule selects.")
@click.option("--undo", is_flag=True, help="Bring back what is in the trash: all, or WHAT.")
@click.option("--yes", "-y", is_flag=True, help="Prune also more than retention.max_delete, without asking.")
@config_option
@json_option
def command(
    only: tuple[str, ...],
    config_path: Path | None,
    *,
    dry_run: bool,
    orphans: bool,
    undo: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Prune what no rule's `retain` keeps: into the trash, from where --undo brings it back for retention.trash.

    WHAT names what --undo brings back: a destination or a folder above it, a project, or a job as #123. Beside a running
    daemon the daemon does it. The space is free once the trash is emptied: in time, or early where the disk is below
    store.min_free.
    """
    if only and not undo:
        raise UsageError(f"{only[0]} cannot be pruned by itself", hint="Rules decide what goes; WHAT is for --undo.")
    if undo and orphans:
        raise UsageError("--undo and --orphans exclude each other", hint="Leave one out.")
    settings = load_settings(config_path)
    if undo:
        order = PruneOrder(undo=True, only=only)
        return finish(supervise(lambda: _undo(settings, order, dry_run=dry_run, as_json=as_json)))
    plans: list[RetentionPlan] = []

    async def look() -> int:
        async with app.read(settings) as reading:
            plan = await plan_of(
                reading.state, reading.rules, now=reading.clock.now(), linked=reading.linked, orphans=orphans
            )
        plans.append(plan)
        return 0

    seen = supervise(look)
    if isinstance(seen, Stopped):
        return seen.exit_code
    (plan,) = plans
    share = settings.retention.max_delete
    if dry_run:
        _show(plan, share, orphans=orphans, as_json=as_json)
        return 0
    too_much = beyond(plan, share)
    if too_much and not yes:
        if as_json or not sys.stdin.isatty():
            raise ArtifactSyncError(
                f"{len(plan.removed):,} of {count(plan.count, 'publication')} would go. {limit_words(plan, share)}",
                hint="See them with --dry-run; add --yes if that is meant.",
            )
        print("\n".join(plan_lines(plan, share=share, orphans=orphans)), flush=True)
        # Asked outside of the event loop, which must not wait for a person, nor keep Ctrl-C from one.
        if not click.confirm("Prune them?"):
            print("Nothing was changed.")
            return 1
    order = PruneOrder(orphans=orphans, limited=not too_much)
    return finish(supervise(lambda: _carry_out(settings, order, as_json=as_json)))


def _show(plan: RetentionPlan, share: float, *, orphans: bool, as_json: bool) -> None:
    for group in plan.groups:
        if as_json:
            print(dumps({"event": "group", **group_facts(group)}))
        else:
            print("\n".join(group_lines(group)))
    if as_json:
        print(dumps({"event": "summary", "dry_run": True, **plan_facts(plan, share=share)}))
    else:
        print("\n".join([*plan_lines(plan, share=share, orphans=orphans), "Nothing was changed."]))


async def _undo(settings: Settings, order: PruneOrder, *, dry_run: bool, as_json: bool) -> int:
    async with app.read(settings) as reading:
        found = [queued async for queued in reading.state.in_trash() if is_meant(queued, order.only)]
    if not found:
        what = f" of {', '.join(order.only)}" if order.only else ""
        print(dumps({"event": "summary", **asdict(PruneReport())}) if as_json else f"Nothing{what} is in the trash.")
        return 1 if order.only else 0
    if dry_run:
        for queued in found:
            print(dumps({"event": "restorable", **_facts(queued)}) if as_json else _line(queued))
        return 0
    return await _carry_out(settings, order, as_json=as_json)


async def _carry_out(settings: Settings, order: PruneOrder, *, as_json: bool) -> int:
    report = await _by_this_process(settings, order, as_json=as_json)
    if report is None:
        report = await _by_the_other(settings, order, as_json=as_json)
    if as_json:
        print(dumps({"event": "summary", **asdict(report)}), flush=True)
    else:
        print("\n".join(one_line(line) for line in report_words(report, undo=order.undo)), flush=True)
    return 1 if report.problems else 0


async def _by_this_process(settings: Settings, order: PruneOrder, *, as_json: bool) -> PruneReport | None:
    """None where another process works on the store."""
    if holder(settings.store_path / LOCK) is not None:
        return None
    # Never bars: nothing is transferred.
    tell = JsonLines(sys.stdout) if as_json else Plain(sys.stdout)
    try:
        async with app.build(settings, emit=tell) as engine:
            return await engine.janitor.prune(order)
    except StoreLocked:
        return None


async def _by_the_other(settings: Settings, order: PruneOrder, *, as_json: bool) -> PruneReport:
    """Leave the order where the process that works on the store finds it, and wait for its answer."""
    who = holder(settings.store_path / LOCK)
    if not as_json:
        print(
            f"{who.name if who is not None else 'The daemon'} works on the store, and does it within a minute.",
            flush=True,
        )
    async with app.read(settings) as reading:
        number = await reading.state.order_prune(order, reading.clock.now())
        report: PruneReport | None = None
        try:
            with anyio.move_on_after(_PATIENCE):
                while (report := await reading.state.order_answer(number)) is None:
                    if holder(settings.store_path / LOCK) is None:
                        break
                    await anyio.sleep(_LOOK)
        finally:
            with anyio.CancelScope(shield=True):
                withdrawn = report is None and await reading.state.withdraw_order(number)
                report = report or await reading.state.order_answer(number)
    if report is None or withdrawn:
        raise ArtifactSyncError(
            "the process that works on the store did not prune",
            hint="It ended, or is busy with a pass: try again. `artifact-sync status` shows how it stands.",
        )
    return report


def _facts(queued: QueuedTransfer) -> dict[str, object]:
    transfer, pruned = queued.transfer, queued.pruned
    return {
        "project": transfer.project_path,
        "ref": transfer.job.ref,
        "job": transfer.job.name,
        "job_id": transfer.job.id,
        "dest": transfer.dest,
        "size": queued.size,
        "pruned": pruned,
    }


def _line(queued: QueuedTransfer) -> str:
    transfer = queued.transfer
    why = f" ({queued.pruned.why})" if queued.pruned is not None else ""
    job = f"{transfer.project_path} {transfer.job.ref} {transfer.job.name} #{transfer.job.id}"
    return one_line(f"restore  {job}: {size(queued.size)}{why} -> {transfer.dest}")
