"""The first error of several tasks that work on one thing."""

from __future__ import annotations

import anyio

from artifact_sync.errors import ArtifactSyncError

__all__ = ["FirstFailure"]


class FirstFailure:
    """Ends ``scope`` at the first error and keeps it: a task group would wrap it, and the others have to finish first."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope
        self._error: ArtifactSyncError | None = None
        self._noted: ArtifactSyncError | None = None

    def happened(self, error: ArtifactSyncError) -> None:
        """One of them failed."""
        self._error = self._error or error
        self._scope.cancel()

    def noted(self, error: ArtifactSyncError) -> None:
        """As ``happened``, but the others end by themselves, and what fails there matters more."""
        self._noted = self._noted or error

    def require_none(self) -> None:
        """Raise it, if there was one."""
        error = self._error or self._noted
        if error is not None:
            raise error
