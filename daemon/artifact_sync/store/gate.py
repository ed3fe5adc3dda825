"""Nothing is closed under a thread that still works with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from artifact_sync.errors import StoreError

__all__ = ["Gate"]


class Gate:
    """Counts the threads at work. A cancelled call's thread works on, and a descriptor closed under it may be reused."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Hold the gate open for one piece of work. Raises StoreError once it is shut."""
        with self._changed:
            if self._shut:
                raise StoreError("the store is closed", hint="This is an error in artifact-sync: please report it.")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def shut_after(self) -> Iterator[None]:
        """At the end let nobody in any more, and wait for those inside."""
        try:
            yield
        finally:
            with self._changed:
                self._shut = True
                self._changed.wait_for(lambda: self._inside == 0)
