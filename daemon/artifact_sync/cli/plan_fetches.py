"""What a plan would fetch, in lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from artifact_sync import app
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.latest_words import link_paths
from artifact_sync.cli.words import ago, one_line, size
from artifact_sync.core.retention import RetentionPlan
from artifact_sync.engine import Planned
from artifact_sync.engine.foretelling import Coming
from artifact_sync.ports import TransferState

__all__ = ["Fetches"]


class Fetches:
    """What would be fetched, told at once; in the end, where a rule may let go of anything, because only then all is known."""

    def __init__(self, reading: app.Reading, *, as_json: bool) -> None:
        self._reading = reading
        self._as_json = as_json
        self._now = reading.clock.now()
        self._coming = Coming(reading.rules, now=self._now)
        self._endless = all(rule.retain.endless for rule in reading.rules)
        #: By what the plan knows each, its size, and what is told of it.
        self._told: list[tuple[int, int, dict[str, object] | str]] = []
        #: How many of them go again at once, and their bytes.
        self.in_vain = 0
        self.in_vain_size = 0

    def add(self, plan: Planned) -> None:
        """One more."""
        links = tuple(link_paths([plan.transfer], self._reading.rules))
        told = _facts(plan, links) if self._as_json else _line(plan, self._now, links)
        if self._endless:
            self._tell(told, ())
            return
        known, length = plan.known, plan.size or 0
        # What is added to counts already.
        published = known if known is not None and known.state is TransferState.PUBLISHED else None
        number = published.id if published is not None else self._coming.add(plan.transfer, length)
        self._told.append((number, length, told))

    async def end(self) -> RetentionPlan:
        """Tell what is left to tell; what retention makes of all this and of what is mirrored. Raises StateError, StoreError."""
        reading = self._reading
        retention = await self._coming.plan(reading.state, linked=reading.linked, view=reading.copies.links)
        gone = {verdict.held.id: verdict.reasons for verdict in retention.removed}
        for number, length, told in self._told:
            reasons = gone.get(number, ())
            self.in_vain += bool(reasons)
            self.in_vain_size += length if reasons else 0
            self._tell(told, reasons)
        return retention

    def _tell(self, told: dict[str, object] | str, reasons: Sequence[str]) -> None:
        if isinstance(told, str):
            again = f"; the next look prunes it again: {', '.join(reasons)}" if reasons else ""
            print(one_line(f"{told}{again}"), flush=True)
        else:
            print(dumps({"event": "planned", **told, "pruned_again": reasons}), flush=True)


def _facts(plan: Planned, links: Sequence[str]) -> dict[str, object]:
    transfer = plan.transfer
    return {
        "project": transfer.project_path,
        "job_id": transfer.job.id,
        "job": transfer.job.name,
        "ref": transfer.job.ref,
        "rules": transfer.rules,
        "items": [item.name for item in plan.missing],
        "size": plan.size,
        "dest": transfer.dest,
        "latest": links,
        "deadline": transfer.deadline,
        "state": plan.known.state if plan.known else None,
        "keep_at": min((keep.due_at for keep in plan.keeps), default=None),
    }


def _line(plan: Planned, now: datetime, links: Sequence[str]) -> str:
    transfer = plan.transfer
    job = f"{transfer.project_path} {transfer.job.ref} {transfer.job.name} #{transfer.job.id}"
    facts = [size(plan.size) if plan.size is not None else "size unknown", f"rules {', '.join(transfer.rules)}"]
    if plan.known is not None and plan.known.published_at is not None:
        facts.append(f"adds {', '.join(item.name for item in plan.missing)}")
    elif plan.known is not None:
        facts.append(f"known: {plan.known.state}")
    if transfer.deadline is not None:
        facts.append(f"expires {ago(transfer.deadline, now)}")
    if plan.keeps:
        due = min(keep.due_at for keep in plan.keeps)
        when = ago(due, now) if due > now else "at once"
        always = "" if any(keep.always for keep in plan.keeps) else " if it is not mirrored by then"
        facts.append(f"is kept {when}{always}")
    if links:
        facts.append(f"latest {', '.join(links)} unless that is newer")
    return f"fetch  {job} ({'; '.join(facts)}) -> {transfer.dest}"
