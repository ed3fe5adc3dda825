"""Group commit: what several pieces of work wait for is made durable once for all of them.

A piece of work is a generator. It yields the files and directories that must be durable before it goes on, and returns its
result.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from artifact_sync.errors import StoreDamaged
from artifact_sync.store.disk import Syncer
from artifact_sync.store.paths import Directories, Place

__all__ = ["OpenFile", "Steps", "Unsynced", "together"]

T = TypeVar("T")

#: Seconds after which an fsync was slow, and how many are asked for at the same time then. A journal takes several of them with
#: one commit (https://docs.kernel.org/filesystems/ext4/journal.html); where each is quick, threads cost more than they save.
_QUICK = 0.004
_AT_ONCE = 16


class OpenFile(NamedTuple):
    """A file that its writer holds open."""

    fd: int


#: What is not durable yet, each with what it is in an error.
Unsynced: TypeAlias = Mapping[Place | OpenFile, str]
Steps: TypeAlias = Generator[Unsynced, None, T]


def together(works: Sequence[Steps[T]], held: Directories, sync: Syncer) -> list[T | Exception]:
    """Do them all; the result of each, or why it has none.

    None goes on before everything that it yielded is durable, and one that waits for something whose fsync failed ends with
    that error.
    """
    results: dict[int, T | Exception] = {}
    waiting: dict[int, Unsynced] = {}
    failed: dict[Place | OpenFile, Exception] = {}

    def go_on(index: int, work: Steps[T]) -> None:
        error = next((failed[one] for one in waiting.pop(index, ()) if one in failed), None)
        try:
            waiting[index] = next(work) if error is None else work.throw(error)
        except StopIteration as end:
            results[index] = end.value
        except Exception as problem:  # noqa: BLE001 - handed to the one whose work it is
            results[index] = problem

    while len(results) < len(works):
        for index, work in enumerate(works):
            if index not in results:
                go_on(index, work)
        failed = _synced({one: what for several in waiting.values() for one, what in several.items()}, held, sync)
    return [results[index] for index in range(len(works))]


def _synced(unsynced: Unsynced, held: Directories, sync: Syncer) -> dict[Place | OpenFile, Exception]:
    """fsync each once; those that failed."""
    failed: dict[Place | OpenFile, Exception] = {}

    def synced(one: Place | OpenFile, fd: int) -> None:
        try:
            if isinstance(one, OpenFile):
                sync.file(fd, unsynced[one])
            else:
                sync.directory(fd, unsynced[one])
        except StoreDamaged as error:
            failed[one] = error

    slow = False
    left = list(unsynced)
    while left:
        some: list[tuple[Place | OpenFile, int]] = []
        for one in left[:_AT_ONCE]:
            try:
                some.append((one, one.fd if isinstance(one, OpenFile) else held.at(one)))
            except (OSError, StoreDamaged) as error:
                failed[one] = error
        del left[:_AT_ONCE]
        while some and not slow:
            began = time.monotonic()
            synced(*some.pop())
            slow = time.monotonic() - began > _QUICK
        threads = [threading.Thread(target=synced, args=each, daemon=True) for each in some]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return failed
