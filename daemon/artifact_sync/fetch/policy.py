"""The limits of a download."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["FetchPolicy"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """Limits of a download. Sizes are bytes, durations seconds."""

    #: A connection that brings fewer bytes a second than this over ``min_rate_window`` is given up.
    min_rate: int
    min_rate_window: float = 60.0
    #: What stays free on the store's disk.
    min_free: int
    #: What is written at once. A thread hop for each 64 KiB costs three times the CPU time of one for each MiB.
    batch: int = 2 * MIB
    #: A part is made durable each time it grew by this, or by ``checkpoint_part`` of its whole size if that is less, but not
    #: more often than each ``checkpoint_least``. A crash can cost twice that: one is under way while the next is gathered.
    checkpoint: int = 256 * MIB
    checkpoint_part: int = 128
    checkpoint_least: int = 8 * MIB
    #: Connections that bring one archive of at least ``segment_above`` bytes, where one alone is too slow.
    segments: int = 1
    segment_above: int = 64 * MIB
    #: What each of them writes at once: together they hold no more than one connection does, and none of them is fast.
    segment_batch: int = MIB // 4
    #: Free space is looked at again each time this much was received.
    free_check: int = 64 * MIB
    #: How often a broken connection is taken up again at once, as long as each brought something.
    resumes: int = 3
    #: How long a stop may take to make a part resumable.
    grace: float = 3.0
    #: Archives verified at the same time; each takes one core.
    verifiers: int = 2
    #: Files taken out of one archive.
    members: int = 100_000
    #: ``Received`` events come no closer together than this.
    report_interval: float = 0.2

    def checkpoint_of(self, total: int | None) -> int:
        """How much of an item of ``total`` bytes may come before it is made durable."""
        if total is None:
            return self.checkpoint
        return min(self.checkpoint, max(self.checkpoint_least, total // self.checkpoint_part))

    def for_segment(self) -> FetchPolicy:
        """The limits of one of several connections."""
        return replace(self, batch=min(self.batch, self.segment_batch))
