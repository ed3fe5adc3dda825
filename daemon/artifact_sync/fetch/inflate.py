"""Read a zip archive once from start to end and prove every member of it.

Plain blocking code for a worker thread. Memory is flat: blocks of at most 256 KiB are read and unpacked. Every call into
zlib works on such a block and releases the interpreter, so the event loop goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from artifact_sync.core.archive import STORED, Member, in_file_order
from artifact_sync.core.archive_arriving import Arriving
from artifact_sync.core.archive_end import TAIL, End, locate
from artifact_sync.core.archive_inflate import Unpacking, check_content
from artifact_sync.core.archive_local import DESCRIPTOR, HEADER, check_name, descriptor_length, lengths
from artifact_sync.core.crc_blocks import BLOCK
from artifact_sync.core.gzip_stream import GzipStream
from artifact_sync.core.provenance import may_be_statement
from artifact_sync.errors import Corrupt
from artifact_sync.fetch.sniff import HEAD, require_zip

__all__ = ["ArchiveReport", "Stopped", "prove", "prove_gzip"]

_READ = 256 * 1024
#: Bytes unpacked of one archive, and that many times its size if it is more: half a minute of one core.
_BUDGET = 8 << 30
_BUDGET_TIMES = 200
#: Deflate makes 258 bytes of two bits at best (RFC 1951).
_BEST_RATIO = 1032
#: Members with the name of a statement that are looked into.
_STATEMENTS = 4


class Stopped(Exception):
    """``stopped()`` said so. No error: nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReport:
    """What was proved.

    ``untested`` members are encrypted, packed by another method, or unpack to more than the archive's budget leaves: only
    their place was checked. Whoever unpacks an archive of the last kind should know that.
    """

    members: int
    untested: int
    #: The first members that may be what the runner said of the others.
    statements: tuple[Member, ...] = ()


def prove(file: BinaryIO, size: int, stopped: Callable[[], bool], arrived: Arriving | None = None) -> ArchiveReport:
    """Check the structure of a zip of ``size`` bytes, then size and CRC of every member.

    What ``arrived`` unpacked as it came is not unpacked again; everything else is read from the file.

    Members are unpacked for that up to ``_BUDGET`` or ``_BUDGET_TIMES`` the archive's size: its bytes are right by size and
    ETag or not at all, and an archive that unpacks to thousands of times its size would keep a core busy for hours.

    Raises NotAnArchive, Corrupt, and Stopped soon after ``stopped()`` holds.
    """
    require_zip(file.read(HEAD))
    file.seek(max(0, size - TAIL))
    end = locate(file.read(TAIL), size)
    file.seek(end.directory_offset)
    directory = file.read(end.directory_size)
    count = untested = 0
    statements: list[Member] = []
    behind = 0
    budget = max(_BUDGET, _BUDGET_TIMES * size)
    for member in in_file_order(directory, end):
        if stopped():
            raise Stopped
        if member.header_offset < behind:
            raise Corrupt(f"member {member.name!r} at {member.header_offset} shares bytes with the one before it")
        tested = member.testable and member.size <= budget
        if member.testable and not tested and member.size > _BEST_RATIO * member.compressed_size:
            raise Corrupt(f"member {member.name!r} says {member.size} bytes, more than deflate can make of its data")
        budget -= member.size if tested else 0
        behind = _member(file, member, end, stopped if tested else None, arrived)
        count += 1
        untested += not tested
        if may_be_statement(member) and len(statements) < _STATEMENTS:
            statements.append(member)
    return ArchiveReport(members=count, untested=untested, statements=tuple(statements))


def prove_gzip(file: BinaryIO, size: int, stopped: Callable[[], bool]) -> bool:
    """Inflate a gzip file of ``size`` bytes; whether all of it, within the budget that an archive has as well.

    Raises Corrupt, and Stopped soon after ``stopped()`` holds.
    """
    left = max(_BUDGET, _BUDGET_TIMES * size)
    stream = GzipStream()
    while block := file.read(_READ):
        for unpacked in stream.feed(block):
            left -= unpacked
            if stopped():
                raise Stopped
            if left < 0:
                return False
    for unpacked in stream.end():
        left -= unpacked
        if stopped():
            raise Stopped
    return left >= 0


def _member(
    file: BinaryIO, member: Member, end: End, stopped: Callable[[], bool] | None, arrived: Arriving | None
) -> int:
    """Prove one member (None: its place alone); where it ends in the file, descriptor included."""
    file.seek(member.header_offset)
    name_length, extra_length = lengths(file.read(HEADER), member)
    check_name(file.read(name_length), member)
    begins = member.header_offset + HEADER + name_length + extra_length
    ends = begins + member.compressed_size
    if ends > end.directory_offset:
        raise Corrupt(f"member {member.name!r} reaches into the zip's directory at {end.directory_offset}")
    content = arrived.content(begins, ends, member.method) if arrived else None
    if stopped is None:
        file.seek(ends)
    elif content is not None:
        check_content(member, size=content.size, crc=content.crc)
        file.seek(ends)
    else:
        file.seek(begins)
        _test(file, member, begins, stopped, arrived if member.method == STORED else None)
    if member.has_descriptor:
        ends += descriptor_length(file.read(min(DESCRIPTOR, end.directory_offset - ends)), member)
    return ends


def _test(file: BinaryIO, member: Member, at: int, stopped: Callable[[], bool], arrived: Arriving | None) -> None:
    """Unpack the member whose bytes begin at ``at``, where the file stands; ``arrived`` is for stored ones."""
    ends = at + member.compressed_size
    unpacking = Unpacking(member)
    while at < ends:
        if stopped():
            raise Stopped
        if arrived is not None and (known := arrived.blocks(at, ends)):
            at = file.seek(at + unpacking.passed(known))
            continue
        block = file.read(min(_READ if arrived is None else BLOCK - at % BLOCK, ends - at))
        if not block:
            raise Corrupt(f"the file ends inside member {member.name!r}")
        at += len(block)
        _exhaust(unpacking.feed(block), stopped)
    _exhaust(unpacking.end(), stopped)


def _exhaust(unpacked: Iterator[bytes], stopped: Callable[[], bool]) -> None:
    for _ in unpacked:
        if stopped():
            raise Stopped
