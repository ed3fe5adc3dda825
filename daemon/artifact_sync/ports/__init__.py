"""What the engine needs from the world, as small Protocols with their contracts.

Every adapter lets only errors of ``artifact_sync.errors`` out. Times are aware datetimes in UTC, sizes are bytes,
durations are seconds.
"""

from artifact_sync.ports.clock import Clock
from artifact_sync.ports.queue import Queue
from artifact_sync.ports.records import (
    KeepEntry,
    PartRecord,
    Progress,
    QueuedTransfer,
    Summary,
    TransferState,
    Trouble,
    WatchedPipeline,
)
from artifact_sync.ports.remote import Body, Page, Piece, Pin, Priority, Remote, ServerVersion, Source, TokenInfo
from artifact_sync.ports.state import State
from artifact_sync.ports.store import Copies, Part, Publication, Published, Store

__all__ = [
    "Body",
    "Clock",
    "Copies",
    "KeepEntry",
    "Page",
    "Part",
    "PartRecord",
    "Piece",
    "Pin",
    "Priority",
    "Progress",
    "Publication",
    "Published",
    "Queue",
    "QueuedTransfer",
    "Remote",
    "ServerVersion",
    "Source",
    "State",
    "Store",
    "Summary",
    "TokenInfo",
    "TransferState",
    "Trouble",
    "WatchedPipeline",
]
