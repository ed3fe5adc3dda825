"""Every line that the log can have is documented, as it is."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "daemon" / "artifact_sync"
#: What ``**_named(event)`` stands for.
NAMED = ("project", "job", "name", "ref")


@dataclass
class Line:
    """One kind of line."""

    levels: set[str]
    fields: set[str]


def level_of(name: str) -> str:
    """``log.exception`` is an error with its traceback."""
    return {"exception": "error", "critical": "error"}.get(name, name)


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, set[str]]]:
    """Every call that writes to the log, with the levels that it may have."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        chosen: list[tuple[int, set[str]]] = []
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "level":
                names = re.findall(r"\blog\.(\w+)", ast.unparse(node.value))
                chosen.append((node.lineno, set(map(level_of, names))))
        for node in ast.walk(function):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            match node.func:
                case ast.Attribute(value=ast.Name(id="log"), attr=name):
                    yield node, {level_of(name)}
                case ast.Name(id="level"):
                    before = [levels for line, levels in sorted(chosen, key=lambda each: each[0]) if line < node.lineno]
                    yield node, before[-1]


def names_of(call: ast.Call, tree: ast.AST) -> list[str]:
    """The event's name; of one that a function is given, those that it is called with."""
    first = call.args[0]
    if isinstance(first, ast.Constant):
        return [str(first.value)]
    assert isinstance(first, ast.Name), ast.unparse(call)
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(node is call for node in ast.walk(function)):
            place = [argument.arg for argument in function.args.args].index(first.id)
            return [
                node.args[place].value  # type: ignore[attr-defined]  # every caller writes it out
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function.name
            ]
    raise AssertionError(ast.unparse(call))


@cache
def written() -> dict[str, Line]:
    """What the source writes to the log."""
    found: dict[str, Line] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "simulator" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        for call, levels in calls(tree):
            fields: set[str] = set()
            for keyword in call.keywords:
                fields |= {keyword.arg} if keyword.arg else set(NAMED)
            if "exception" in ast.unparse(call.func) or "exc_info" in fields:
                fields = fields - {"exc_info"} | {"exception"}
            for name in names_of(call, tree):
                line = found.setdefault(name, Line(set(), set()))
                line.levels |= levels
                line.fields |= fields
    return found


@cache
def documented() -> dict[str, Line]:
    """What the table says."""
    text = (ROOT / "docs" / "events.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([a-z, ]+) \| ([^|]*) \| (.+) \|$", text, re.MULTILINE)
    table = {
        name: Line(set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields))) for name, levels, fields, _ in rows
    }
    assert len(table) == len(rows)
    return table


def test_every_line_of_the_log_is_documented_and_no_other():
    """By name."""
    assert sorted(documented()) == sorted(written())


@pytest.mark.parametrize("name", sorted(written()))
def test_a_line_has_the_level_and_the_fields_that_are_documented(name):
    """All of both."""
    assert documented().get(name) == written()[name]


def test_names_are_events_and_no_sentences():
    """``subject.happening`` in small letters."""
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", name) for name in written())
