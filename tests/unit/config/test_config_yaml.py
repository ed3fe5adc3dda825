"""The strict YAML loader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.config import yaml
from artifact_sync.config.problems import ConfigProblems
from artifact_sync.errors import ConfigError

BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {k: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join(['*' + a] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

#: Text, and a piece of what must be said about it.
HOSTILE = {
    "billion laughs": (BOMB, "an alias (*name) is not accepted"),
    "merge bomb": (MERGE_BOMB, "a merge key (<<) is not accepted"),
    "5000 brackets": ("[" * 5000, "nested deeper than 20 levels"),
    "5000 dashes": ("- " * 5000, "nested deeper than 20 levels"),
    "5000 braces": ("{" * 5000, "a key must be plain text"),
    "2 MiB": ("a: " + "x" * (2 << 20), "larger than 1 MiB"),
    "1 MiB of two-byte characters": ("a: " + "\xe9" * ((1 << 20) - 10), "larger than 1 MiB"),
    "30,000 keys": ("".join(f"k{n}: 1\n" for n in range(30_000)), "more than 20000 values"),
    "30,000 keys under a key written twice": (
        "a: 1\na:\n" + "".join(f"  k{n}: 1\n" for n in range(30_000)),
        "more than 20000 values",
    ),
    "30,000 values under keys written twice": (
        "a: 1\n" + "a: [1, 1, 1, 1, 1]\n" * 5000,
        "more than 20000 values",
    ),
    "duplicate keys": ("a: 1\na: 2\n", "written twice; first in line 1"),
    "tab": ("a:\n\tb: 1\n", "a tab where only spaces may stand"),
    "byte order mark": ("\ufeffa: 1\n", "byte order mark"),
    "NUL": ("a: \x00\n", "a control character"),
    "escaped NUL": ('a: "\\0"\n', "an escape that gives no character"),
    "lone surrogate": ("a: \ud800\n", "a control character, or one that is no character"),
    "escaped surrogate": ('a: "\\ud800"\n', "an escape that gives no character"),
    "escape beyond Unicode": ('a: "\\UFFFFFFFF"\n', "not valid YAML"),
    "absurd version": ("%YAML " + "9" * 5000 + ".1\n--- a\n", "not valid YAML"),
    "two documents": ("a: 1\n---\na: 2\n", "a second document begins here"),
    "local tag": ("a: !x 1\n", "a tag (!name) is not accepted"),
    "Python object": ('a: !!python/object/apply:os.system ["x"]\n', "a tag (!name) is not accepted"),
    "standard tag": ("a: !!str 1\n", "a tag (!name) is not accepted"),
    "anchor alone": ("a: &b 1\n", "an anchor (&name) is not accepted"),
    "alias as key": ("*a : 1\n", "a key must be plain text"),
    "list as key": ("? [a]\n: 1\n", "a key must be plain text"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.timeout(10)
def test_hostile_text_is_refused_with_a_reason(case):
    """Bombs, depth, size, duplicates, characters: each ends soon and says why."""
    text, reason = HOSTILE[case]

    assert reason in _complaints(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", "Null"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("0.1", 0.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("e3", "e3"),
        (".", "."),
        ("-", ["x"]),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("9" * 30, "9" * 30),
        ('"1"', "1"),
        ("'true'", "true"),
        ('""', ""),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text, value):
    """Only true, false, null and decimal numbers mean anything but their text."""
    document = yaml.read("a:\n  - x\n" if text == "-" else f"a: {text}\n", "f")

    assert document.data == {"a": value}
    assert not document.problems


def test_every_key_and_value_has_its_position():
    """Line and column count from 1, at the key and at the value, in block and flow style."""
    document = yaml.read("a:\n  b: [x, {c: 1}]\n", "f")

    assert document.keys == {("a",): (1, 1), ("a", "b"): (2, 3), ("a", "b", 1, "c"): (2, 11)}
    assert document.values["a", "b"] == (2, 6)
    assert document.values["a", "b", 0] == (2, 7)
    assert document.values["a", "b", 1, "c"] == (2, 14)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: b: c", "f:1:5", "a colon where no key can stand"),
        ('a: "x\nb: 1', "f:1:4", "the text ends inside quotes"),
        ("a: [1,\n2", "f:1:4", "a list in brackets that is not closed"),
        ("a: {b: 1", "f:1:4", "a mapping in braces that is not closed"),
        ("a:\n   b: 1\n  c: 1", "f:3:3", "this does not belong to what stands above it"),
        ("a: 1\nbcd\ne: 2", "f:3:1", "a key without its colon"),
        ("a: @x", "f:1:4", "text that begins with @"),
        ("a: *", "f:1:5", "* or & at the start of a value"),
        ("a: {b: [c*, !d]}", "f:1:16", "a tag (!) is wrong; put text that begins with ! in quotes"),
        (
            "a: [b*, !c]",
            "f:1:4",
            (
                "a list in brackets that is not closed; separate the items with commas and close it with ], and put text that"
                " begins with ! in quotes"
            ),
        ),
        ('a: "\\q"', "f:1:6", "an unknown escape in double quotes"),
        ("a: |3x\n b", "f:1:6", "a wrong indentation behind | or >"),
    ],
)
def test_a_syntax_error_has_a_place_and_plain_words(text, place, words):
    """A syntax error says where and what in our words, not the parser's."""
    complaint = _complaints(text)

    assert complaint.startswith(f"{place}: not valid YAML: {words}")
    assert "<" not in complaint


def test_a_syntax_error_does_not_repeat_the_text():
    """What stands at the fault may be a token."""
    assert "glpat" not in _complaints("token: glpat-abc: x\n  glpat-def")


def test_a_problem_leaves_the_rest_readable():
    """Duplicates, aliases and tags are all reported, and do not hide what stands around them."""
    document = yaml.read("a: 1\na: 2\nb: *x\nc: !t 3\nd: 4\n", "f")

    assert [p.line for p in document.problems] == [2, 3, 4]
    assert document.broken == {("b",), ("c",)}
    assert document.data == {"a": 1, "b": None, "c": 3, "d": 4}


@given(st.one_of(st.text(), st.text(alphabet="ab:-[]{}&*!|>%@`'\"#?, \n\t\\<~.0123")))
def test_any_text_is_read_or_refused(text):
    """Nothing but ConfigError comes out, whatever goes in."""
    try:
        document = yaml.read(text, "f")
    except ConfigError as error:
        assert str(error).startswith("f:")  # noqa: PT017 - either outcome is right, and each has its check
    else:
        assert set(document.keys) <= set(document.values)


def _complaints(text: str) -> str:
    try:
        document = yaml.read(text, "f")
    except ConfigProblems as error:
        return str(error)
    return "\n".join(map(str, document.problems))
