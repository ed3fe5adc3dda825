"""What happens in a demo, on both sides, in words that need no explanation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from artifact_sync.cli.words import size, span
from artifact_sync.core import events
from artifact_sync.core.model import KeepResult
from artifact_sync.errors import Outcome

__all__ = ["Narrator", "Seen"]

#: Called with the side (`GitLab`, `mirror`) and a sentence.
Say = Callable[[str, str], None]


@dataclass(slots=True)
class Seen:
    """What happened so far, for the summary."""

    published: dict[int, events.TransferEnded] = field(default_factory=dict)
    selected: dict[int, events.Selected] = field(default_factory=dict)
    kept: list[events.Kept] = field(default_factory=list)
    #: Jobs that a person started by hand, by id: seconds after the demo's beginning.
    played: dict[int, float] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)


class Narrator:
    """Turns the events of the simulated GitLab and of the daemon into sentences."""

    def __init__(self, say: Say) -> None:
        self.seen = Seen()
        self._say = say
        self._began = time.monotonic()
        self._failed: set[int] = set()

    def upstream(self, event: str, facts: dict[str, object]) -> None:
        """Something happened in the simulated GitLab."""
        text = self._upstream(event, facts)
        if text is not None:
            self._say("GitLab", text)

    def _upstream(self, event: str, facts: dict[str, object]) -> str | None:
        where = f"{facts['project']} ({facts['ref']})"
        job_id = facts.get("job_id")
        job = f"job {facts.get('job')} #{job_id} of {where}"
        text = None
        if event == "pipeline.started":
            text = f"a pipeline started in {where}"
        elif event == "job.finished" and facts["status"] == "failed":
            text = f"{job} failed"
        elif event == "job.finished" and facts["size"] is not None:
            text = f"{job} finished, with {_bytes(facts['size'])} of artifacts{_until(facts['expires_at'])}"
        elif event == "job.retried":
            text = f"somebody retried it: {job} is new"
        elif event == "job.played" and isinstance(job_id, int):
            self.seen.played[job_id] = time.monotonic() - self._began
            text = f"somebody started the manual {job}"
        elif event == "artifacts.expired" and isinstance(job_id, int):
            self.seen.deleted.add(job_id)
            text = f"deleted the artifacts of {job}: they had expired"
        return text

    def mirror(self, event: events.Event) -> None:
        """Something happened in the daemon."""
        text = self._mirror(event)
        if text is not None:
            self._say("mirror", text)

    def _mirror(self, event: events.Event) -> str | None:
        match event:
            case events.ProjectFound():
                return f"follows the project {event.path}"
            case events.ProjectFailed():
                return f"could not look at {event.project}: {event.error}"
            case events.Selected():
                self.seen.selected[event.job_id] = event
            case events.TransferEnded() if event.outcome is Outcome.PUBLISHED:
                self.seen.published[event.job_id] = event
                late = event.job_id in self.seen.played
                reason = ", found although its number is lower than others seen before" if late else ""
                return f"copied {_job(event)}: {size(event.size)}, verified, published{reason}"
            case events.TransferEnded():
                return self._failure(event)
            case events.Kept():
                self.seen.kept.append(event)
                return _kept(event)
        return None

    def _failure(self, event: events.TransferEnded) -> str | None:
        # Once for each job: that it fails again is no news.
        if event.job_id in self._failed:
            return None
        self._failed.add(event.job_id)
        again = "; tries again until it can" if event.retry_at else ""
        return f"cannot copy {_job(event)} yet: {event.error or event.outcome}{again}"


def _kept(event: events.Kept) -> str:
    if event.result is not KeepResult.KEPT:
        return f"asked GitLab to keep {event.job} #{event.job_id}, in vain: {event.result} {event.detail}".rstrip()
    left = (event.expire_at - datetime.now(UTC)) if event.expire_at else None
    soon = f", {span(left)} before GitLab would have deleted them" if left else ""
    return f"told GitLab to keep the artifacts of {event.project} {event.job} #{event.job_id}{soon}"


def _job(event: events.TransferEnded) -> str:
    return f"{event.project} {event.ref} {event.job} #{event.job_id}"


def _bytes(number: object) -> str:
    return size(number if isinstance(number, int) else None)


def _until(stamp: object) -> str:
    if not isinstance(stamp, str):
        return ""
    left = datetime.fromisoformat(stamp) - datetime.now(UTC)
    return f" that it will delete in {span(left)}"
