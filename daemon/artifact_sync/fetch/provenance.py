"""Compare a proved archive with what its runner said of it. Only archives with such a statement are read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from threading import Event
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread

from artifact_sync.core.archive import Member, in_file_order
from artifact_sync.core.archive_end import TAIL, End, locate
from artifact_sync.core.archive_inflate import Unpacking
from artifact_sync.core.archive_place import place
from artifact_sync.core.provenance import Judging, Provenance, subjects
from artifact_sync.errors import Corrupt
from artifact_sync.fetch.inflate import Stopped
from artifact_sync.fetch.verify import reading
from artifact_sync.ports import Part

__all__ = ["judge_provenance"]

_READ = 256 * 1024
#: Bytes that are unpacked for it. More is not compared.
_BUDGET = 64 << 30


async def judge_provenance(part: Part, statements: Sequence[Member], *, limiter: CapacityLimiter) -> Provenance | None:
    """By the first of the members that is a statement; None where none is.

    When it is cancelled the thread ends within a block. Raises StoreDamaged.
    """
    if not statements:
        return None
    stop = Event()
    work = partial(_judged, part, statements, stop.is_set)
    try:
        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
    finally:
        stop.set()


def _judged(part: Part, statements: Sequence[Member], stopped: Callable[[], bool]) -> Provenance | None:
    with reading(part), part.reader() as file:
        archive = _Archive(file, part.size, stopped)
        for member in statements:
            wanted = subjects(b"".join(archive.content(member)))
            if wanted is not None:
                return archive.judged(Judging(member.name, wanted))
    return None


class _Archive:
    def __init__(self, file: BinaryIO, size: int, stopped: Callable[[], bool]) -> None:
        self._file = file
        self._stopped = stopped
        self._left = _BUDGET
        self._end: End = locate(self._read(max(0, size - TAIL), TAIL), size)

    def judged(self, judging: Judging) -> Provenance:
        """Every member that is wanted, hashed."""
        directory = self._read(self._end.directory_offset, self._end.directory_size)
        for member in in_file_order(directory, self._end):
            if judging.wants(member):
                judging.compare(member, self._digest(member))
        return judging.end()

    def content(self, member: Member) -> Iterator[bytes]:
        """What is in it. Raises Corrupt, Stopped."""
        at = place(self._read, member, self._end)
        unpacking = Unpacking(member)
        for offset in range(at.begins, at.ends, _READ):
            if self._stopped():
                raise Stopped
            yield from unpacking.feed(self._read(offset, min(_READ, at.ends - offset)))
        yield from unpacking.end()

    def _digest(self, member: Member) -> str | None:
        self._left -= member.size
        if not member.testable or self._left < 0:
            return None
        running = sha256()
        try:
            for block in self.content(member):
                running.update(block)
                if self._stopped():
                    raise Stopped
        except Corrupt:
            return None
        return running.hexdigest()

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
