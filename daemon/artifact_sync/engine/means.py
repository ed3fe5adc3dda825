"""What the parts of the engine work with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from artifact_sync.core.events import Emit
from artifact_sync.core.rules import Rule
from artifact_sync.engine.policy import EnginePolicy
from artifact_sync.ports import Clock, Remote, State

__all__ = ["Means"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Where jobs come from, which of them are wanted, where that is written down, and who is told."""

    remote: Remote
    state: State
    clock: Clock
    rules: Sequence[Rule]
    policy: EnginePolicy
    emit: Emit
