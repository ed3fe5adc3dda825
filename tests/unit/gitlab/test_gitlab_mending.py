"""Answers with moments that no calendar has, and with half characters: what is wrong is mended, and nothing else is."""

import json
import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.model import YEARS, Job
from artifact_sync.errors import Refused
from artifact_sync.gitlab.decoding import ObjectDecoder, PageDecoder
from artifact_sync.gitlab.mending import EARLIEST, LATEST, with_moments, with_whole_characters

ASKED = "GET /api/v4/projects/1/jobs"
JOB = {"id": 3, "name": "build", "status": "success", "created_at": "2026-01-02T03:04:05.678Z"}
ONE, PAGE = ObjectDecoder(Job), PageDecoder(Job)


def page(*entries: bytes) -> bytes:
    """A list of these objects."""
    return b"[" + b",".join(entries) + b"]"


def entry(**changes: object) -> bytes:
    """The job, changed."""
    return json.dumps(JOB | changes).encode()


@pytest.mark.parametrize("name", ["created_at", "started_at", "finished_at", "erased_at", "artifacts_expire_at"])
@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("9001-01-01T00:00:00Z", LATEST),
        ("9999-12-31T23:59:59.999999Z", LATEST),
        ("9999-12-31T23:59:59-14:00", LATEST),
        ("10000-01-01T00:00:00.000Z", LATEST),
        ("+010000-01-01T00:00:00Z", LATEST),
        ("292277026596-12-04T15:30:07.000Z", LATEST),
        ("9" * 5000 + "-01-01T00:00:00Z", LATEST),
        ("1969-12-31T23:59:59Z", EARLIEST),
        ("0001-01-01T00:00:00Z", EARLIEST),
        ("0001-01-01T00:00:00+14:00", EARLIEST),
        ("0000-00-00T00:00:00Z", EARLIEST),
        ("-0001-11-30T00:00:00.000Z", EARLIEST),
        ("-292277026596-12-04T15:30:07.000Z", EARLIEST),
        ("2030-01-02T03:04:05", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("+2030-01-02T03:04:05Z", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2030-01-02", datetime(2030, 1, 2, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, tzinfo=UTC)),
        ("2024-02-30T00:00:00Z", None),
        ("infinity", None),
        ("", None),
        (1_700_000_000, None),
        ({"at": "2030-01-02"}, None),
    ],
)
def test_no_moment_loses_its_job(name, written, held):
    """It becomes the farthest one that is held, or one that is left out; the job and the others of its page are there."""
    bad = entry(id=2, **{name: written})
    found, undecodable = PAGE.decode(page(entry(), bad, entry(id=1)), asked=ASKED)
    assert ([job.id for job in found], undecodable) == ([3, 2, 1], 0)
    assert getattr(found[1], name) == held
    assert ONE.decode(bad, asked=ASKED) == found[1]


def test_the_farthest_moments_leave_room_to_reckon():
    """Any offset, margin and microsecond can be applied to them, and the model holds them."""
    for moment in (EARLIEST, LATEST):
        assert moment.year in YEARS
        for step in (timedelta(days=365), timedelta(days=-365)):
            assert (moment + step).astimezone(UTC)
        told = msgspec.json.encode(JOB | {"artifacts_expire_at": moment})
        assert msgspec.json.decode(told, type=Job).artifacts_expire_at == moment


def test_moments_of_what_is_in_a_job_are_mended_too():
    """Those of its pipeline, not what only looks like a moment."""
    told = entry(pipeline={"id": 5, "updated_at": "12026-01-01T00:00:00Z", "ref": "9999-12-31T23:59:59Z"})
    (job,), _ = PAGE.decode(page(told), asked=ASKED)
    assert job.pipeline is not None
    assert (job.pipeline.updated_at, job.pipeline.ref) == (LATEST, "9999-12-31T23:59:59Z")


def test_every_moment_of_a_job_has_a_name_that_is_mended():
    """By their ending: a new field would not be overlooked."""
    fields = msgspec.inspect.type_info(Job)
    assert isinstance(fields, msgspec.inspect.StructType)
    moments = [
        field.name for field in fields.fields if "DateTimeType" in repr(field.type) and "Struct" not in repr(field.type)
    ]
    assert len(moments) == 5
    assert all(name.endswith("_at") for name in moments)


@pytest.mark.parametrize(
    "bad", [{"id": "x"}, {"id": 10**40}, {"id": 2, "finished_at": "12026-01-01T00:00:00Z", "name": 7}, None, 7, []]
)
def test_what_mending_does_not_help_is_counted_still(bad):
    """Only moments are mended: an id or a name that is none stays an error of its entry."""
    told = json.dumps(bad).encode()
    found, undecodable = PAGE.decode(page(entry(), told), asked=ASKED)
    assert ([job.id for job in found], undecodable) == ([3], 1)
    with pytest.raises(Refused, match="another shape"):
        ONE.decode(told, asked=ASKED)


@pytest.mark.parametrize(
    ("written", "held"),
    [
        (rb"\ud800", "\ufffdd800"),
        (rb"\uDFFF", "\ufffddfff"),
        (rb"a\ud83d", "a\ufffdd83d"),
        (rb"\ud83d\ud83d\ude00", "\ufffdd83d\U0001f600"),
        (rb"\ude00\ud83d", "\ufffdde00\ufffdd83d"),
        (rb"\ud800\n\u0041", "\ufffdd800\nA"),
        (rb"\\ud800", r"\ud800"),
        (rb"\\\ud800", "\\\ufffdd800"),
        (rb"\ud83d\ude00 \ud800", "\U0001f600 \ufffdd800"),
    ],
)
def test_half_a_character_loses_neither_its_job_nor_the_page(written, held):
    """It is replaced in whatever text of the page it stands; the other characters stay as they are."""
    bad = entry(id=2, name="NAME", ref="NAME", unknown=["NAME"]).replace(b"NAME", written)
    found, undecodable = PAGE.decode(page(entry(), bad, entry(id=1, finished_at="10000-01-01T00:00:00Z")), asked=ASKED)
    assert ([job.id for job in found], undecodable) == ([3, 2, 1], 0)
    assert (found[1].name, found[1].ref) == (held, held)
    assert found[1].name.encode()
    assert ONE.decode(bad, asked=ASKED) == found[1]


def test_names_that_differ_in_half_a_character_stay_two():
    """Who comes later under the same name in a pipeline would count as a retry of the other."""
    told = page(
        *(entry(id=number, name="NAME").replace(b"NAME", half) for number, half in ((2, rb"\ud800"), (1, rb"\ud801")))
    )
    (first, second), _ = PAGE.decode(told, asked=ASKED)
    assert first.name != second.name


@given(st.text())
def test_whole_characters_are_left_as_they_are(text):
    """Whatever is written, escaped or not: nothing but a lone half is touched."""
    for ascii_only in (True, False):
        told = json.dumps([text], ensure_ascii=ascii_only).encode()
        assert with_whole_characters(told) == told


@given(st.lists(st.integers(0, 0xFFFF) | st.sampled_from([0xD83D, 0xDE00]), max_size=8))
def test_no_half_is_left(units):
    """Of any sequence of UTF-16 units: what was JSON for Python is so for a decoder that takes whole characters alone."""
    told = ('["' + "".join(rf"\u{unit:04x}" for unit in units) + '"]').encode()
    (found,) = msgspec.json.decode(with_whole_characters(told))
    (lenient,) = json.loads(told)
    assert found == re.sub("[\ud800-\udfff]", lambda half: f"\ufffd{ord(half[0]):04x}", lenient)


@given(st.text() | st.datetimes().map(datetime.isoformat) | st.floats() | st.none())
def test_any_moment_is_held_or_left_out(written):
    """Whatever stands there, the job is decoded with it."""
    assert (
        msgspec.json.decode(
            with_moments(
                entry(finished_at=written)
                .replace(b"NaN", b"null")
                .replace(b"-Infinity", b"0")
                .replace(b"Infinity", b"0")
            ),
            type=Job,
        ).id
        == 3
    )
