"""Damaged and forged variants of zip archives, the same for the same seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence

#: Fields of the records by their signature: (offset, bytes). APPNOTE 4.3.7, 4.3.9, 4.3.12, 4.3.14 to 4.3.16.
_FIELDS = {
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": (
        *((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2)),
        *((38, 4), (40, 2), (42, 4)),
    ),
    b"PK\x05\x06": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\x06\x06": ((4, 8), (16, 4), (20, 4), (24, 8), (32, 8), (40, 8), (48, 8)),
    b"PK\x06\x07": ((4, 4), (8, 8), (16, 4)),
    b"PK\x07\x08": ((4, 4), (8, 4), (12, 4)),
}
_NAMES = (b"../x", b"/x", b"a", b"A", b"", b"a/", b"./a", b"a\0", b"C:/x", b"..", b"\xff", b"a//b")
_TELLING = (0, 1, 2, 8, 20, 63, 255, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)


def mutants(originals: Sequence[bytes], *, seed: int, count: int) -> Iterator[bytes]:
    """That many variants, each of one of the originals and changed in one to four places."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(originals))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
            chance.choice(_WAYS)(data, chance, originals)
        yield bytes(data)


def _flip(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _truncate(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _remove(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at : at + chance.randint(1, 40)]


def _insert(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.randint(1, 40))


def _repeat(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = data[at : at + chance.randint(1, 120)]


def _splice(data: bytearray, chance: random.Random, originals: Sequence[bytes]) -> None:
    """The beginning of one and the end of another."""
    other = chance.choice(originals)
    data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other) + 1) :]


def _records(data: bytearray) -> list[tuple[int, bytes]]:
    found = []
    at = data.find(b"PK")
    while at >= 0:
        signature = bytes(data[at : at + 4])
        if signature in _FIELDS:
            found.append((at, signature))
        at = data.find(b"PK", at + 2)
    return found


def _set_field(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    """A field gets a telling value, another one's, or one near its own."""
    records = _records(data)
    if not records:
        return
    at, signature = chance.choice(records)
    offset, size = chance.choice(_FIELDS[signature])
    if at + offset + size > len(data):
        return
    old = int.from_bytes(data[at + offset : at + offset + size], "little")
    new = chance.choice((*_TELLING, old + 1, old - 1, old ^ 0x800, old ^ 8, len(data), at)) % (1 << 8 * size)
    data[at + offset : at + offset + size] = new.to_bytes(size, "little")


def _set_mode(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    entries = [at for at, signature in _records(data) if signature == b"PK\x01\x02" and at + 46 <= len(data)]
    if entries:
        mode = chance.choice((0, 0o10644, 0o20666, 0o40755, 0o100755, 0o104755, 0o120777, 0o140755, 0xFFFF))
        struct.pack_into("<L", data, chance.choice(entries) + 38, mode << 16)


def _rename(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    """A member gets another name of the same length, in one header or in both."""
    entries = [at for at, signature in _records(data) if signature == b"PK\x01\x02" and at + 46 <= len(data)]
    if not entries:
        return
    at = chance.choice(entries)
    length = struct.unpack_from("<H", data, at + 28)[0]
    old = bytes(data[at + 46 : at + 46 + length])
    new = chance.choice(_NAMES).ljust(length, b"x")[:length]
    if chance.random() < 0.3:
        data[at + 46 : at + 46 + len(old)] = new[: len(old)]
    elif old:
        changed = bytes(data).replace(old, new[: len(old)])
        data[:] = changed


def _set_both(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    """One lie in the directory and in the member's own header alike."""
    entries = [at for at, signature in _records(data) if signature == b"PK\x01\x02" and at + 46 <= len(data)]
    if not entries:
        return
    at = chance.choice(entries)
    header = struct.unpack_from("<L", data, at + 42)[0]
    central, local, size = chance.choice(((8, 6, 2), (10, 8, 2), (16, 14, 4), (20, 18, 4), (24, 22, 4)))
    if header + 30 > len(data):
        return
    old = int.from_bytes(data[at + central : at + central + size], "little")
    new = (chance.choice((0, 8, old + 1, old - 1, old ^ 0x800, old ^ 8, old * 2)) % (1 << 8 * size)).to_bytes(
        size, "little"
    )
    data[at + central : at + central + size] = new
    data[header + local : header + local + size] = new


#: What changes lengths moves everything behind it, which is soon found: so it is rarer.
_WAYS = (
    *(_flip,) * 5,
    *(_truncate, _remove, _insert, _repeat, _splice),
    *(_set_field,) * 5,
    *(_set_both,) * 4,
    *(_set_mode,) * 2,
    *(_rename,) * 4,
)
