"""Globs and regular expressions over names that anybody may choose."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_sync.core.patterns import MAX_SUBJECT, Pattern, PatternError, PatternList

PATHS = [
    ("group/app", "group/app", True),
    ("group/app", "group/App", False),
    ("group/*", "group/app", True),
    ("group/*", "group/sub/app", False),
    ("group/**", "group/sub/app", True),
    ("group/**", "group/app", True),
    ("group/**", "group", False),
    ("group/**/app", "group/app", True),
    ("group/**/app", "group/a/b/app", True),
    ("group/**/app", "group/a/bapp", False),
    ("**/app", "app", True),
    ("**/app", "group/app", True),
    ("**", "a/b/c", True),
    ("**app", "group/myapp", True),
    ("**app", "group/app/x", False),
    ("g?oup/app", "group/app", True),
    ("g?oup", "g/oup", False),
    ("group/[ab]*", "group/api", True),
    ("group/[!ab]*", "group/api", False),
    ("group/[!ab]x", "group//x", False),
    ("group/{app,lib}", "group/lib", True),
    ("group/{app,lib}", "group/libs", False),
    ("group/{app,l{i,o}b}", "group/lob", True),
]
NAMES = [
    ("v*", "v1/2", True),
    ("v?", "v/", True),
    ("*-rc*", "v1-rc1", True),
    ("a.b", "axb", False),
    ("a+b", "a+b", True),
    (r"a\*b", "a*b", True),
    (r"a\*b", "axb", False),
    ("build: [", "build: [", True),
    ("build: [[]*", "build: [linux]", True),
    ("{a", "{a", True),
    ("a}", "a}", True),
    ("a,b", "a,b", True),
    ("$(id)", "$(id)", True),
    ("*", "", True),
    ("*", "two\nlines", True),
    ("caf\u00e9*", "caf\u00e9 1", True),
    (r"/^build: \[.*\]$/", "build: [linux, arm]", True),
    ("/rc/", "v1-rc1", True),
    ("/^rc/", "v1-rc1", False),
    ("/", "/", True),
    ("//", "anything", True),
]


@pytest.mark.parametrize(("glob", "subject", "expected"), PATHS)
def test_wildcards_stop_at_the_slash_of_a_path(glob: str, subject: str, expected: bool) -> None:
    """In project and file paths, ``*`` stays in one component and ``**`` crosses."""
    assert Pattern.parse(glob, separator=True).matches(subject) is expected


@pytest.mark.parametrize(("pattern", "subject", "expected"), NAMES)
def test_wildcards_cross_the_slash_of_a_name(pattern: str, subject: str, expected: bool) -> None:
    """In refs and job names a slash is a character like any other."""
    assert Pattern.parse(pattern, separator=False).matches(subject) is expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/(?=a)/", "lookahead"),
        ("/(?!a)b/", "lookahead"),
        ("/(?<=a)b/", "lookbehind"),
        ("/(?<!a)b/", "lookbehind"),
        (r"/(a)\1/", "backreference"),
        ("/a*+/", "possessive"),
        (r"/a\Z/", r"\Z"),
        ("/a{2000}/", "2000"),
        ("/(/", "missing"),
        ("", "empty"),
    ],
)
def test_what_re2_cannot_do_is_named(text: str, word: str) -> None:
    """The error names the construct, so that a person can write something else."""
    with pytest.raises(PatternError, match=r".") as caught:
        Pattern.parse(text, separator=False)
    assert word in str(caught.value)


def test_a_catastrophic_expression_is_linear() -> None:
    """The expression that hangs backtracking engines at 30 characters answers on 60,000."""
    assert not Pattern.parse("/^(a+)+$/", separator=False).matches("a" * 60_000 + "b")


def test_an_endless_name_matches_nothing() -> None:
    """What is longer than any real name is not even looked at, and says so."""
    name = "a" * (MAX_SUBJECT + 1)
    assert not Pattern.parse("*", separator=False).matches(name)
    assert PatternList.parse(["*"], separator=False).judge(name) == (False, f"longer than {MAX_SUBJECT} characters")


@pytest.mark.parametrize(
    ("patterns", "subject", "expected"),
    [
        ([], "x", (True, "anything")),
        (["a", "b"], "b", (True, "b")),
        (["a"], "b", (False, "no pattern matches")),
        (["!a"], "b", (True, "anything")),
        (["!a"], "a", (False, "!a")),
        (["v*", "!*-rc*"], "v1-rc1", (False, "!*-rc*")),
        (["!*-rc*", "v*"], "v1", (True, "v*")),
    ],
)
def test_a_list_is_one_of_less_the_excluded(patterns: list[str], subject: str, expected: tuple[bool, str]) -> None:
    """Plain patterns are alternatives, ``!`` excludes wherever it stands, an empty list asks nothing."""
    assert PatternList.parse(patterns, separator=False).judge(subject) == expected


@given(st.text(max_size=30), st.text(max_size=30), st.booleans())
@settings(max_examples=300)
def test_any_text_is_a_glob_or_a_named_error(glob: str, subject: str, separator: bool) -> None:
    """Whatever is written, parsing and matching end in an answer or a PatternError."""
    try:
        pattern = Pattern.parse(glob, separator=separator)
    except PatternError:
        return
    assert pattern.matches(subject) in {True, False}


@given(st.text(min_size=1, max_size=30))
@settings(max_examples=300)
def test_an_escaped_name_matches_itself_alone(name: str) -> None:
    """With every character escaped a glob is its own literal."""
    pattern = Pattern.parse("".join(f"\\{c}" for c in name), separator=True)
    assert pattern.matches(name)
    assert not pattern.matches(name + "x")


def test_a_lone_surrogate_is_matched_without_error() -> None:
    """JSON can carry half a surrogate pair; RE2 reads UTF-8."""
    assert Pattern.parse("a*", separator=False).matches("a\ud800")
