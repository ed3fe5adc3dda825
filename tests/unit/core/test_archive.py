"""The directory of a zip archive, from bytes."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_sync.core.archive import Member, in_file_order, members
from artifact_sync.core.archive_end import MAX_DIRECTORY, TAIL, locate
from artifact_sync.errors import ContentError, Corrupt
from tests.recordings import recordings
from tests.zips import Entry, craft, real_zip, text

FILES = {"a.txt": b"alpha" * 100, "dir/": b"", "dir/b.bin": bytes(range(256)), "empty": b""}


def listed(data: bytes) -> list[Member]:
    """The members of a whole file."""
    end = locate(data[-TAIL:], len(data))
    return list(in_file_order(data[end.directory_offset :][: end.directory_size], end))


@pytest.mark.parametrize("descriptors", [False, True])
@pytest.mark.parametrize("force_zip64", [False, True])
@pytest.mark.parametrize("comment", [b"", b"built by a job", b"x" * 65535])
def test_real_zips_are_listed_as_zipfile_lists_them(descriptors, force_zip64, comment):
    """Names, sizes, CRCs and offsets are zipfile's own."""
    data = real_zip(FILES, comment=comment, descriptors=descriptors, force_zip64=force_zip64)

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        wanted = [(i.filename, i.CRC, i.compress_size, i.file_size, i.header_offset) for i in archive.infolist()]
    assert [(m.name, m.crc, m.compressed_size, m.size, m.header_offset) for m in listed(data)] == wanted
    assert [m.name for m in listed(data) if m.is_dir] == ["dir/"]


@pytest.mark.parametrize(
    "path",
    [
        "narkoz-gitlab/job_artifacts.zip",
        "runner-zip/gl.zip",
        "gitlab-artifacts-server/job_163312005_artifacts.zip",
    ],
)
def test_recorded_archives_of_gitlab_runner_are_listed(path):
    """Archives that real runners wrote have the members that zipfile finds, modes included."""
    data = (recordings() / path).read_bytes()

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        wanted = [(i.filename, i.external_attr >> 16) for i in archive.infolist()]
    assert [(m.name, m.mode) for m in listed(data)] == wanted


def test_an_empty_zip_has_no_members():
    """The 22 bytes of an archive without members are good."""
    assert listed(real_zip({})) == []


def test_a_comment_may_look_like_an_end_record():
    """What is in the comment is not taken for the end, though zipfile takes it."""
    data = real_zip(FILES, comment=b"PK\x05\x06 is how an end begins, and goes on")

    assert [m.name for m in listed(data)] == list(FILES)


def test_zip64_numbers_replace_the_short_ones():
    """An archive written with zip64 records and fields throughout is read by them."""
    data = craft([text("a", zip64=True), text("b", b"second" * 9, zip64=True)], zip64=True)

    assert [(m.name, m.size) for m in listed(data)] == [("a", 31), ("b", 54)]
    assert listed(data)[1].header_offset == data.index(b"PK\x03\x04", 1)


def test_a_directory_in_another_order_is_sorted():
    """Members come in file order, whatever order the directory has."""
    data = craft([text(f"{n:05}") for n in range(300)], reverse=True)
    end = locate(data[-TAIL:], len(data))
    directory = data[end.directory_offset :][: end.directory_size]

    assert [m.name for m in in_file_order(directory, end)] == [f"{n:05}" for n in range(300)]
    assert next(members(directory, end)).name == "00299"


def test_names_are_decoded_as_flagged():
    """UTF-8 with the flag, code page 437 without it; bad UTF-8 is shown and breaks nothing."""
    utf8 = Entry(name="\u00e9".encode(), content=b"", flags=0x800)
    other = Entry(name=b"\x82", content=b"")
    broken = Entry(name=b"a\xff", content=b"", flags=0x800)

    assert [m.name for m in listed(craft([utf8, other, broken]))] == ["\u00e9", "\u00e9", "a\\xff"]


def test_members_that_cannot_be_tested_are_told_apart():
    """Encrypted members and other methods are listed, and said not to be testable."""
    data = craft([text("plain"), text("locked", flags=1), text("zstd", method=93)])

    assert [m.testable for m in listed(data)] == [True, False, False]


GOOD = craft([text("a"), text("b")])
END = len(GOOD) - 22
DIRECTORY = GOOD.index(b"PK\x01\x02")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(GOOD[:-1], "does not end where the file ends", id="end cut by a byte"),
        pytest.param(GOOD[:END], "no end record", id="end record missing"),
        pytest.param(GOOD[: DIRECTORY + 5], "no end record", id="cut in the directory"),
        pytest.param(GOOD + b"\0", "does not end where the file ends", id="trailing byte"),
        pytest.param(b"", "no end record", id="nothing"),
        pytest.param(GOOD + GOOD, "its end record begins", id="two archives"),
        pytest.param(b"junk" + GOOD, "its end record begins", id="prefix"),
        pytest.param(craft([text("a")], gap=b"junk", offset=DIRECTORY), "its end record begins", id="gap, old offset"),
        pytest.param(craft([text("a")], size=10**6), "its end record begins", id="directory too large"),
        pytest.param(craft([text("a")], size=3), "its end record begins", id="directory too small"),
        pytest.param(craft([text("a")], count=7), "cannot stand in", id="more members than room"),
        pytest.param(craft([text("a" * 60), text("b")], count=1), "stand behind the 1 entries", id="too few members"),
        pytest.param(craft([text("a" * 60), text("b")], count=3), "has 2 entries", id="too many members"),
        pytest.param(craft([text("a")], disk=1), "split archive", id="split"),
        pytest.param(craft([text("a")], zip64=True, disk=1), "split archive", id="split zip64"),
        pytest.param(craft([text("a", disk=2)]), "lies on disk 2", id="member on another disk"),
        pytest.param(craft([text("a")], zip64=True, record=5), "no zip64 end record", id="locator points elsewhere"),
        pytest.param(craft([text("a")], zip64=True, record=2**63), "no zip64 end record", id="locator points beyond"),
        pytest.param(craft([], gap=b"PK\x03\x04 not listed"), "no members, but", id="no members before bytes"),
        pytest.param(craft([text("a", compressed_size=10**6)]), "reaches into", id="member beyond the directory"),
        pytest.param(craft([text("a", header_offset=10**6)]), "reaches into", id="member behind the directory"),
        pytest.param(
            craft([text("a", zip64=True, size=2**63, compressed_size=2**63)]), "reaches into", id="2^63 bytes"
        ),
        pytest.param(craft([text("a"), text("b", header_offset=0)]), "shares bytes", id="overlap"),
        pytest.param(
            craft([text("a", header_offset=4)], gap=b"junk"), "stand before the first member", id="does not begin at 0"
        ),
        pytest.param(craft([text("a", method=0, size=99)]), "sizes differ", id="stored with two sizes"),
    ],
)
def test_what_does_not_meet_exactly_is_corrupt(data, words):
    """Every number that disagrees with another, or with the file, is named."""
    with pytest.raises(Corrupt, match=words):
        listed(data)


def test_a_zip64_record_that_contradicts_the_short_one_is_corrupt():
    """A reader that ignores zip64 must not see another archive."""
    data = bytearray(craft([text("a")], zip64=True))
    data[-14:-10] = b"\x05\x00\x05\x00"

    with pytest.raises(Corrupt, match="says 5 where its zip64 record says 1"):
        listed(bytes(data))


def test_an_endless_directory_is_refused_before_it_is_read():
    """The bound holds on the number alone."""
    tail = craft([], zip64=True, count=1, size=MAX_DIRECTORY + 1, record=MAX_DIRECTORY + 1)

    with pytest.raises(Corrupt, match="larger than"):
        locate(tail, MAX_DIRECTORY + 1 + len(tail))


VALID = [
    GOOD,
    real_zip(FILES, descriptors=True, comment=b"a comment"),
    craft([text("a", zip64=True), text("b", flags=8), text("c", method=0)], zip64=True),
    real_zip({}),
]


@settings(max_examples=1500, deadline=None)
@given(data=st.data())
def test_damage_raises_nothing_but_content_errors(data):
    """Flipped, cut, doubled or removed bytes of good archives are listed or refused, and nothing else happens."""
    damaged = bytearray(data.draw(st.sampled_from(VALID)))
    for _ in range(data.draw(st.integers(1, 6))):
        if not damaged:
            break
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "head", "insert", "extreme"])):
            case "flip":
                damaged[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del damaged[at:]
            case "head":
                del damaged[:at]
            case "insert":
                damaged[at:at] = data.draw(st.binary(max_size=30))
            case _:
                damaged[at : at + 4] = data.draw(st.sampled_from([b"\xff" * 4, b"\0" * 4]))
    with suppress(ContentError):
        assert all(m.header_offset + m.compressed_size < len(damaged) for m in listed(bytes(damaged)))
