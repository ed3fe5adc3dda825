"""Unpack one archive into one open directory: plain blocking code, for a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from artifact_sync.core.archive import Member
from artifact_sync.core.archive_end import TAIL, End
from artifact_sync.core.archive_inflate import Unpacking
from artifact_sync.core.unpack_layout import layout
from artifact_sync.core.unpack_plan import Kind, Planned, UnpackPlan, find_end, plan
from artifact_sync.core.unpacking import Refused, Rejected, Rule, SkippedLink
from artifact_sync.errors import Corrupt
from artifact_sync.store.modes import mode_of
from artifact_sync.store.unpack.files import Folders, finish_directories, make_directories, write_file
from artifact_sync.store.unpack.wire import Advanced, Done, Failed, Foreseen, Message, Order, Stored

__all__ = ["carry_out"]

_READ = 256 * 1024
#: Packed bytes between two messages about progress.
_STRIDE = 16 * 1024 * 1024

Tell = Callable[[Message], None]
Pulse = Callable[[], None]


def carry_out(order: Order, tell: Tell, pulse: Pulse) -> None:
    """Unpack, and tell what is done; the last message is Done, Rejected or Failed.

    Nothing is written before the whole directory and all headers were judged. ``pulse`` is called at every block and may
    raise to end the work. What was written when it ends otherwise than by Done is for the caller to remove.
    """
    try:
        _Unpacking(order, tell, pulse).run()
        last: Message = Done()
    except Refused as refused:
        last = refused.rejected
    except MemoryError:
        last = Rejected(rule=Rule.MEMORY, reason=f"it needs more than {order.limits.memory} bytes of memory to unpack")
    except OSError as error:
        last = Failed(number=error.errno or 0, text=error.strerror or str(error))
    tell(last)


class _Unpacking:
    def __init__(self, order: Order, tell: Tell, pulse: Pulse) -> None:
        self._order = order
        self._tell = tell
        self._pulse = pulse
        self._packed = self._told = 0

    def run(self) -> None:
        """Raises Refused, OSError."""
        end, planned = self._judge()
        begins = layout(self._read, planned, end)
        for entry in planned.entries:
            if entry.kind is Kind.FILE:
                self._tell(
                    Foreseen(member=entry.name, path=entry.path, size=entry.member.size, executable=entry.executable)
                )
        with Folders.below(self._order.root) as folders:
            make_directories(folders, planned.directories)
            for entry, at in zip(planned.entries, begins, strict=True):
                self._entry(entry, at, folders)
        finish_directories(self._order.root, planned.directories)

    def _judge(self) -> tuple[End, UnpackPlan]:
        order = self._order
        size = os.fstat(order.archive).st_size
        tail = min(size, TAIL)
        end = find_end(self._read(size - tail, tail), size)
        # Of what is too large to be planned nothing is read.
        fits = end.directory_size <= order.limits.directory and end.members <= order.limits.entries
        directory = self._read(end.directory_offset, end.directory_size) if fits else b""
        planned = plan(directory, end, archive_size=size, limits=order.limits, available=order.available)
        if isinstance(planned, Rejected):
            raise Refused(planned.rule, planned.reason, member=planned.member)
        return end, planned

    def _entry(self, entry: Planned, begins: int, folders: Folders) -> None:
        member = entry.member
        blocks = self._content(member, begins)
        try:
            match entry.kind:
                case Kind.FILE:
                    *above, name = entry.path
                    mode = mode_of(self._order.mode, executable=entry.executable)
                    sha256 = write_file(name, blocks, at=folders.at(tuple(above)), mode=mode)
                    self._tell(Stored(size=member.size, sha256=sha256))
                case Kind.LINK:
                    target = b"".join(blocks).decode("utf-8", "backslashreplace")
                    self._tell(SkippedLink(member=entry.name, target=target))
                case Kind.DIRECTORY:
                    for _ in blocks:
                        pass
        except Corrupt as error:
            raise Refused(Rule.CONTENT, str(error), member=entry.name) from error

    def _content(self, member: Member, begins: int) -> Iterator[bytes]:
        unpacking = Unpacking(member)
        for packed in self._blocks(member, begins):
            yield from unpacking.feed(packed)
        yield from unpacking.end()

    def _blocks(self, member: Member, begins: int) -> Iterator[bytes]:
        ends = begins + member.compressed_size
        for at in range(begins, ends, _READ):
            self._pulse()
            block = self._read(at, min(_READ, ends - at))
            self._packed += len(block)
            if self._packed - self._told >= _STRIDE:
                self._told = self._packed
                self._tell(Advanced(packed=self._packed))
            yield block

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self._order.archive, length, offset)
