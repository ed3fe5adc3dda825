"""Zip archives that must not be unpacked, each with the rule that it breaks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from artifact_sync.core.unpacking import Rule, UnpackLimits
from tests.zips import Entry, craft, deflate, text

MIB = 1 << 20
UTF8 = 0x800
LINK = 0o120777

#: What finds it: the directory alone, the headers before anything is written, or the content while it is written.
Stage = Literal["directory", "headers", "content"]


@dataclass(frozen=True)
class Hostile:
    """One archive; ``member`` and ``words`` are what the reason must name."""

    rule: Rule
    words: str
    make: Callable[[], bytes]
    stage: Stage = "directory"
    member: str | None = None
    limits: UnpackLimits = field(default=UnpackLimits())

    @property
    def data(self) -> bytes:
        """Made once."""
        return _made(self.make)


@cache
def _made(make: Callable[[], bytes]) -> bytes:
    return make()


def archive(*entries: Entry, **end) -> Callable[[], bytes]:
    """A whole archive with an innocent file before."""
    return lambda: craft([text("innocent"), *entries], **end)


def named(name: str | bytes, **lies) -> Entry:
    """An entry of any name, flagged as UTF-8."""
    raw = name if isinstance(name, bytes) else name.encode()
    return Entry(name=raw, content=b"" if raw.endswith(b"/") else b"evil", flags=UTF8, **lies)


def name(rule: Rule, words: str, evil: str, **lies) -> Hostile:
    """A member whose name is the attack."""
    shown = evil if len(evil) <= 300 else f"{evil[:300]}..."
    return Hostile(rule, words, archive(named(evil, **lies)), member=shown)


def pair(rule: Rule, words: str, first: str, second: str, **lies) -> Hostile:
    """Two members of which the second is too much."""
    return Hostile(rule, words, archive(named(first, **lies), named(second)), member=second)


def moded(words: str, evil: str, mode: int) -> Hostile:
    """A member that is no file, directory or link, or two of them."""
    return Hostile(Rule.TYPE, words, archive(named(evil, mode=mode)), member=evil)


def content(words: str, evil: Entry, rule: Rule = Rule.CONTENT, stage: Stage = "content") -> Hostile:
    """A member that is not what the directory says."""
    return Hostile(rule, words, archive(evil), stage, member=evil.name.decode())


def structure(words: str, make: Callable[[], bytes]) -> Hostile:
    """An archive whose parts do not meet."""
    return Hostile(Rule.STRUCTURE, words, make)


def good() -> bytes:
    """Two members and nothing wrong."""
    return craft([text("innocent"), text("b")])


def _hidden_archive(inner_comment: int = 0) -> bytes:
    """A second directory in the comment of the first, for those who take the last end record for the end."""
    outer = craft([text("shown")])
    start = outer.index(b"PK\x01\x02")
    # The same member, but a link.
    inner = bytearray(outer[start:-22])
    inner[38:42] = struct.pack("<L", LINK << 16)
    # Its end record says that the directory lies in the comment of the outer one.
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(inner), len(outer), inner_comment)
    comment = bytes(inner) + end
    return outer[:-2] + struct.pack("<H", len(comment)) + comment


def _shared_bytes() -> bytes:
    """Every entry of the directory points at one member: 40 times its size is unpacked."""
    bomb = text("a", bytes(MIB))
    return craft([bomb, *(text(f"{n}", bytes(MIB), header_offset=0, packed=b"") for n in range(40))])


def _quoted_overlap() -> bytes:
    """Each member's data begins with the next one's header, quoted by a stored deflate block (zbsm, CVE-2024-0450)."""
    kernel = deflate(bytes(MIB))
    crc = zlib.crc32(bytes(MIB))
    second = craft([text("b", bytes(MIB))])[: 30 + 1]
    quoted = b"\x00" + struct.pack("<2H", len(second), len(second) ^ 0xFFFF) + second
    first = text("a", second + bytes(MIB), packed=quoted + kernel)
    offset = 30 + 1 + 5
    return craft([first, text("b", bytes(MIB), crc=crc, header_offset=offset, compressed_size=len(kernel), packed=b"")])


def _longer_extra_field() -> bytes:
    """The first member's own header says that four bytes more belong to it."""
    data = bytearray(craft([text("a", b"", method=0), text("b", b"", method=0)]))
    data[28:30] = struct.pack("<H", 4)
    return bytes(data)


def _contradiction() -> bytes:
    data = bytearray(craft([text("a")], zip64=True))
    data[-14:-10] = b"\x05\x00\x05\x00"
    return bytes(data)


def _many_entries() -> bytes:
    return craft(
        [], zip64=True, gap=bytes(46 * 100_001), count=100_001, size=46 * 100_001, offset=0, record=46 * 100_001
    )


def _deep_forest() -> bytes:
    """Few members, each below 63 directories of its own."""
    return craft([text(f"{n}/" + "d/" * 62 + "f", b"") for n in range(1600)])


def _zeros(count: int, size: int) -> bytes:
    packed, crc = deflate(bytes(size)), zlib.crc32(bytes(size))
    return craft([Entry(name=b"%d" % n, content=b"", packed=packed, size=size, crc=crc) for n in range(count)])


CONTENT = b"some text, some text, some text"

HOSTILE = {
    # --- Names
    "parent": name(Rule.TRAVERSAL, "leads out", "../evil"),
    "parent twice": name(Rule.TRAVERSAL, "leads out", "../../evil"),
    "parent inside": name(Rule.TRAVERSAL, "leads out", "a/../../evil"),
    "parent at the end": name(Rule.TRAVERSAL, "leads out", "a/.."),
    "parent alone": name(Rule.TRAVERSAL, "leads out", ".."),
    "parent directory": name(Rule.TRAVERSAL, "leads out", "../", mode=0o40755),
    "parent by backslash": name(Rule.TRAVERSAL, "leads out", "..\\..\\evil"),
    "parent by both slashes": name(Rule.TRAVERSAL, "leads out", "a/..\\..\\evil"),
    "absolute": name(Rule.ABSOLUTE, "absolute", "/evil"),
    "absolute, host": name(Rule.ABSOLUTE, "absolute", "//server/share/evil"),
    "absolute by backslash": name(Rule.ABSOLUTE, "absolute", "\\evil"),
    "root": name(Rule.ABSOLUTE, "absolute", "/", mode=0o40755),
    "drive": name(Rule.DRIVE, "drive", "C:\\evil"),
    "drive, slash": name(Rule.DRIVE, "drive", "c:/evil"),
    "drive alone": name(Rule.DRIVE, "drive", "C:"),
    "NUL": name(Rule.NAME_NUL, "NUL", "evil\0.txt"),
    "no name": name(Rule.NAME_EMPTY, "no name", ""),
    "not UTF-8": Hostile(Rule.NAME_TEXT, "flagged as UTF-8", archive(named(b"evil\xff")), member="evil\\xff"),
    "surrogate": Hostile(Rule.NAME_TEXT, "flagged as UTF-8", archive(named(b"\xed\xa0\x80")), member="\\xed\\xa0\\x80"),
    "overlong slash": Hostile(Rule.NAME_TEXT, "flagged", archive(named(b"..\xc0\xafevil")), member="..\\xc0\\xafevil"),
    "dot before": name(Rule.ALIAS, "empty or a '.'", "./evil"),
    "dot inside": name(Rule.ALIAS, "empty or a '.'", "d/./evil"),
    "two slashes": name(Rule.ALIAS, "empty or a '.'", "d//evil"),
    "two slashes at the end": name(Rule.ALIAS, "empty or a '.'", "d//", mode=0o40755),
    "long name": name(Rule.NAME_TOO_LONG, "256 bytes", "x" * 256),
    "long name in UTF-8": name(Rule.NAME_TOO_LONG, "256 bytes", "\u00e9" * 128),
    "long path": name(Rule.PATH_TOO_LONG, "1025 bytes", "x/" * 49 + "/".join(["x" * 230] * 4) + "/abc"),
    "deep path": name(Rule.DEPTH, "65 levels", "d/" * 64 + "f"),
    # --- Places
    "twice": pair(Rule.DUPLICATE, "there twice", "evil", "evil"),
    "directory twice": pair(Rule.DUPLICATE, "there twice", "d/", "d/"),
    "case": pair(Rule.DUPLICATE, "does not count", "README", "readme"),
    "case of a directory": pair(Rule.DUPLICATE, "does not count", "Src/a", "src/b"),
    "case of a sharp s": pair(Rule.DUPLICATE, "does not count", "stra\u00dfe", "STRASSE"),
    "form of Unicode": pair(Rule.DUPLICATE, "does not count", "caf\u00e9", "cafe\u0301"),
    "file above": pair(Rule.FILE_IS_DIRECTORY, "file and a directory", "evil", "evil/b"),
    "file far above": pair(Rule.FILE_IS_DIRECTORY, "file and a directory", "evil", "evil/b/c/d"),
    "file in a directory's place": pair(Rule.FILE_IS_DIRECTORY, "file and a directory", "evil/b", "evil"),
    "file and directory": pair(Rule.FILE_IS_DIRECTORY, "file and a directory", "evil", "evil/"),
    "link above": pair(Rule.FILE_IS_DIRECTORY, "file and a directory", "evil", "evil/b", mode=LINK),
    "link, then a file through it": pair(Rule.DUPLICATE, "there twice", "evil", "evil", mode=LINK),
    # --- Types
    "pipe": moded("a device, a pipe", "evil", 0o10644),
    "character device": moded("a device, a pipe", "evil", 0o20666),
    "block device": moded("a device, a pipe", "evil", 0o60666),
    "socket": moded("a device, a pipe", "evil", 0o140755),
    "unknown type": moded("a device, a pipe", "evil", 0o150755),
    "directory without slash": moded("directory by its mode and a file by its name", "evil", 0o40755),
    "file with slash": moded("file by its mode and a directory by its name", "evil/", 0o100644),
    "link with slash": moded("link by its mode and a directory by its name", "evil/", LINK),
    "directory with content": Hostile(
        Rule.TYPE, "4 bytes of content", archive(Entry(name=b"evil/", content=b"evil", mode=0o40755)), member="evil/"
    ),
    "link with a long target": Hostile(
        Rule.TYPE, "4097 bytes", archive(Entry(name=b"evil", content=b"x" * 4097, mode=LINK)), member="evil"
    ),
    # --- What cannot be read
    "deflate64": Hostile(Rule.METHOD, "method 9", archive(text("evil", method=9)), member="evil"),
    "bzip2": Hostile(Rule.METHOD, "method 12", archive(text("evil", method=12)), member="evil"),
    "zstandard": Hostile(Rule.METHOD, "method 93", archive(text("evil", method=93)), member="evil"),
    "encrypted": Hostile(Rule.ENCRYPTED, "encrypted", archive(text("evil", flags=1)), member="evil"),
    "AES": Hostile(Rule.ENCRYPTED, "encrypted", archive(text("evil", flags=1, method=99)), member="evil"),
    "strongly encrypted": Hostile(Rule.ENCRYPTED, "encrypted", archive(text("evil", flags=0x40)), member="evil"),
    "masked": Hostile(Rule.ENCRYPTED, "encrypted", archive(text("evil", flags=0x2000)), member="evil"),
    "patch": Hostile(Rule.ENCRYPTED, "a patch", archive(text("evil", flags=0x20)), member="evil"),
    # --- Structure
    "prefix": structure("its end record begins", lambda: b"#!/bin/sh\n" + good()),
    "prefix, offsets moved": structure(
        "stand before the first", lambda: craft([text("evil", before=b"#!/bin/sh\n"), text("b")])
    ),
    "trailing bytes": structure("does not end where the file ends", lambda: good() + b"\0"),
    "two archives": structure("its end record begins", lambda: good() + craft([text("evil")])),
    "end cut": structure("does not end where the file ends", lambda: good()[:-1]),
    "no end": structure("no end record", lambda: good()[:-22]),
    "nothing": structure("no end record", lambda: b""),
    "comment cut": structure("does not end where the file ends", lambda: good()[:-2] + b"\x09\0comment"),
    "directory in the comment": Hostile(Rule.GAP, "before the directory", _hidden_archive, "headers"),
    "end record in the comment": structure("begins in the zip's comment", lambda: _hidden_archive(8)),
    "end record begun in the comment": structure(
        "begins in the zip's comment", lambda: good()[:-2] + b"\x05\0PK\x05\x06."
    ),
    "directory said larger": structure("its end record begins", archive(size=10**6)),
    "directory said smaller": structure("its end record begins", archive(size=3)),
    "directory elsewhere": structure("its end record begins", archive(offset=3)),
    "fewer members said": structure("stand behind the 1 entries", archive(text("evil" * 20), count=1)),
    "more members said": structure("has 2 entries", archive(text("evil" * 20), count=3)),
    "impossibly many members": structure("cannot stand in", archive(count=5000)),
    "split": structure("split archive", archive(disk=1)),
    "member on another disk": structure("lies on disk 2", archive(text("evil", disk=2))),
    "zip64 locator elsewhere": structure("no zip64 end record", archive(zip64=True, record=5)),
    "zip64 locator beyond": structure("no zip64 end record", archive(zip64=True, record=2**63)),
    "zip64 contradiction": structure("where its zip64 record says", _contradiction),
    "2^63 bytes": structure("reaches into", archive(text("evil", zip64=True, size=2**63, compressed_size=2**63))),
    "forged packed size": structure("reaches into", archive(text("evil", compressed_size=2**31))),
    "member behind the directory": structure("reaches into", archive(text("evil", header_offset=10**6))),
    "shared bytes": structure("shares bytes", _shared_bytes),
    "quoted overlap": structure("shares bytes", _quoted_overlap),
    "overlap by an extra field": Hostile(Rule.STRUCTURE, "shares bytes", _longer_extra_field, "headers", member="b"),
    "stored with two sizes": structure("sizes differ", archive(text("evil", method=0, size=99))),
    "bytes between": Hostile(Rule.GAP, "4 bytes", archive(text("evil", before=b"junk")), "headers", member="evil"),
    "hidden member": Hostile(
        Rule.GAP,
        "belong to no member",
        lambda: craft([text("shown", before=b""), text("b", before=craft([text("evil")])[: 30 + 4 + 14])]),
        "headers",
        member="b",
    ),
    "bytes before the directory": Hostile(Rule.GAP, "before the directory", archive(gap=b"APK Sig"), "headers"),
    # --- Headers that differ from the directory
    "local name": content("is called 'evil'", text("b", local_name=b"evil"), stage="headers"),
    "longer local name": content("is called", text("b", local_name=b"../../evil"), stage="headers"),
    "local method": content("is method 0", text("evil", local_method=0), stage="headers"),
    "local CRC": content("has CRC 7", text("evil", local_crc=7), stage="headers"),
    "local size": content("has size 9", text("evil", local_size=9), stage="headers"),
    "local encryption": content("has flags 0x1", text("evil", local_flags=1), stage="headers"),
    "local UTF-8": content("has flags 0x800", text("evil", local_flags=UTF8), stage="headers"),
    "local descriptor": content("has flags 0x8", text("evil", local_flags=8), stage="headers"),
    "descriptor": content("does not repeat", text("evil", flags=8, descriptor=b"x" * 16), stage="headers"),
    "no descriptor": content("does not repeat", text("evil", flags=8, descriptor=b""), stage="headers"),
    # --- Content
    "CRC": content("the directory says 00000001", text("evil", crc=1)),
    "CRC of a stored member": content("the directory says 00000001", text("evil", method=0, crc=1)),
    "CRC of a link": content("the directory says 00000001", text("evil", method=0, crc=1, mode=LINK)),
    "more than it says": content("more than the 30", text("evil", size=30)),
    "less than it says": content("has 31 bytes", text("evil", size=10**6)),
    "bomb that says it is small": content(
        "more than the 1000", text("evil", b"", packed=deflate(bytes(64 * MIB)), size=1000)
    ),
    "directory that unpacks": content(
        "more than the 0 bytes", Entry(name=b"evil/", content=b"", packed=deflate(b"evil"), size=0, mode=0o40755)
    ),
    "stream cut": content("does not end", text("evil", packed=deflate(CONTENT)[:-1])),
    "no stream": content("is not deflated", text("evil", packed=b"\xff" * 9)),
    "bytes behind the stream": content("belong to nothing", text("evil", packed=deflate(CONTENT) + b"x")),
    # --- Bombs
    "bomb": Hostile(Rule.RATIO, "more than 200 times", lambda: _zeros(1, 65 * MIB), member="0"),
    "bomb of parts": Hostile(Rule.RATIO, "more than 200 times", lambda: _zeros(3, 30 * MIB)),
    "petabyte": Hostile(Rule.RATIO, "times", archive(text("evil", zip64=True, size=2**50)), member="evil"),
    "100,001 members": Hostile(Rule.ENTRIES, "100001 members", _many_entries),
    "100,000 implied directories": Hostile(
        Rule.ENTRIES, "more than 100000", _deep_forest, member="1562/" + "d/" * 62 + "f"
    ),
    "large directory": Hostile(
        Rule.DIRECTORY_SIZE, "more than 100", archive(text("x" * 99)), limits=UnpackLimits(directory=100)
    ),
    "too much in total": Hostile(
        Rule.TOTAL_SIZE, "more than 61", archive(text("evil")), limits=UnpackLimits(total=61), member="evil"
    ),
}
