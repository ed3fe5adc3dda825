"""`check` tells of patterns that mean something else than is meant, before anything is asked by them."""

import json
from pathlib import Path

import pytest

from tests.acceptance.harness import artifact_sync, configuration, simulated_gitlab


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("jobs: ['build: [linux']", "5:48: rules[0].when.jobs[0]: not a usable pattern: a [ that is never closed"),
        ("jobs: ['build: [linux, amd64]']", "5:48: rules[0].when.jobs[0]: not a usable pattern: [linux, amd64] is one"),
        ("refs: [v*, '!']", "5:52: rules[0].when.refs[1]: an empty pattern"),
    ],
)
def test_a_pattern_that_is_not_finished(tmp_path: Path, when: str, said: str):
    """With its line, its column and what to write, by every command: nothing starts with it."""
    path = configuration(tmp_path, "https://gitlab.example.com")
    path.write_text(path.read_text().replace("[acme/app]}", f"[a/b], when: {{{when}}}}}"))
    for command in (["check", "--offline"], ["config", "show"], ["sync"]):
        ran = artifact_sync(*command, cwd=tmp_path)
        assert ran.code == 2
        assert f"{path.name}:{said}" in ran.out + ran.err
        assert "rite " in ran.out + ran.err


def test_projects_without_a_slash(tmp_path: Path):
    """A rule that means every project is told how to say so, and then sees them all."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url, projects="['*']")
        refused = artifact_sync("check", "--json", cwd=tmp_path)
        configuration(tmp_path, gitlab.url, projects="['**', '!other/**']")
        seen = artifact_sync("check", "--json", cwd=tmp_path)
    assert refused.code == 2
    assert "write */** for what lies below that, **/* for that in any group, or ** for everything" in refused.out
    (found,) = [each for each in json.loads(seen.out)["findings"] if each["subject"] == "rule all"]
    assert (found["level"], seen.code) == ("ok", 0)
    assert found["text"].endswith("in the instance")
