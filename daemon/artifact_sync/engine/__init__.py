"""The engine: discovery, queue workers, keeper and recovery, over ports alone."""

from artifact_sync.engine.engine import Engine, SyncReport
from artifact_sync.engine.means import Means
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.engine.preview import Explanation, Planned, Survey, explained, planned
from artifact_sync.engine.projects import resolve

__all__ = [
    "Engine",
    "EnginePolicy",
    "Explanation",
    "Means",
    "Planned",
    "Survey",
    "SyncReport",
    "explained",
    "planned",
    "resolve",
]
