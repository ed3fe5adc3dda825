"""Which archives are unpacked, and where each member goes; nothing is written here."""

from __future__ import annotations

import pytest

from artifact_sync.core.archive_end import TAIL, End
from artifact_sync.core.paths import decode
from artifact_sync.core.unpack_layout import layout
from artifact_sync.core.unpack_plan import Kind, UnpackPlan, find_end, plan
from artifact_sync.core.unpacking import Refused, Rejected, Rule, UnpackLimits
from tests.hostile_archives import HOSTILE, MIB
from tests.real_archives import LARGE, MANY, REAL
from tests.zips import Entry, craft, deflate, text

PLENTY = 1 << 50
DEFAULT = UnpackLimits()


def judged(
    data: bytes, limits: UnpackLimits = DEFAULT, available: int = PLENTY
) -> tuple[UnpackPlan | Rejected, End | None]:
    """The plan of a whole file."""
    try:
        end = find_end(data[-TAIL:], len(data))
    except Refused as refused:
        return refused.rejected, None
    directory = data[end.directory_offset :][: end.directory_size]
    return plan(directory, end, archive_size=len(data), limits=limits, available=available), end


def planned(data: bytes, **keywords) -> UnpackPlan:
    """The plan of an archive that has one."""
    found, _ = judged(data, **keywords)
    assert isinstance(found, UnpackPlan)
    return found


def begins(data: bytes) -> list[int]:
    """Where the packed bytes begin."""
    found, end = judged(data)
    assert isinstance(found, UnpackPlan)
    assert end is not None
    return list(layout(lambda offset, length: data[offset : offset + length], found, end))


def test_the_corpus_is_large_enough():
    """It is the proof of the rules below, each of which has a row; time, memory and space are the process's own."""
    by_process = {Rule.TIME, Rule.MEMORY, Rule.CRASH, Rule.SPACE}

    assert len(HOSTILE) >= 100
    assert len(REAL) >= 10
    assert {case.rule for case in HOSTILE.values()} == set(Rule) - by_process


@pytest.mark.parametrize("case", [name for name, case in HOSTILE.items() if case.stage == "directory"])
def test_the_directory_alone_rejects(case):
    """Rule, member and reason are told before a byte of a member is looked at."""
    hostile = HOSTILE[case]
    found, _ = judged(hostile.data, hostile.limits)

    assert isinstance(found, Rejected)
    assert (found.rule, found.member) == (hostile.rule, hostile.member)
    assert hostile.words in found.reason


@pytest.mark.parametrize("case", [name for name, case in HOSTILE.items() if case.stage == "headers"])
def test_the_headers_refuse(case):
    """What the directory does not show is found in the members' headers and between them."""
    hostile = HOSTILE[case]

    with pytest.raises(Refused) as caught:
        begins(hostile.data)

    found = caught.value.rejected
    assert (found.rule, found.member) == (hostile.rule, hostile.member)
    assert hostile.words in found.reason


@pytest.mark.parametrize("case", [name for name, case in HOSTILE.items() if case.stage == "content"])
def test_wrong_content_is_found_by_unpacking_alone(case):
    """The stages of the corpus are true: these pass every check that comes before."""
    assert begins(HOSTILE[case].data)


@pytest.mark.parametrize("case", REAL)
def test_real_archives_are_planned(case):
    """Every file, link and directory, with its path on disk and whether it is executable."""
    real = REAL[case]
    found = planned(real.data)

    files = {"/".join(entry.path): entry for entry in found.entries if entry.kind is Kind.FILE}
    assert {path: entry.member.size for path, entry in files.items()} == {
        path: len(content) for path, content in real.files.items()
    }
    assert {path for path, entry in files.items() if entry.executable} == real.executable
    assert {entry.name for entry in found.entries if entry.kind is Kind.LINK} == set(real.links)
    assert real.directories <= {"/".join(path) for path in found.directories}
    assert found.size == sum(map(len, real.files.values()))
    assert len(begins(real.data)) == len(found.entries)


def test_an_archive_of_66_000_members_is_planned():
    """Zip64, with more members than a plain end record can count."""
    found = planned(LARGE.data)

    assert len(found.entries) == MANY
    assert len(found.directories) == 100


def test_encoded_names_can_be_told():
    """What was percent-encoded has another path than its name, and the name can be had back."""
    found = planned(REAL["awkward names"].data)

    encoded = {entry.name for entry in found.entries if "/".join(entry.path) != entry.name.removesuffix("/")}
    assert encoded == {entry.name for entry in found.entries} - {"SHA256SUMS", "x" * 200}
    assert {"/".join(map(decode, entry.path)) for entry in found.entries} == {entry.name for entry in found.entries}


def test_a_name_that_is_cut_by_encoding_stays_apart_from_others():
    """Encoded names end after 200 bytes with a hash of the whole."""
    names = ["x" * 250 + "1", "x" * 250 + "2"]
    found = planned(craft([text(name) for name in names]))

    assert len({entry.path for entry in found.entries}) == 2
    assert all(len(entry.path[0]) <= 200 for entry in found.entries)


@pytest.mark.parametrize("name", ["x" * 255, "\u00e9" * 127, "/".join(["x" * 203] * 5) + "12345", "d/" * 63 + "f"])
def test_the_longest_names_are_planned(name):
    """The bounds themselves are allowed."""
    assert len(planned(craft([Entry(name=name.encode(), content=b"", flags=0x800)])).entries) == 1


def test_lengths_are_those_of_the_archives_own_bytes():
    """A name without the UTF-8 flag is read by a code page in which its characters would be longer."""
    assert len(planned(craft([Entry(name=b"\xb0" * 255, content=b"")])).entries) == 1


@pytest.mark.parametrize("name", ["a..b", "...", "..a", "a/..b", "C", "a:b", "CC:/x", "a\\b"])
def test_names_that_only_resemble_an_attack_are_planned(name):
    """They are encoded where they must be."""
    assert len(planned(craft([text(name)])).entries) == 1


def test_directories_stand_behind_those_they_lie_in():
    """Made in that order, each has its parent; a directory may be listed before or after what it holds."""
    found = planned(craft([text("a/b/c/f"), text("a/b/", b""), text("a/", b""), text("z/", b""), text("z/y/f")]))

    assert found.directories == (("a",), ("a", "b"), ("a", "b", "c"), ("z",), ("z", "y"))


def test_space_is_counted_in_blocks():
    """Small files and directories take a block each; one byte less than that is too little."""
    data = craft([text("a"), text("d/b"), text("empty", b"")])

    assert isinstance(judged(data, available=3 * 4096)[0], UnpackPlan)
    found, _ = judged(data, available=3 * 4096 - 1)
    assert isinstance(found, Rejected)
    assert found.rule is Rule.SPACE


def test_what_unpacks_to_little_may_be_dense():
    """64 MiB of zeros are allowed, one byte more is not; nor is what is dense only as a whole."""

    def zeros(size: int) -> bytes:
        return craft([text("zeros", b"", packed=deflate(bytes(size)), size=size)])

    assert isinstance(judged(zeros(64 * MIB))[0], UnpackPlan)
    found, _ = judged(zeros(64 * MIB + 1))
    assert isinstance(found, Rejected)
    assert found.rule is Rule.RATIO


def test_links_and_directories_weigh_nothing():
    """Only files are counted against the total."""
    limits = UnpackLimits(total=31)
    data = craft([text("a"), text("link", mode=0o120777), text("d/", b"")])

    assert planned(data, limits=limits).size == 31


@pytest.mark.parametrize("entries", [3, 4])
def test_directories_count_as_entries(entries):
    """Two files in two directories are four."""
    found, _ = judged(craft([text("d/a"), text("e/b")]), UnpackLimits(entries=entries))

    assert isinstance(found, UnpackPlan) == (entries == 4)


def test_a_reason_is_short_whatever_the_name():
    """A name of 65,535 bytes is not repeated whole."""
    found, _ = judged(craft([text("x" * 65_535)]))

    assert isinstance(found, Rejected)
    assert len(found.reason) + len(found.member or "") < 1000
