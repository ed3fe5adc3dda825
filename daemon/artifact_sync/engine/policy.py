"""How the engine works, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["EnginePolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePolicy:
    """Limits and intervals. Durations in seconds where they are numbers."""

    #: Between two polls of a project.
    interval: timedelta = timedelta(minutes=1)
    #: How far back the first pass goes; None: to the beginning; zero: not at all.
    backfill: timedelta | None = timedelta(days=30)
    #: Identifies the rules; history is walked again when it changes.
    rules: str = ""
    #: Wait after a job has finished.
    settle: timedelta = timedelta()
    #: Transfers at the same time.
    downloads: int = 8
    #: Attempts before a transfer is left to a later pass.
    attempts: int = 8
    #: Projects listed at the same time.
    polls: int = 8
    #: Keeps called at the same time.
    keeps: int = 4
    #: Looks a minute that webhooks may cause.
    hinted: float = 200.0
    #: First and longest wait before a transfer is tried again.
    retry_base: float = 2.0
    retry_cap: float = 300.0
    #: Longest time between two polls of a project in which nothing happens, and between two listings of child pipelines.
    max_interval: timedelta = timedelta(minutes=30)
    #: Between two complete listings of a project; None: never.
    audit: timedelta | None = timedelta(days=1)
    #: Everything in the store is read once in this time; None: never.
    scrub: timedelta | None = timedelta(days=30)
    #: Longest wait between two looks at a running pipeline of which nothing comes.
    longest_look: timedelta = timedelta(minutes=10)
    #: How often the daemon asks which projects there are.
    resolve_every: timedelta = timedelta(minutes=10)
    #: Attempts of what a rule wants after a publication, beside the first; and seconds that one attempt may take.
    hook_retries: int = 5
    hook_timeout: float = 300.0
    #: First and longest wait before it is tried again. A receiver may ask for as much.
    hook_base: float = 5.0
    hook_cap: float = 600.0
    #: How often the daemon tries again what had failed in every attempt.
    revive_every: timedelta = timedelta(hours=6)
    #: How often the daemon looks at what retention lets go, and how long after its start for the first time.
    prune_every: timedelta = timedelta(hours=1)
    first_prune: timedelta = timedelta(minutes=5)
    #: Longest time between two looks at what a command may have ordered, and at the disk where something is in the trash.
    orders_every: timedelta = timedelta(minutes=1)
    #: Of all publications, the share that one prune may remove unasked.
    max_delete: float = 0.1
    #: How long what was pruned can be brought back.
    trash: timedelta = timedelta(days=7)
    #: Bytes; below this much free space the trash is emptied before its time.
    min_free: int = 0
