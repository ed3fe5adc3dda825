"""Destination paths: one safe component for each name, reversible and without collisions."""

import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_sync.core.model import Candidate, Commit, Job, Pipeline, Project
from artifact_sync.core.paths import FIELDS, Template, TemplateError, decode, encode, encode_path, fields_of

NASTY = st.one_of(
    st.text(max_size=300),
    st.text(alphabet='./\\%~- \0\n:*?"<>|$;', max_size=30),
    st.sampled_from(["con", "NUL.txt", "Com1", "aux.", ".", "..", "%2e%2e", "%", "%~", "", "~root", "-rf"]),
)


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("feature/../../x", "feature%2F..%2F..%2Fx"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("job\nname", "job%0Aname"),
        ("CON", "%43ON"),
        ("com1.log", "%63om1.log"),
        ("100%", "100%25"),
        (" a ", "%20a%20"),
        ("-rf", "%2Drf"),
        ("~root", "%7Eroot"),
        ("end.", "end%2E"),
        ("caf\u00e9", "caf%C3%A9"),
        ("build: [linux]", "build%3A [linux]"),
        ("", "%"),
        ("plain-1.2_3+x@y=z,(){}[]", "plain-1.2_3+x@y=z,(){}[]"),
    ],
)
def test_names_encode_as_documented(name: str, component: str) -> None:
    """Each kind of dangerous name, and an ordinary one that stays as it is."""
    assert encode(name) == component
    assert decode(component) == name


@given(NASTY)
@settings(max_examples=1000)
def test_every_name_is_one_safe_component(name: str) -> None:
    """Never a separator, a hidden name, a parent, an option, a control character, or longer than file systems take."""
    component = encode(name)
    assert set(component) <= set(string.ascii_letters + string.digits + "._-+@=,()[]{} %~")
    assert component not in {"", ".", ".."}
    assert component[0] not in ".-~ "
    assert component[-1] not in ". "
    assert len(component) <= 255


@given(NASTY)
@settings(max_examples=1000)
def test_encoding_is_reversible(name: str) -> None:
    """The name comes back, or the component says that it was cut."""
    component = encode(name)
    if "%~" in component:
        with pytest.raises(ValueError, match="too long"):
            decode(component)
    else:
        assert decode(component) == name


@given(NASTY, NASTY)
@settings(max_examples=1000)
def test_two_names_never_share_a_component(one: str, other: str) -> None:
    """Different names stay different, cut ones included."""
    assert (encode(one) == encode(other)) == (one == other)


def test_long_names_with_one_beginning_stay_apart() -> None:
    """A cut name carries a hash of the whole."""
    one, other = encode("x" * 300 + "1"), encode("x" * 300 + "2")
    assert one != other
    assert len(one) <= 200


@pytest.mark.parametrize("component", ["%2", "%zz", "%41", "a%", "caf\u00e9", "%C3"])
def test_what_encode_never_writes_is_refused(component: str) -> None:
    """A component with two readings would not be reversible."""
    with pytest.raises(ValueError, match=r"."):
        decode(component)


def test_a_path_keeps_its_slashes() -> None:
    """Only a path that may nest does, each part encoded."""
    assert encode_path("a/../b") == "a/%2E%2E/b"


def _candidate(**job: object) -> Candidate:
    values: dict[str, object] = {
        "id": 7,
        "name": "build: [x]",
        "status": "success",
        "stage": "build",
        "ref": "v1.2.0",
        "tag": True,
        "finished_at": datetime(2024, 1, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5))),
        "pipeline": Pipeline(id=70, sha="0123456789abcdef", source="push"),
        **job,
    }
    return Candidate(project=Project(id=3, path_with_namespace="group/sub/app"), job=Job(**values))  # type: ignore[arg-type]


def test_every_field_renders() -> None:
    """The project nests by itself, everything else is one component; the date is the day in UTC."""
    fields = fields_of(_candidate(), "releases")
    assert set(fields) == set(FIELDS)
    rendered = Template.parse("/".join(f"{{{name}}}" for name in FIELDS)).render(fields)
    assert rendered == (
        "group/sub/app/3/v1.2.0/tag/build%3A [x]/7/70/build/0123456789abcdef/01234567/push/releases/2024-01-02/1.2.0"
    )


def test_a_ref_nests_on_request_alone() -> None:
    """``{ref}`` is one component and ``{ref|path}`` as many as it has, neither leaving the tree."""
    fields = fields_of(_candidate(ref="feature/../x", tag=False), "r")
    assert Template.parse("{ref}/{job_id}").render(fields) == "feature%2F..%2Fx/7"
    assert Template.parse("{ref|path}/{job_id}").render(fields) == "feature/%2E%2E/x/7"


def test_a_field_without_value_is_still_a_component() -> None:
    """A job of an old server has no stage, commit or source."""
    bare = Candidate(project=Project(id=1, path_with_namespace="a"), job=Job(id=5, name="j", status="success"))
    assert Template.parse("{stage}/{sha}/{date}/{job_id}").render(fields_of(bare, "r")) == "%/%/%/5"
    assert fields_of(_candidate(pipeline=None, commit=Commit(id="abc")), "r")["sha"] == "abc"
    assert (
        fields_of(_candidate(created_at=datetime(2024, 5, 1, tzinfo=UTC), finished_at=None), "r")["date"]
        == "2024-05-01"
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{project}/{ref}", "job_id"),
        ("{project}/{jobb}/{job_id}", "{job}"),
        ("/{job_id}", "empty"),
        ("{job_id}/", "empty"),
        ("a//{job_id}", "empty"),
        ("../{job_id}", "begins with"),
        (".x/{job_id}", "begins with"),
        ("a./{job_id}", "ends with"),
        ("a:b/{job_id}", "':'"),
        ("{job_id", "brace"),
        ("{{job_id}}", "brace"),
        ("{job_id.__class__}", "no field"),
        ("{job_id!r}", "no field"),
        ("{job_id|path}", "nest"),
        ("{ref|upper}/{job_id}", "nest"),
        ("x{project}/{job_id}", "alone"),
        ("x{ref|path}/{job_id}", "alone"),
    ],
)
def test_templates_that_cannot_be_are_refused_with_the_cure(text: str, word: str) -> None:
    """Each mistake is named, and nothing of Python's format language is understood."""
    with pytest.raises(TemplateError, match=r".") as caught:
        Template.parse(text)
    assert word in str(caught.value)


def test_latest_needs_no_id() -> None:
    """A link to the newest is where jobs are meant to meet."""
    assert Template.parse("{project}/latest", needs_id=False).render(fields_of(_candidate(), "r")) == (
        "group/sub/app/latest"
    )


@given(NASTY, NASTY)
@settings(max_examples=300)
def test_no_field_leaves_the_tree(ref: str, job: str) -> None:
    """Whatever the names are, each component of a rendered path is safe and their number is the template's."""
    rendered = Template.parse("{project}/{ref}/{job}/{job_id}").render(fields_of(_candidate(ref=ref, name=job), "r"))
    parts = rendered.split("/")
    assert len(parts) == 6
    assert not {"", ".", ".."} & set(parts)


@pytest.mark.parametrize(
    ("template", "fields", "path"),
    [
        ("{job}/{job_id}", {"job": "SHA256SUMS"}, "%53HA256SUMS/7"),
        ("{job_id}/{ref|path}", {"ref": "a/SHA256SUMS"}, "7/a/%53HA256SUMS"),
        ("{job_id}/SHA256{job}", {"job": "SUMS"}, "7/%53HA256SUMS"),
        ("{job_id}/{job}", {"job": "sha256sums"}, "7/sha256sums"),
        ("{job_id}/{job}", {"job": "SHA256SUMS.asc"}, "7/SHA256SUMS.asc"),
    ],
)
def test_no_folder_has_the_name_of_the_sums(template, fields, path):
    """Every publication has a file of that name, which is found by it; the name can still be told from the path."""
    known = dict.fromkeys(FIELDS, "") | {"job_id": "7"} | fields
    assert Template.parse(template).render(known) == path
    assert decode("%53HA256SUMS") == "SHA256SUMS"
