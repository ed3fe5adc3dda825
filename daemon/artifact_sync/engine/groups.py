"""One error out of many tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from artifact_sync.errors import ArtifactSyncError

__all__ = ["single_error"]


@contextmanager
def single_error() -> Iterator[None]:
    """Let the gravest error of a task group out alone, where all of them are this program's own.

    Raises the ArtifactSyncError with the highest exit code; the group otherwise.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        own, other = group.split(ArtifactSyncError)
        if other is not None or own is None:
            raise
        raise max(_leaves(own), key=lambda error: error.exit_code) from group


def _leaves(group: BaseExceptionGroup[ArtifactSyncError]) -> Iterator[ArtifactSyncError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
