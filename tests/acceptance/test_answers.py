"""What the commands answer a person who asks: why, how much, how long, and what to do about it."""

import json
import re
import signal

import pytest
import yaml
from anyio import to_thread

from artifact_sync.simulator.faults import Answer, Fault
from tests.acceptance.harness import (
    TOKEN,
    artifact_sync,
    configuration,
    on_a_terminal,
    simulated_gitlab,
    started,
    wait_for,
)
from tests.acceptance.living import HOUR, place

#: Whatever other tests listen on.
ANY_PORT = "server: {listen: '127.0.0.1:0'}\n"


async def test_explain_by_project_and_number(tmp_path):
    """Both names of a job are explained alike: GitLab, the mirror, what holds it and the keeps first, then each rule."""
    async with place(tmp_path, rule="keep: {policy: always}") as made:
        (job,) = made.build("build", ago=0.6 * HOUR, expire_in=HOUR)
        assert (await made.run("sync", "--strict")).code == 0
        ran = await made.run("explain", "acme/app", str(job.id))
        by_address = await made.run("explain", f"{made.world.url}/acme/app/-/jobs/{job.id}")
        verbose = await made.run("explain", "1", str(job.id), "--verbose")
    assert (ran.code, ran.err) == (0, "")
    assert by_address.out == ran.out
    heads = [line.split(":")[0].strip() for line in ran.out.splitlines()]
    about = ["gitlab", "mirror", "provenance", "retain", "keep", "rule all"]
    assert heads[:7] == [f"acme/app main build #{job.id}", *about]
    assert re.search(
        r"mirror: published 20\S+ \S+ UTC, 1 file, \S+ \S+ -> acme/app/main/build/\d+ \(rules all\)", ran.out
    )
    assert "published, published" not in ran.out
    assert "keep:   kept 20" in ran.out
    assert "wants any;" not in ran.out
    assert "conditions ask nothing (--verbose shows them)" in ran.out
    assert "max_age: wants any;" in verbose.out


def test_explain_a_number_alone(tmp_path):
    """A job's number says nothing without its project: 2, and the hint is what to type."""
    configuration(tmp_path, "https://gitlab.example.com")
    ran = artifact_sync("explain", "1003", cwd=tmp_path)
    assert ran.code == 2
    assert "1003 is a number alone" in ran.err
    assert "hint: Write group/project 1003, or https://gitlab.example.com/group/project/-/jobs/1003" in ran.err


def test_plan_foretells_the_requests(tmp_path):
    """The requests that a plan foretells are those that the pass then makes, up to what the server decides."""
    with simulated_gitlab("jobs:230") as gitlab:
        configuration(tmp_path, gitlab.url)
        words = artifact_sync("plan", cwd=tmp_path)
        planned = json.loads(artifact_sync("plan", "--json", cwd=tmp_path).out.splitlines()[-1])
        before = len(gitlab.ask("requests"))
        assert artifact_sync("sync", "--strict", cwd=tmp_path).code == 0
        made = len(gitlab.ask("requests")) - before
        again = json.loads(artifact_sync("plan", "--json", cwd=tmp_path).out.splitlines()[-1])
    requests = planned["requests"]
    assert (requests["pages"], requests["downloads"], requests["total"]) == (3, 230, sum(requests.values()) / 2)
    assert abs(requests["total"] - made) <= 3
    assert planned["seconds"] == pytest.approx(requests["total"] / (600 * 0.9 / 60), rel=0.2)
    # The first page of a project that was never seen is fresh, two more are history.
    assert planned["history"]["requests"] == 2 + 130
    assert f"It would take {requests['total']} requests to GitLab" in words.out
    assert "are for history" in words.out
    assert (again["fetch"], again["requests"]["pages"], again["requests"]["downloads"]) == (0, 0, 0)
    assert again["history"]["requests"] == 0


def test_check_looks_at_the_token_without_gitlab(tmp_path):
    """--offline tells where the token comes from, and what to do where it is not there; the token is not in it."""
    path = configuration(tmp_path, "https://gitlab.example.com", more=ANY_PORT)
    good = artifact_sync("check", "--offline", cwd=tmp_path)
    assert good.code == 0
    assert "ok    token source: variable GITLAB_TOKEN" in good.out
    assert TOKEN not in good.out
    path.write_text(path.read_text().replace("{env: GITLAB_TOKEN}", "{file: ./none}"))
    for words in (["--offline"], []):
        missing = artifact_sync("check", *words, cwd=tmp_path)
        assert missing.code == 3
        assert re.search(r"fail  token source: token file \S+/none: No such file", missing.out)
        assert "cure: Create it" in missing.out
        assert missing.out.count("fail") == 1


def test_check_as_json(tmp_path):
    """Only what fails has an exit code, and only what needs one a cure."""
    configuration(tmp_path, "https://gitlab.example.com", more=ANY_PORT)
    ran = artifact_sync("check", "--offline", "--json", cwd=tmp_path, env={"GITLAB_TOKEN": " "})
    findings = json.loads(ran.out)["findings"]
    assert ran.code == 3
    assert [finding["subject"] for finding in findings if "exit_code" in finding] == ["token source"]
    assert [finding["subject"] for finding in findings if "cure" in finding] == ["token source"]
    assert {finding["level"] for finding in findings} == {"ok", "fail"}


@pytest.mark.parametrize("command", [["sync", "--url", "http://127.0.0.1:9", "--project", "a/b"], ["demo"]])
def test_into_a_file(tmp_path, command):
    """A file in the place of the folder: 2, said as what it is, and it is left alone."""
    (tmp_path / "taken").write_text("mine")
    ran = artifact_sync(*command, "--into", "taken", cwd=tmp_path)
    assert ran.code == 2
    assert "taken is a file, not a folder" in ran.err
    assert (tmp_path / "taken").read_text() == "mine"


def test_config_show_marks_what_is_not_built(tmp_path):
    """A key without effect has a comment that says so, one with effect has none, and the text stays the configuration."""
    path = configuration(tmp_path, "https://gitlab.example.com")
    path.write_text(path.read_text().replace("store: {", "store: {url: null, "))
    shown = artifact_sync("config", "show", cwd=tmp_path).out
    lines = dict(line.strip().split(":", 1) for line in shown.splitlines() if ":" in line)
    assert "  url: null  # object stores are not built yet\n" in shown
    assert "#" not in lines["per_minute"]
    assert yaml.safe_load(shown) == json.loads(artifact_sync("config", "show", "--json", cwd=tmp_path).out)


def test_a_sync_beside_the_daemon(tmp_path):
    """A sync that finds the store in use says which process to wait for or to end."""
    with simulated_gitlab("jobs:1") as gitlab:
        configuration(tmp_path, gitlab.url)
        with started("run", cwd=tmp_path) as daemon:
            wait_for(daemon, "transfer.published")
            ran = artifact_sync("sync", cwd=tmp_path)
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=20)
    assert ran.code == 4
    assert f"hint: Wait for it, or end process {daemon.pid}." in ran.err


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["rebuild-state"], "the state that this one takes"),
        (["verify", "--repair"], "Without --repair this may run beside"),
    ],
)
def test_what_needs_the_store_for_itself_says_what_to_stop(tmp_path, command, why):
    """Beside a daemon: 4, which process to stop first, that it is to be started again, and why; it goes on meanwhile."""
    with simulated_gitlab("jobs:1") as gitlab:
        configuration(tmp_path, gitlab.url, more=ANY_PORT)
        with started("run", cwd=tmp_path) as daemon:
            wait_for(daemon, "transfer.published")
            ran = artifact_sync(*command, cwd=tmp_path)
            assert daemon.poll() is None
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate(timeout=20)
        assert ran.code == 4
        assert (
            f"hint: Stop process {daemon.pid} first (a service: systemctl stop artifact-sync), and start it" in ran.err
        )
        assert why in ran.err
        assert "Two daemons" not in ran.err
        assert artifact_sync(*command, cwd=tmp_path).code == 0


@pytest.mark.parametrize("command", ["sync", "plan", "check"])
async def test_a_retry_is_a_sentence(tmp_path, command):
    """A 503 is told in words with the wait, not as a line of the log."""
    async with place(tmp_path) as made:
        made.build("build")
        made.world.faults.add(Fault(path="/projects/acme", method="GET", times=1, action=Answer(status=503, body="")))
        ran = await made.run(command)
    assert ran.code == 0
    assert re.fullmatch(
        r"GitLab answered 503 Service Unavailable to GET /api/v4/projects/acme%2Fapp; trying again in \S+ s\n", ran.err
    )


async def test_progress_on_a_narrow_terminal(tmp_path):
    """On 60 columns no row of the bars is longer than that: a folded one could not be drawn over."""
    async with place(tmp_path) as made:
        made.build("a-job-with-a-name-that-is-longer-than-the-terminal-is-wide-by-far")
        code, out = await to_thread.run_sync(lambda: on_a_terminal("sync", cwd=tmp_path, columns=60))
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out)
    bars = [row for row in re.split(r"[\r\n]+", plain) if " mirrored " in row and "total, " in row]
    assert bars
    assert all(len(row.rstrip()) <= 60 for row in bars)
