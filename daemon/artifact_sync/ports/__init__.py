"""What the engine needs from the world, as small Protocols with their contracts.

Every adapter lets only errors of ``artifact_sync.errors`` out. Times are aware datetimes in UTC, sizes are bytes,
durations are seconds.
"""

from artifact_sync.ports.clock import Clock
from artifact_sync.ports.hooks import (
    Commands,
    DroppedHooks,
    DueHook,
    HookFigures,
    HookState,
    Outbox,
    QueuedHook,
    Webhooks,
)
from artifact_sync.ports.inspector import Inspector
from artifact_sync.ports.links import Links
from artifact_sync.ports.operator import Operator
from artifact_sync.ports.parts import OwnFile, PartRecords, Parts, Room
from artifact_sync.ports.pruning import PruningState
from artifact_sync.ports.queue import Queue
from artifact_sync.ports.records import (
    KeepEntry,
    PartRecord,
    PinnedJob,
    Progress,
    Pruned,
    PruneOrder,
    PruneReport,
    QueuedTransfer,
    RetentionLook,
    Summary,
    TransferState,
    Trouble,
    WatchedPipeline,
)
from artifact_sync.ports.remote import (
    Body,
    Latest,
    Page,
    Piece,
    Pin,
    Priority,
    Remote,
    ServerVersion,
    Source,
    TokenInfo,
)
from artifact_sync.ports.state import State
from artifact_sync.ports.store import Copies, Part, Place, Publication, Published, Shelf, Store
from artifact_sync.ports.trash import Trash
from artifact_sync.ports.verification import VerifyingState

__all__ = [
    "Body",
    "Clock",
    "Commands",
    "Copies",
    "DroppedHooks",
    "DueHook",
    "HookFigures",
    "HookState",
    "Inspector",
    "KeepEntry",
    "Latest",
    "Links",
    "Operator",
    "Outbox",
    "OwnFile",
    "Page",
    "Part",
    "PartRecord",
    "PartRecords",
    "Parts",
    "Piece",
    "Pin",
    "PinnedJob",
    "Place",
    "Priority",
    "Progress",
    "PruneOrder",
    "PruneReport",
    "Pruned",
    "PruningState",
    "Publication",
    "Published",
    "Queue",
    "QueuedHook",
    "QueuedTransfer",
    "Remote",
    "RetentionLook",
    "Room",
    "ServerVersion",
    "Shelf",
    "Source",
    "State",
    "Store",
    "Summary",
    "TokenInfo",
    "TransferState",
    "Trash",
    "Trouble",
    "VerifyingState",
    "WatchedPipeline",
    "Webhooks",
]
