"""Settings from command-line options."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from artifact_sync import config
from artifact_sync.config.problems import ConfigProblems


def test_options_are_a_configuration_with_one_rule(tmp_path, monkeypatch):
    """The one-line first use means the same as a file that says so."""
    monkeypatch.chdir(tmp_path)
    text = """
gitlab: {url: "https://h", token: {env: T, kind: job}}
store: {path: mirror}
state: {path: mirror.db}
poll: {backfill: 7d}
rules:
  - name: quick
    projects: [group/app, 42]
    when: {refs: ["v*"], jobs: [package], statuses: [success, failed]}
"""

    settings = config.quick(
        url="https://h",
        projects=["group/app", "42"],
        refs=["v*"],
        jobs=["package"],
        statuses=["success", "failed"],
        into="./mirror",
        backfill="7d",
        token_env="T",
        token_kind="job",
    )

    assert settings == config.loads(text)
    assert settings.compiled_rules


def test_without_a_token_option_the_usual_variable_is_read(tmp_path):
    """GITLAB_TOKEN, unless the instance is said to be public; a kind alone goes with the variable."""

    def token(**options: Any) -> config.Token:
        return config.quick(url="https://h", projects=["a/b"], into=tmp_path / "m", **options).gitlab.token

    assert (token().env, token().kind) == ("GITLAB_TOKEN", "private")
    assert (token(token_kind="bearer").env, token(token_kind="bearer").kind) == ("GITLAB_TOKEN", "bearer")
    assert (token(no_token=True).sources, token(no_token=True).kind) == ((), "none")
    assert token(token_file=tmp_path / "t").file == tmp_path / "t"


def test_files_are_fetched_instead_of_the_archive(tmp_path):
    """Whoever names files wants these."""
    fetch = config.quick(url="https://h", projects=["a/b"], into=tmp_path, files=["x.txt"], trace=True).rules[0].fetch

    assert (fetch.archive, fetch.files, fetch.trace) == (False, ("x.txt",), True)


def test_overrides_are_sections_as_in_a_file(tmp_path):
    """Programs may set what no option sets; it is validated like all else."""
    settings = config.quick(
        url="https://h",
        projects=["a/b"],
        into=tmp_path,
        overrides={"poll": {"interval": "5s"}, "store": {"min_free": "1MiB"}},
    )

    assert settings.poll.interval == timedelta(seconds=5)
    assert (settings.store.min_free, settings.store_path) == (1 << 20, tmp_path)


def test_every_wrong_option_is_named():
    """All problems at once, by the option that a person typed, and not by a key of a file."""
    with pytest.raises(ConfigProblems) as caught:
        config.quick(
            url="gitlab.example.com",
            projects=[],
            refs=["/(/"],
            into="",
            backfill="30",
            statuses=["passed"],
            token_env="glpat-hunter2",
        )

    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "--url",
        "--token-env",
        "--into",
        "--backfill",
        "--project",
        "--ref",
        "--status",
    ]
    assert "hunter2" not in str(caught.value)
    assert "rules" not in str(caught.value)


def test_two_tokens_are_a_problem(tmp_path):
    """One source, and none beside `no_token`."""
    with pytest.raises(ConfigProblems, match="2 sources"):
        config.quick(url="https://h", projects=["a/b"], into=tmp_path, token_env="A", token_file=Path("b"))
    with pytest.raises(ConfigProblems, match="kind: none, and yet"):
        config.quick(url="https://h", projects=["a/b"], into=tmp_path, token_env="A", no_token=True)


def test_the_cure_is_an_option_too(tmp_path):
    """A cure that a person cannot type is none."""
    with pytest.raises(ConfigProblems) as caught:
        config.quick(url="http://gitlab.example.com", projects=["a/b"], into=tmp_path)

    assert str(caught.value).endswith("write https://, or --no-token for a public instance")
