"""How far the mirror is behind, and what may be lost by it, in plain words and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from artifact_sync.cli.words import ago, count, size, span
from artifact_sync.ports import TransferState
from artifact_sync.ports.overview import Backlog, Overview, RuleLag

__all__ = ["Behind"]

_WITHIN = {"1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(hours=24)}
_OPEN = (TransferState.WANTED, TransferState.LOST, TransferState.DOWNLOADING, TransferState.STAGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What an overview told at one moment."""

    lags: Sequence[RuleLag]
    #: Not mirrored, by the span in which they expire; those that have expired are among them, and told by themselves, too.
    at_risk: Mapping[str, int]
    expired: int
    backlog: Mapping[TransferState, Backlog]

    @classmethod
    async def read(cls, overview: Overview, now: datetime) -> Behind:
        """As it is at ``now``. Raises StateError, NoSpace."""
        expired, *at_risk = await overview.at_risk(now, [timedelta(), *_WITHIN.values()])
        return cls(
            lags=await overview.lags(),
            at_risk=dict(zip(_WITHIN, at_risk, strict=True)),
            expired=expired,
            backlog=await overview.backlog(),
        )

    def lines(self, now: datetime) -> Iterator[str]:
        """For a person."""
        still = [self.backlog[state] for state in _OPEN if state in self.backlog]
        number, announced = sum(each.count for each in still), sum(each.bytes for each in still)
        yield f"backlog:   {count(number, 'transfer')}, {size(announced)} as far as announced"
        within = ", ".join(f"{number:,} within {name}" for name, number in self.at_risk.items())
        yield f"at risk:   not mirrored and expiring: {within}; {self.expired:,} expired already"
        yield "lag:"
        for lag in self.lags:
            yield f"  {lag.rule}: {_words(lag, now)}"

    def data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "lags": [
                {
                    "rule": lag.rule,
                    "lag_seconds": lag.lag.total_seconds(),
                    "waiting": lag.waiting,
                    "newest_finished": lag.newest_finished,
                    "newest_mirrored": lag.newest_mirrored,
                    "oldest_waiting": lag.oldest_waiting,
                }
                for lag in self.lags
            ],
            "at_risk_within": {**self.at_risk, "expired": self.expired},
            "backlog": self.backlog,
        }


def _words(lag: RuleLag, now: datetime) -> str:
    waiting = f"{lag.waiting:,} waiting"
    if lag.newest_finished is None:
        return f"no job yet, {waiting}"
    if lag.newest_mirrored is None:
        return f"nothing mirrored yet, {waiting}, the newest ended {ago(lag.newest_finished, now)}"
    if not lag.lag:
        return f"the newest is mirrored (ended {ago(lag.newest_finished, now)}), {waiting}"
    return f"{span(lag.lag)} behind, {waiting}, the newest ended {ago(lag.newest_finished, now)}"
