"""The command line as a person meets it: help, version, configuration, and the exit codes of what is wrong."""

import json
import re
import socket
from pathlib import Path

import pytest

from tests.acceptance.harness import TOKEN, artifact_sync, configuration, simulated_gitlab

COMMANDS = (
    "run",
    "sync",
    "plan",
    "explain",
    "check",
    "status",
    "ls",
    "get",
    "audit",
    "verify",
    "rebuild-state",
    "prune",
    "hooks",
    "keeps",
    "job",
    "config",
    "demo",
)
JOB_COMMANDS = (
    *("list", "bridges", "show", "trace", "download", "file", "keep", "cancel", "retry", "play", "erase"),
    *("delete-artifacts", "whoami"),
)
EXAMPLES = sorted(Path("config").resolve().glob("*.yaml"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize(
    "command",
    [
        (),
        *((name,) for name in COMMANDS),
        ("config", "show"),
        ("config", "schema"),
        ("keeps", "release"),
        ("keeps", "pin"),
        ("keeps", "unpin"),
        ("hooks", "retry"),
        *(("job", name) for name in JOB_COMMANDS),
    ],
)
def test_help(tmp_path, command):
    """Every command explains itself with --help, and the first line says how it is called."""
    ran = artifact_sync(*command, "--help", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('artifact-sync', *command))}")


def test_without_arguments_it_says_what_it_can(tmp_path):
    """The bare command lists the commands in their order, and the exit codes."""
    ran = artifact_sync(cwd=tmp_path)
    assert ran.code == 0
    listed = ran.out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^  ([\w-]+) ", listed, re.MULTILINE)) == COMMANDS
    assert "4 the store or state is damaged or locked" in " ".join(ran.out.split())


def test_version(tmp_path):
    """--version prints the name and the version of the installed package."""
    ran = artifact_sync("--version", cwd=tmp_path)
    assert re.fullmatch(r"artifact-sync \d+\.\d+\.\d+\n", ran.out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sinc"], "No such command"),
        (["sync", "--bogus"], "No such option"),
        (["sync", "--project", "a/b"], "--project cannot stand without --url"),
        (["sync", "--url", "https://x.example", "-c", "x.yaml", "--project", "a/b"], "exclude each other"),
        (["sync", "--url", "https://x.example"], "needs at least one --project"),
        (["sync", "--url", "x.example", "--project", "a/b"], "--url"),
        (["sync", "--url", "https://x.example", "--project", "a/b", "--backfill", "soon"], "--backfill"),
        (["sync", "--url", "https://x.example", "--project", "a/b", "--keep", "maybe"], "--keep"),
        (
            ["sync", "--url", "https://x.example", "--project", "a/b", "--no-token", "--token-env", "T"],
            "--token-env and --no-token exclude each other",
        ),
        (["plan", "--job", "x"], "--job cannot stand without --url"),
        (["run", "-c", "missing.yaml"], "missing.yaml: cannot be read"),
        (["explain"], "Missing argument"),
        (["explain", "https://elsewhere.example/a/b/-/jobs/1"], "https://elsewhere.example"),
    ],
)
def test_usage_and_configuration_errors(tmp_path, arguments, words):
    """What cannot be asked for ends with 2, one error that names the option, and a hint."""
    configuration(tmp_path, "https://gitlab.example.com")
    ran = artifact_sync(*arguments, cwd=tmp_path)
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.startswith("error: ")
    assert "hint: " in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "mirror").exists()


def test_a_missing_configuration_names_the_one_line_start(tmp_path):
    """Without any configuration the error says where it looked, and shows the one-line start."""
    ran = artifact_sync("sync", cwd=tmp_path)
    assert ran.code == 2
    assert "artifact-sync.yaml" in ran.err
    assert "artifact-sync sync --url" in ran.err


def test_the_configuration_is_found(tmp_path):
    """$ARTIFACT_SYNC_CONFIG goes before ./artifact-sync.yaml, and --config before both."""
    here, named, given = (tmp_path / name for name in ("here", "named", "given"))
    for folder in (here, named, given):
        folder.mkdir()
        configuration(folder, f"https://{folder.name}.example.com")

    def found(*arguments: str | Path, **env: str) -> str:
        ran = artifact_sync("config", "show", "--json", *arguments, cwd=here, env=env)
        url: str = json.loads(ran.out)["gitlab"]["url"]
        return url.removeprefix("https://").removesuffix(".example.com")

    variable = str(named / "artifact-sync.yaml")
    assert found() == "here"
    assert found(ARTIFACT_SYNC_CONFIG=variable) == "named"
    assert found("-c", given / "artifact-sync.yaml", ARTIFACT_SYNC_CONFIG=variable) == "given"


def test_config_show_masks_nothing_because_it_holds_nothing(tmp_path):
    """`config show` prints every key in effect and the token's source, and never the token."""
    configuration(tmp_path, "https://gitlab.example.com")
    ran = artifact_sync("config", "show", cwd=tmp_path)
    assert ran.code == 0
    assert "env: GITLAB_TOKEN" in ran.out
    assert "backfill: 30d" in ran.out
    assert TOKEN not in ran.out + ran.err


def test_config_schema(tmp_path):
    """`config schema` prints a JSON Schema that knows the top-level sections."""
    schema = json.loads(artifact_sync("config", "schema", cwd=tmp_path).out)
    assert {"version", "gitlab", "store", "rules"} <= schema["properties"].keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_configurations_load(tmp_path, example):
    """Every example configuration is accepted as it stands."""
    ran = artifact_sync("config", "show", "--json", "-c", example, cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["rules"]


def test_there_are_three_examples():
    """The examples are where the README says that they are."""
    assert len(EXAMPLES) == 3


def test_an_unreachable_gitlab_is_3(tmp_path):
    """Nobody listens there: 3, and the error names the request."""
    configuration(tmp_path, f"http://127.0.0.1:{free_port()}")
    for command in ("sync", "plan", "check", "audit"):
        ran = artifact_sync(command, cwd=tmp_path, timeout=120)
        assert ran.code == 3, (command, ran)
        assert "/api/v4/" in ran.out + ran.err


def test_a_refused_token_is_3(tmp_path):
    """A token that GitLab does not know: 3, said without the token."""
    with simulated_gitlab("jobs:1") as gitlab:
        configuration(tmp_path, gitlab.url)
        for command in ("sync", "plan", "check", "audit"):
            ran = artifact_sync(command, cwd=tmp_path, env={"GITLAB_TOKEN": "glpat-wrong-token"})
            assert ran.code == 3, (command, ran)
            assert "401" in ran.out + ran.err
            assert "glpat-wrong-token" not in ran.out + ran.err


def test_a_damaged_state_is_4(tmp_path):
    """A state database that is none: 4, and it is left as it is."""
    configuration(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "artifact-sync.db").write_bytes(b"this is no database" * 500)
    ran = artifact_sync("sync", cwd=tmp_path)
    assert ran.code == 4
    assert "artifact-sync.db" in ran.err
    assert (tmp_path / "artifact-sync.db").read_bytes().startswith(b"this is no database")
