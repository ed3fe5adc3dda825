"""docs/jobs-api.md names what there is: methods, modules, commands and tests."""

import ast
import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from artifact_sync.cli.job import command
from artifact_sync.gitlab import Client
from artifact_sync.gitlab.operator import Operator as GitlabOperator
from artifact_sync.ports import Operator, Remote
from tests.integration.web.test_replica_parity import REQUESTS

ROOT = Path(__file__).resolve().parents[3]


def rows() -> list[dict[str, str]]:
    found = []
    head: list[str] = []
    for line in (ROOT / "docs" / "jobs-api.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| call "):
            head = cells
        elif not line.startswith("|"):
            head = []
        elif head and not line.startswith("|---"):
            found.append(dict(zip(head, cells, strict=True)))
    return found


ROWS = rows()


def quoted(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


def test_every_call_is_there():
    """As many as GitLab documents: 11 of jobs, 8 of their artifacts."""
    assert len(ROWS) == 19
    assert len({row["call"] for row in ROWS}) == 19


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["call"])
def test_a_row_names_what_there_is(row):
    """The port has the method and the client makes it; the simulator's module has routes; the command exists."""
    for name in quoted(row["client"]):
        port, method = name.split(".")
        ours, theirs = {"Remote": (Remote, Client), "Operator": (Operator, GitlabOperator)}[port]
        assert hasattr(ours, method), name
        assert hasattr(theirs, method), name
    for name in quoted(row["simulator"]):
        assert import_module(f"artifact_sync.simulator.{name}").routes()
    for name in quoted(row["command"]):
        _, verb, *options = name.split()
        member = command.commands[verb]
        known = {option for param in member.params if isinstance(param, click.Option) for option in param.opts}
        assert known >= set(options), name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["call"])
def test_a_row_names_a_test(row):
    """Which is where it says."""
    (named,) = quoted(row["test"])
    path, _, function = named.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_read_of_what_is_mirrored_is_compared_with_gitlab():
    """The replica's column names requests of the suite that compares; only what asks for no mirrored job is left out."""
    served = {row["call"]: quoted(row["replica"]) for row in ROWS}
    assert set(REQUESTS) >= {name for names in served.values() for name in names}
    left_out = {call for call, names in served.items() if not names and "`GET " in call}
    assert {quoted(call)[0].rpartition("/")[2] for call in left_out} == {"job", "allowed_agents", "trigger_jobs"}


def test_every_operation_is_in_the_table():
    """No method of the operator's port and no command is without a call."""
    methods = {name for name in vars(Operator) if not name.startswith("_")}
    assert methods == {name.split(".")[1] for row in ROWS for name in quoted(row["client"]) if name.startswith("Op")}
    assert set(command.commands) == {name.split()[1] for row in ROWS for name in quoted(row["command"])}
