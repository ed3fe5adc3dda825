"""Figures over everything that is known: what metrics, the dashboard and `status` tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from artifact_sync.ports.hooks import HookState
from artifact_sync.ports.records import TransferState

__all__ = ["Backlog", "Overview", "RuleLag", "Standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLag:
    """How far the mirror is behind what one rule selects. Times are ends of jobs."""

    rule: str
    #: Of the newest job that the rule selected; None where it selected none, or GitLab said no time.
    newest_finished: datetime | None = None
    #: Of the newest one that was mirrored, also where retention took it since.
    newest_mirrored: datetime | None = None
    #: Of the oldest one that is not mirrored and still wanted.
    oldest_waiting: datetime | None = None
    #: How many are not mirrored and still wanted.
    waiting: int = 0

    @property
    def lag(self) -> timedelta:
        """From the newest mirrored job to the newest selected one; from the oldest that waits where none is mirrored."""
        since = self.newest_mirrored or self.oldest_waiting
        if self.newest_finished is None or since is None:
            return timedelta()
        return max(timedelta(), self.newest_finished - since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The transfers of one state."""

    count: int = 0
    #: Bytes: of what is published or was, as they are; else as GitLab announced them, as far as it announced any.
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What else is known, in figures."""

    #: What was counted since the state was made, by name.
    counts: Mapping[str, int]
    hooks: Mapping[HookState, int]
    #: Projects that are followed, and when one was last polled; None: never.
    projects: int
    polled_at: datetime | None
    #: What cannot be looked at.
    troubles: int
    keeps_due: int
    #: Since when some publication was not read again (nor published); None: nothing is published.
    oldest_verified: datetime | None
    #: What was pruned and can be brought back.
    in_trash: int
    trash_bytes: int


class Overview(Protocol):
    """It only reads, and looks at everything: not for every request. Raises StateError, NoSpace."""

    async def lags(self) -> Sequence[RuleLag]:
        """One for each configured rule, in the configured order."""

    async def at_risk(self, now: datetime, within: Sequence[timedelta]) -> Sequence[int]:
        """For each span: transfers that are still wanted, not mirrored, and expire within it from ``now``.

        What has expired already counts: GitLab deletes late, so it may be there.
        """

    async def backlog(self) -> Mapping[TransferState, Backlog]:
        """Of every state, also those that nothing is in."""

    async def standing(self) -> Standing:
        """The rest."""
