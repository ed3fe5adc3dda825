"""Versions of tags and ranges over them, as semver.org and npm define them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.semver import SemverError, SemverRange, Version


@pytest.mark.parametrize(
    ("wanted", "tag", "expected"),
    [
        (">=1.2 <3", "v1.2.0", True),
        (">=1.2 <3", "1.1.9", False),
        (">=1.2 <3", "3.0.0", False),
        (">= 1.2, < 3", "2.5.1", True),
        (">=0", "v0.0.1", True),
        ("^1.2.3", "1.9.0", True),
        ("^1.2.3", "1.2.2", False),
        ("^1.2.3", "2.0.0", False),
        ("^0.2.3", "0.2.9", True),
        ("^0.2.3", "0.3.0", False),
        ("^0.0.3", "0.0.3", True),
        ("^0.0.3", "0.0.4", False),
        ("^0", "0.9.0", True),
        ("~1.2.3", "1.2.9", True),
        ("~1.2.3", "1.3.0", False),
        ("~1.2", "1.2.0", True),
        ("~1", "1.9.0", True),
        ("1.2", "1.2.7", True),
        ("1.2", "1.3.0", False),
        ("=1.2.3", "1.2.3", True),
        ("!=1.2.3", "1.2.3", False),
        ("!=1.2.3", "1.2.4", True),
        (">1.2", "1.2.9", False),
        (">1.2", "1.3.0", True),
        ("<=1.2", "1.2.9", True),
        ("<=1.2", "1.3.0", False),
        (">1.2.3", "1.2.4", True),
        ("1.x.y || ^2", "2.1.0", None),
        ("^1 || ^3", "3.1.0", True),
        ("^1 || ^3", "2.1.0", False),
        (">=1.2", "1.3.0-rc.1", False),
        (">=1.3.0-rc.1", "1.3.0-rc.2", True),
        (">=1.3.0-rc.1", "1.4.0-rc.2", False),
        (">=1.3.0-rc.1", "1.3.0", True),
        ("<2", "2.0.0-rc.1", False),
        ("1.2.3", "1.2.3+build.5", True),
    ],
)
def test_ranges(wanted: str, tag: str, expected: bool | None) -> None:
    """Each operator, partial versions, alternatives and prereleases."""
    if expected is None:
        with pytest.raises(SemverError):
            SemverRange.parse(wanted)
        return
    version = Version.parse(tag)
    assert version is not None
    assert SemverRange.parse(wanted).contains(version) is expected


@pytest.mark.parametrize("tag", ["release-1", "v1", "1.2.3.4", "01.2.3", "app-1.2.3", "", "v1.2.x", "1.2.3-"])
def test_what_is_no_version(tag: str) -> None:
    """Tags of other schemes are no versions, so no range holds for them."""
    assert Version.parse(tag) is None


def test_precedence() -> None:
    """The example order of semver.org, section 11."""
    order = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    versions = [Version.parse(text) for text in order]
    assert versions == sorted(versions, key=lambda v: v or Version(0, 0, 0))


@pytest.mark.parametrize("text", ["", "  ", ">=", "a", ">=1.2 || ", "1.2.3.4", "^1.2-rc", "!=1.2", ">=1.2 <b"])
def test_what_is_no_range(text: str) -> None:
    """A range with a part that means nothing is refused whole."""
    with pytest.raises(SemverError):
        SemverRange.parse(text)


@given(st.text(max_size=20))
def test_any_text_is_a_version_or_none(text: str) -> None:
    """Whatever a tag is called, parsing ends in an answer."""
    assert Version.parse(text) is None or text[0] in "v0123456789"
