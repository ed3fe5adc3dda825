"""The limits of a download."""

from __future__ import annotations

from dataclasses import dataclass

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
    batch: int = MIB
    #: How much a crash can cost: a part is made durable each time it grew by this.
    checkpoint: int = 256 * MIB
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
