"""Why what is mirrored of one job stays, or that it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from artifact_sync import app
from artifact_sync.cli.pins import pin_words
from artifact_sync.cli.retention_lines import verdict_words
from artifact_sync.core.retention import Verdict
from artifact_sync.engine import Explanation
from artifact_sync.engine.holdings import plan_of
from artifact_sync.ports import PinnedJob, TransferState

__all__ = ["Retained", "retained"]


@dataclass(frozen=True, slots=True)
class Retained:
    """What retention says to the job's publications."""

    verdicts: tuple[Verdict, ...]
    pinned: PinnedJob | None

    def lines(self) -> Iterator[str]:
        """For a person."""
        for verdict in self.verdicts:
            place = f" -> {verdict.held.dest}" if len(self.verdicts) > 1 else ""
            yield f"  retain: {verdict_words(verdict)}{place}"
        if self.pinned is not None:
            yield f"  pin:    {pin_words(self.pinned)}"

    def facts(self) -> dict[str, object]:
        """For programs."""
        found = [
            {"dest": each.held.dest, "stays": each.stays, "reasons": each.reasons, "until": each.until}
            for each in self.verdicts
        ]
        return {"retention": found, "pin": self.pinned}


async def retained(reading: app.Reading, explanation: Explanation) -> Retained:
    """By the plan that a prune would follow, where anything of the job is published. Raises StateError, StoreError."""
    subject = explanation.candidate.project.id, explanation.candidate.job.id
    pins = await reading.state.pins()
    pinned = next((one for one in pins if (one.project_id, one.job_id) == subject), None)
    if not any(queued.state is TransferState.PUBLISHED for queued in explanation.transfers):
        return Retained((), pinned)
    plan = await plan_of(reading.state, reading.rules, now=reading.clock.now(), linked=reading.linked)
    verdicts = (one for one in plan.verdicts if (one.held.project_id, one.held.job_id) == subject)
    return Retained(tuple(verdicts), pinned)
