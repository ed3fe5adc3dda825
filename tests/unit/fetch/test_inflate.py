"""Every member of an archive is proved, in one pass and in flat memory."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_sync.core.archive import in_file_order
from artifact_sync.core.archive_arriving import Arriving
from artifact_sync.core.archive_end import TAIL, locate
from artifact_sync.core.crc_blocks import BLOCK
from artifact_sync.errors import ContentError, Corrupt, NotAnArchive
from artifact_sync.fetch import inflate
from artifact_sync.fetch.inflate import ArchiveReport, Stopped, prove
from tests.recordings import recordings
from tests.zips import craft, deflate, real_zip, text

FILES = {"a.txt": b"alpha" * 100_000, "dir/": b"", "dir/b.bin": bytes(range(256)) * 5000, "empty": b""}


def proved(data: bytes) -> ArchiveReport:
    """The verdict on a whole file, which must be the same on one that was followed as it came."""
    followed = Arriving()
    for at in range(0, len(data), 1000):
        followed.update(data[at : at + 1000])
    try:
        report = prove(io.BytesIO(data), len(data), lambda: False)
    except ContentError as error:
        with pytest.raises(type(error)):
            prove(io.BytesIO(data), len(data), lambda: False, followed)
        raise
    assert prove(io.BytesIO(data), len(data), lambda: False, followed) == report
    return report


class Counted(io.BytesIO):
    """Tells how much was read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.taken += len(found)
        return found


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_was_unpacked_as_it_came_is_not_read_again(compression):
    """Of an archive that was followed to its end only headers and the directory are read; of a part of it, the rest."""
    noise = random.Random(3).randbytes(400_000)
    data = real_zip({"a": noise, "b": noise[::-1]}, compression=compression)
    whole, half = Arriving(), Arriving()
    whole.update(data)
    half.update(data[: len(data) // 3 * 2])
    taken = []
    for followed in (whole, half, None):
        file = Counted(data)
        assert prove(file, len(data), lambda: False, followed) == ArchiveReport(members=2, untested=0)
        taken.append(file.taken - min(TAIL, len(data)))

    assert taken[0] < 1000
    assert 400_000 < taken[1] < 402_000
    assert taken[2] > 800_000


def test_of_a_stored_member_without_a_length_the_edges_are_read_again():
    """Its whole blocks are known by their CRCs; a byte that changed in one of them or at an edge is found all the same."""
    noise = random.Random(3).randbytes(4 * BLOCK)
    data = real_zip({"a": noise, "b": noise[::-1]}, compression=zipfile.ZIP_STORED, descriptors=True)
    followed = Arriving()
    followed.update(data)
    file = Counted(data)
    assert prove(file, len(data), lambda: False, followed) == ArchiveReport(members=2, untested=0)
    assert file.taken - TAIL < 2 * BLOCK + 1000
    for at in (100, BLOCK, 3 * BLOCK - 1, 4 * BLOCK + 5, 6 * BLOCK):
        changed = bytearray(data)
        changed[at] ^= 0x10
        with pytest.raises(Corrupt, match="has CRC"):
            proved(bytes(changed))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("descriptors", [False, True])
@pytest.mark.parametrize("force_zip64", [False, True])
@pytest.mark.parametrize("comment", [b"", b"a comment"])
def test_good_archives_are_proved(compression, descriptors, force_zip64, comment):
    """What zipfile writes in all its ways is proved whole."""
    data = real_zip(FILES, compression=compression, descriptors=descriptors, force_zip64=force_zip64, comment=comment)

    assert proved(data) == ArchiveReport(members=4, untested=0)


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("narkoz-gitlab/job_artifacts.zip", 1),
        ("runner-zip/gl.zip", 3),
        ("gitlab-artifacts-server/job_163312005_artifacts.zip", 8),
    ],
)
def test_recorded_archives_of_gitlab_runner_are_proved(path, members):
    """Archives that real runners wrote, with symbolic links and data descriptors behind directories, are good."""
    assert proved((recordings() / path).read_bytes()) == ArchiveReport(members=members, untested=0)


def test_an_empty_archive_is_proved():
    """An archive without members is one."""
    assert proved(real_zip({})) == ArchiveReport(members=0, untested=0)


@pytest.mark.parametrize(
    "descriptor",
    [
        pytest.param("<4s3L", id="signed, narrow"),
        pytest.param("<4sL2Q", id="signed, wide"),
        pytest.param("<3L", id="bare, narrow"),
        pytest.param("<L2Q", id="bare, wide"),
    ],
)
def test_every_form_of_descriptor_is_understood(descriptor):
    """Writers differ in signature and width; the next member is found behind any of them."""
    content = b"content " * 50
    fields = (zlib.crc32(content), len(deflate(content)), len(content))
    signed = (b"PK\x07\x08", *fields) if "s" in descriptor else fields
    member = text("a", content, flags=8, descriptor=struct.pack(descriptor, *signed))

    assert proved(craft([member, text("b")])).members == 2


def test_what_unpacks_to_more_than_the_budget_is_not_unpacked(monkeypatch):
    """Its place is checked, its data is not: the archive's own bytes are right, and nobody waits hours for a proof."""
    monkeypatch.setattr(inflate, "_BUDGET", 3_000_000)
    monkeypatch.setattr(inflate, "_BUDGET_TIMES", 1)
    zeros = bytes(1_000_000)
    data = craft([*(text(name, zeros) for name in "abcdef"), text("small")])

    assert proved(data) == ArchiveReport(members=7, untested=4)
    assert proved(craft([text("a", zeros), text("b", zeros)])) == ArchiveReport(members=2, untested=0)


def test_the_budget_grows_with_the_archive(monkeypatch):
    """A large archive is unpacked whole."""
    monkeypatch.setattr(inflate, "_BUDGET", 1)

    assert proved(real_zip({"a": b"alpha " * 5000})) == ArchiveReport(members=1, untested=0)


def test_an_impossible_size_is_corrupt_and_not_untested(monkeypatch):
    """Deflate cannot make gigabytes of thirty bytes, so the directory is damaged."""
    monkeypatch.setattr(inflate, "_BUDGET", 1 << 30)

    with pytest.raises(Corrupt, match="more than deflate can make"):
        proved(craft([text("a", size=3 << 30)]))


def test_an_empty_member_may_lack_its_descriptor_and_its_stream():
    """Some writers flag a descriptor for directories, or call them deflated, and write nothing."""
    data = craft([text("d/", b"", flags=8, descriptor=b""), text("e/", b"", packed=b"")])

    assert proved(data).members == 2


def test_members_that_cannot_be_tested_are_counted():
    """Encrypted members and other methods are mirrored: their place is checked, their CRC cannot be."""
    data = craft([text("plain"), text("locked", flags=1), text("zstd", method=93, size=10**6, crc=1)])

    assert proved(data) == ArchiveReport(members=3, untested=2)


CONTENT = b"some text, some text, some text"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(craft([text("a", crc=1)]), "the directory says 00000001", id="CRC"),
        pytest.param(craft([text("a", local_name=b"b")]), "is called 'b' in its own header", id="local name"),
        pytest.param(craft([text("a", local_name=b"longer")]), "is called 'longer'", id="longer local name"),
        pytest.param(craft([text("a", local_method=0)]), "is method 0 in its header", id="local method"),
        pytest.param(craft([text("a", local_crc=7)]), "has CRC 7 in its header", id="local CRC"),
        pytest.param(craft([text("a", size=30)]), "unpacks to more than the 30", id="more than it says"),
        pytest.param(craft([text("a", size=10**9)]), "has 31 bytes, the directory says 1000000000", id="less"),
        pytest.param(craft([text("a", packed=deflate(CONTENT) + b"x")]), "belong to nothing", id="bytes behind stream"),
        pytest.param(craft([text("a", packed=deflate(CONTENT)[:-1])]), "does not end", id="stream cut"),
        pytest.param(craft([text("a", packed=b"\xff" * 9)]), "is not deflated data", id="no stream"),
        pytest.param(craft([text("a", packed=b"")]), "has 0 bytes", id="no data"),
        pytest.param(craft([text("a", flags=8, descriptor=b"x" * 16)]), "does not repeat", id="descriptor"),
        pytest.param(craft([text("a", flags=8, descriptor=b"")]), "does not repeat", id="no descriptor"),
    ],
)
def test_what_is_not_as_the_directory_says_is_corrupt(data, words):
    """Every disagreement between a member and the directory is found and named."""
    with pytest.raises(Corrupt, match=words):
        proved(data)


def test_a_header_that_is_not_there_is_corrupt():
    """The directory points at a member; something else stands there."""
    data = bytearray(craft([text("a"), text("b")]))
    data[data.index(b"PK\x03\x04", 4)] = 0

    with pytest.raises(Corrupt, match="where 'b' should begin"):
        proved(bytes(data))


def test_members_that_overlap_by_their_extra_field_are_corrupt():
    """The bytes that only the local header tells of count too."""
    data = bytearray(craft([text("a", b"", method=0), text("b", b"", method=0)]))
    data[28:30] = struct.pack("<H", 4)

    with pytest.raises(Corrupt, match="'b' at 31 shares bytes"):
        proved(bytes(data))


@pytest.mark.parametrize(
    "data", [b"", b"<html>sign in</html>", b'{"message":"404 Not found"}', b"\x1f\x8b\x08", b"PK", b"junk" * 100]
)
def test_what_is_no_zip_is_not_an_archive(data):
    """The first bytes decide."""
    with pytest.raises(NotAnArchive):
        proved(data)


def test_a_bomb_costs_no_memory_and_ends_where_it_lies():
    """64 MiB of zeros in 64 KiB are proved within a few blocks; one that says it is smaller ends at its word."""
    packed = deflate(bytes(64 * 1024 * 1024))
    honest = craft([text("zeros", b"", packed=packed, size=64 * 1024 * 1024, crc=zlib.crc32(bytes(64 * 1024 * 1024)))])
    lying = craft([text("zeros", b"", packed=packed, size=1000)])
    tracemalloc.start()
    try:
        report = proved(honest)
        with pytest.raises(Corrupt, match="more than the 1000 bytes"):
            proved(lying)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert report.members == 1
    assert peak < 8 * 1024 * 1024


def test_it_stops_when_told():
    """The flag is looked at between blocks, inside a large member too."""
    data = real_zip({"large": bytes(32 * 1024 * 1024)})
    asked = iter([False] * 5)

    with pytest.raises(Stopped):
        prove(io.BytesIO(data), len(data), lambda: next(asked, True))


def contents(data: bytes) -> list[tuple[int, int]]:
    """(CRC, size) of every member."""
    end = locate(data[-TAIL:], len(data))
    directory = data[end.directory_offset :][: end.directory_size]
    return [(member.crc, member.size) for member in in_file_order(directory, end)]


VALID = [
    real_zip({"a": b"alpha" * 9, "d/": b"", "b": bytes(300)}),
    real_zip({"a": b"alpha" * 9, "b": bytes(300)}, descriptors=True, comment=b"a comment"),
    craft([text("a", zip64=True), text("b", flags=8), text("c", method=0)], zip64=True),
]


@settings(max_examples=1500, deadline=None)
@given(data=st.data())
def test_damage_is_found_or_harmless(data):
    """Flipped or missing bytes give a content error and nothing else; what passes has the contents of the original."""
    original = data.draw(st.sampled_from(VALID))
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        if data.draw(st.booleans()):
            changed[at] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del changed[at : at + data.draw(st.integers(1, 20))]
        if not changed:
            break
    with suppress(ContentError):
        report = proved(bytes(changed))
        if report.untested or not report.members:
            return
        assert contents(bytes(changed)) == contents(original)
