"""docs/configuration.md has every key as it is: default, example, what a reload does with it, and a test of its effect."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from artifact_sync.config import Settings, loads, schema
from artifact_sync.config.changes import change
from artifact_sync.config.unbuilt import UNBUILT
from artifact_sync.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "configuration.md").read_text()

#: Sections that name the source of a secret, each of which has the same keys; SECRET stands for them in the document.
SECRETS = {"gitlab.token", "gitlab.keep_token", "hooks.secret", "server.tokens", "server.webhook_secret"}
SOURCES = {"file", "env", "credential", "kind"}

#: A configuration with one thing in each list; examples are written over it.
BASE = """
gitlab: {url: https://gitlab.example.com, token: {env: TOKEN}, keep_token: {env: KEEP}}
store: {path: mirror}
server: {tokens: [{env: READERS}]}
rules: [{name: a, projects: [a/b], when: {semver: ">=0"}, fetch: {files: [x]}, publish: {latest: l}}]
"""
WINDOW = {"from": "08:00", "to": "18:00", "limit": "1MiB/s"}

AT_ONCE, NEXT_START, NOT_BUILT = "at once", "next start", "not built"


def rows(head: str) -> dict[str, list[str]]:
    """The rows of all tables with such a head, by their first cell."""
    found: list[list[str]] = []
    inside = False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| key | "):
            inside = line == head
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            found.append(cells)
    table = {unquoted(cells[0]): cells[1:] for cells in found}
    assert len(table) == len(found)
    return table


def unquoted(cell: str) -> str:
    (text,) = re.fullmatch("`([^`]+)`", cell.strip()).groups()  # type: ignore[union-attr]  # else the row is wrong
    return str(text)


KEYS = rows("| key | default | example | reload | what it does |")
TESTS = rows("| key | test |")


def leaves(node: dict[str, Any], defs: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Every key that has no keys below it, and every list or secret that has, with its default where it has one."""
    found: dict[str, Any] = {}
    for name, value in node.get("properties", {}).items():
        path = f"{above}.{name}" if above else name
        below: dict[str, Any] = {}
        for part in parts(value):
            if "$ref" in part:
                below |= leaves(defs[part["$ref"].rpartition("/")[2]], defs, path)
        if not below or path in SECRETS or path == "downloads.bandwidth":
            found[path] = value.get("default", ...)
        found |= below
    return found


def parts(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema itself and everything that it is an alternative, or a list, of."""
    inner = [*value.get("anyOf", []), *value.get("oneOf", []), *([value["items"]] if "items" in value else [])]
    return [value, *(part for each in inner for part in parts(each))]


def documented(path: str) -> str:
    """Under which name it stands in the document."""
    section, _, name = path.rpartition(".")
    return f"SECRET.{name}" if section in SECRETS and name in SOURCES else path


SCHEMA = {documented(path): default for path, default in leaves(schema(), schema()["$defs"]).items()}


def written(key: str) -> dict[str, Any]:
    """The base, with the example of a key in its place."""
    path = key.replace("SECRET", "gitlab.token").split(".")
    data = yaml.safe_load(BASE)
    if path[:2] == ["downloads", "bandwidth"] and len(path) > 2:
        data["downloads"] = {"bandwidth": [dict(WINDOW)]}
    if key.startswith("SECRET."):
        # The example is the one source of it; a kind has none of its own.
        data["gitlab"]["token"] = {"env": "OTHER"} if key == "SECRET.kind" else {}
    place: Any = data
    for name in path[:-1]:
        place = place.setdefault(name, {})
        place = place[0] if isinstance(place, list) else place
    place |= yaml.safe_load(unquoted(KEYS[key][1]))
    assert isinstance(data, dict)
    return data


def settings(data: dict[str, Any], **options: Any) -> Settings:
    return loads(yaml.safe_dump(data), folder=Path("/srv"), **options)


def test_the_keys_are_those_of_the_schema():
    """All of them, and no other, in both tables."""
    assert sorted(KEYS) == sorted(SCHEMA)
    assert sorted(TESTS) == sorted(SCHEMA)


@pytest.mark.parametrize("key", KEYS)
def test_a_default_is_that_of_the_model(key):
    """As one would write it."""
    default = KEYS[key][0]
    if default == "required":
        assert SCHEMA[key] is ...
    else:
        assert yaml.safe_load(unquoted(default)) == SCHEMA[key]


@pytest.mark.parametrize("key", KEYS)
def test_an_example_is_of_its_key_and_is_taken(key):
    """It names the last part of the key, and a configuration with it is loaded; what is not built is refused with these words."""
    example = yaml.safe_load(unquoted(KEYS[key][1]))
    assert list(example) == [key.rpartition(".")[2]]
    if KEYS[key][2] == NOT_BUILT:
        section, name = key.split(".")
        data = yaml.safe_load(BASE) | {section: example}
        with pytest.raises(ConfigError, match="not built"):
            settings(data)
        assert (section, name) in {row.path for row in UNBUILT}
        return
    assert settings(written(key))


def test_what_is_not_built_is_marked():
    """And nothing else is."""
    marked = {tuple(key.split(".")) for key, cells in KEYS.items() if cells[2] == NOT_BUILT}
    assert marked == {row.path for row in UNBUILT}


@pytest.mark.parametrize("key", [key for key, cells in KEYS.items() if cells[2] in {AT_ONCE, NEXT_START}])
def test_a_reload_does_with_it_what_is_said(key):
    """A daemon that runs with the base is given the example."""
    base = yaml.safe_load(BASE)
    if key.startswith("downloads.bandwidth."):
        base["downloads"] = {"bandwidth": [dict(WINDOW)]}
    made = change(settings(base), settings(written(key)))
    assert (bool(made.applied), bool(made.waiting)) == (KEYS[key][2] == AT_ONCE, KEYS[key][2] == NEXT_START)


def test_every_key_says_when_it_takes_effect():
    """In one of few words."""
    odd = {key for key, cells in KEYS.items() if cells[2] not in {AT_ONCE, NEXT_START, NOT_BUILT}}
    assert odd == {"version", *(f"SECRET.{name}" for name in SOURCES)}


@pytest.mark.parametrize("key", KEYS)
def test_the_test_of_a_key_is_there_and_names_it(key):
    """In its own text, or in what it uses of its file: a reference to another test would not."""
    path, _, function = unquoted(TESTS[key][0]).partition("::")
    name = key.rpartition(".")[2]
    assert re.search(rf"\b{name}\b", used(ROOT / path, function))


def used(path: Path, function: str) -> str:
    """The text of a test with its decorators, and of the constants and functions of its file that it names."""
    text = path.read_text()
    named: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    test = named[function]
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)} & named.keys() - {function}
    fixtures = {node.arg for node in ast.walk(test) if isinstance(node, ast.arg)} & named.keys()
    return "\n".join(source(text, named[name]) for name in [function, *sorted(names | fixtures)])


def source(text: str, node: ast.stmt) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(each.lineno for each in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
