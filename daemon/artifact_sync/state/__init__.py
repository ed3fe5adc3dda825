"""The state: what must survive a restart."""

from artifact_sync.state.rebuild import SqliteBuilder
from artifact_sync.state.sqlite import SqliteState

__all__ = ["SqliteBuilder", "SqliteState"]
