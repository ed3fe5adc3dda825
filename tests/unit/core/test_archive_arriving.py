"""An archive is followed as it comes, and what is noted of it is true of its bytes."""

import io
import random
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core import archive_arriving
from artifact_sync.core.archive import DEFLATED, STORED
from artifact_sync.core.archive_arriving import Arriving, Content
from artifact_sync.core.crc_blocks import BLOCK, following
from tests.zips import real_zip

NOISE = random.Random(7).randbytes(300_000)


def named(*contents: bytes) -> dict[str, bytes]:
    """Files of these contents, in this order."""
    return {f"folder/{number}.bin": content for number, content in enumerate(contents)}


def followed(data: bytes, step: int) -> Arriving:
    """Shown in blocks of ``step`` bytes."""
    arriving = Arriving()
    for at in range(0, len(data), step):
        arriving.update(memoryview(data)[at : at + step])
    return arriving


def stretches(data: bytes) -> list[tuple[int, int, int]]:
    """Where the members' bytes stand, by the standard library: begin, end, method."""
    found = []
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        for info in file.infolist():
            name, extra = data[info.header_offset + 26 : info.header_offset + 30 : 2]
            begins = info.header_offset + 30 + name + extra
            found.append((begins, begins + info.compress_size, info.compress_type))
    return found


@pytest.mark.parametrize("step", [1, 29, 4096, 1 << 20])
@pytest.mark.parametrize(("method", "descriptors"), [(STORED, False), (DEFLATED, False), (DEFLATED, True)])
def test_every_member_is_noted(step, method, descriptors):
    """However the blocks are cut, each member's size and CRC are noted under exactly its stretch and method."""
    contents = (b"all work and no play\n" * 500, NOISE[:5000], b"", b"x", NOISE[:40_000])
    data = real_zip(named(*contents), compression=method, descriptors=descriptors)
    arriving = followed(data, step)
    for content, stretch in zip(contents, stretches(data), strict=True):
        begins, ends, method = stretch
        assert arriving.content(*stretch) == Content(len(content), zlib.crc32(content)), stretch
        assert arriving.content(begins, ends + 1, method) is None
        assert arriving.content(begins + 1, ends, method) is None
        assert arriving.content(begins, ends, STORED + DEFLATED - method) is None


def test_nothing_is_noted_of_what_has_not_come():
    """A member whose last byte is missing is not noted, whatever was unpacked of it."""
    for method in (STORED, DEFLATED):
        data = real_zip(named(NOISE), compression=method)
        ((begins, ends, _),) = stretches(data)
        assert followed(data[: ends - 1], 4096).content(begins, ends, method) is None
        assert followed(data[:ends], 4096).content(begins, ends, method) == Content(len(NOISE), zlib.crc32(NOISE))


def test_a_changed_byte_is_noted_as_it_came():
    """Of a stored member with another byte than it had, another CRC is noted: the directory's will not agree."""
    data = bytearray(real_zip(named(NOISE, b"next"), compression=STORED))
    (begins, ends, _), second = stretches(bytes(data))
    data[begins + 10] ^= 1
    arriving = followed(bytes(data), 4096)
    noted = arriving.content(begins, ends, STORED)
    assert noted is not None
    assert noted.crc not in {zlib.crc32(NOISE), 0}
    assert arriving.content(*second) == Content(4, zlib.crc32(b"next"))


def test_what_cannot_be_followed_ends_it_quietly():
    """A long stored member without a length before it, broken deflate data and no zip at all raise nothing and note nothing."""
    stored = real_zip(named(NOISE, b"behind"), compression=STORED, descriptors=True)
    assert [followed(stored, 64).content(*stretch) for stretch in stretches(stored)] == [None, None]
    broken = bytearray(real_zip(named(b"all work and no play" * 50, b"behind")))
    first, second = stretches(bytes(broken))
    broken[first[0]] = 0xFF
    assert [followed(bytes(broken), 64).content(*stretch) for stretch in (first, second)] == [None, None]
    assert followed(b"<!DOCTYPE html>" * 1000, 64).content(30, 60, STORED) is None


@pytest.mark.parametrize("step", [1000, 1 << 20])
def test_a_symbolic_link_is_followed_to_its_end(step):
    """A short stored member whose length comes behind it ends where a descriptor agrees with it, not at any signature."""
    target = b"../PK\x07\x08" * 20
    data = real_zip(named(target, b"", NOISE), compression=STORED, descriptors=True)
    arriving = followed(data, step)
    *links, large = stretches(data)
    assert [arriving.content(*stretch) for stretch in links] == [
        Content(len(target), zlib.crc32(target)),
        Content(0, 0),
    ]
    assert arriving.content(*large) is None


@pytest.mark.parametrize("step", [99_999, BLOCK, 8 * BLOCK])
def test_blocks_are_noted_where_no_length_is_known(step):
    """From a large stored member whose length comes behind it on, whole blocks are noted, those at its edges are not."""
    data = real_zip(named(b"link", NOISE * 9, NOISE * 8), compression=STORED, descriptors=True)
    arriving = followed(data, step)
    crcs = [zlib.crc32(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)]
    assert len(crcs) == 5
    assert list(arriving.blocks(BLOCK, len(data))) == crcs[1:4]
    assert list(arriving.blocks(2 * BLOCK, 4 * BLOCK)) == crcs[2:4]
    assert list(arriving.blocks(2 * BLOCK, 4 * BLOCK - 1)) == crcs[2:3]
    for begins, ends in ((0, len(data)), (BLOCK + 1, len(data)), (BLOCK, BLOCK), (4 * BLOCK, len(data))):
        assert not arriving.blocks(begins, ends)


@given(before=st.binary(max_size=100), block=st.binary(max_size=100))
def test_the_crc_of_what_follows_is_the_crc_of_both(before, block):
    """Of any string and a block behind it."""
    whole = block.ljust(BLOCK, b"\xa5")
    assert following(zlib.crc32(before), zlib.crc32(whole)) == zlib.crc32(before + whole)


def test_a_bomb_is_left_for_later():
    """What unpacks to many times its size is not unpacked by whoever waits for the next bytes."""
    bomb = real_zip(named(b"before", bytes(64 << 20), b"behind"))
    arriving = Arriving()
    arriving.update(bomb)
    before, *rest = stretches(bomb)
    assert arriving.content(*before) == Content(6, zlib.crc32(b"before"))
    assert [arriving.content(*stretch) for stretch in rest] == [None, None]


def test_more_members_than_are_noted(monkeypatch):
    """The first members are noted, up to a bound, and those behind are not."""
    monkeypatch.setattr(archive_arriving, "_MOST", 3)
    data = real_zip(named(*map(bytes, range(5))))
    arriving = followed(data, 1000)
    assert [arriving.content(*stretch) is not None for stretch in stretches(data)] == [True] * 3 + [False] * 2
