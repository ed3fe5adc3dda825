"""What people do by mistake, and what must not happen then."""

import subprocess

from tests.acceptance.harness import COMMAND, archives, artifact_sync, configuration, environment, simulated_gitlab


def test_a_reader_that_goes_away_stops_nothing(tmp_path):
    """`sync | head -1`: no traceback, and everything is mirrored all the same."""
    with simulated_gitlab("jobs:12") as gitlab:
        configuration(tmp_path, gitlab.url)
        ran = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {COMMAND} sync --json | head -1"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (141, "")
    assert len(archives(tmp_path / "mirror")) == 12


def test_a_state_is_not_used_for_another_gitlab(tmp_path):
    """Its ids mean other jobs there: refused with 4, and with --moved it is the same GitLab's new address."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url)
        assert artifact_sync("sync", cwd=tmp_path).code == 0
        former = gitlab.url
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url)
        for command in ("sync", "plan", "status"):
            refused = artifact_sync(command, cwd=tmp_path)
            assert refused.code == 4, refused
            assert f"was made for {former}" in refused.err
        assert "--moved" in refused.err
        assert artifact_sync("sync", "--moved", cwd=tmp_path).code == 0
        assert artifact_sync("sync", cwd=tmp_path).code == 0


def test_a_wrong_address_binds_no_state(tmp_path):
    """A state that no GitLab has told anything goes on with the corrected address."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, "http://127.0.0.1:9")
        assert artifact_sync("sync", cwd=tmp_path).code == 3
        configuration(tmp_path, gitlab.url)
        assert artifact_sync("plan", cwd=tmp_path).code == 0
        assert artifact_sync("sync", cwd=tmp_path).code == 0
        assert len(archives(tmp_path / "mirror")) == 2


def test_a_lost_state_is_noticed(tmp_path):
    """A pass without it would forget what GitLab does not list any more: refused with the way back."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url)
        assert artifact_sync("sync", cwd=tmp_path).code == 0
        for file in tmp_path.glob("artifact-sync.db*"):
            file.unlink()
        for command in ("sync", "status", "ls", "verify", "plan", "audit"):
            refused = artifact_sync(command, cwd=tmp_path)
            assert refused.code == 4, refused
            assert "rebuild-state" in refused.err
        checked = artifact_sync("check", "--offline", cwd=tmp_path)
        assert checked.code != 0, checked
        assert "there is no state" in checked.out
        assert artifact_sync("rebuild-state", cwd=tmp_path).code == 0
        assert artifact_sync("sync", cwd=tmp_path).code == 0


def test_the_state_of_a_line_without_a_configuration_is_named(tmp_path):
    """Whoever writes the configuration afterwards is told what goes on with it."""
    with simulated_gitlab("jobs:2") as gitlab:
        line = ("sync", "--url", gitlab.url, "--project", "acme/app", "--into", "mirror")
        assert artifact_sync(*line, cwd=tmp_path).code == 0
        path = configuration(tmp_path, gitlab.url)
        refused = artifact_sync("sync", cwd=tmp_path)
        assert refused.code == 4, refused
        told = f"state: {{path: {tmp_path / 'mirror.db'}}}"
        assert told in refused.err
        path.write_text(f"{path.read_text()}\n{told}\n")
        assert artifact_sync("sync", cwd=tmp_path).code == 0


def test_a_state_is_not_used_for_another_store(tmp_path):
    """An empty folder where the store should be may be a disk that is not mounted: nothing is fetched into it."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url)
        assert artifact_sync("sync", cwd=tmp_path).code == 0
        (tmp_path / "mirror").rename(tmp_path / "unmounted")
        refused = artifact_sync("sync", cwd=tmp_path)
        assert (refused.code, archives(tmp_path / "mirror")) == (4, {})
        assert "mounted" in refused.err
        assert artifact_sync("sync", "--moved", cwd=tmp_path).code == 0
        assert len(archives(tmp_path / "mirror")) == 2


def test_a_demo_folder_is_no_store(tmp_path):
    """The next demo empties it."""
    assert artifact_sync("demo", "--seconds", "1", cwd=tmp_path).code == 0
    with simulated_gitlab("jobs:1") as gitlab:
        ran = artifact_sync("sync", "--url", gitlab.url, "--project", "acme/app", cwd=tmp_path)
    assert ran.code == 2
    assert "folder of a demo" in ran.err


def test_a_corrected_rule_is_tried(tmp_path):
    """A file that is not in the archive fails with the rule's name; the corrected name is fetched by the next sync."""
    with simulated_gitlab("jobs:1") as gitlab:
        rules = "rules: [{name: all, projects: [acme/app], fetch: {archive: false, files: [no/such/file]}}]\n"
        path = configuration(tmp_path, gitlab.url)
        head = path.read_text().partition("rules:")[0]
        path.write_text(head + rules)
        failed = artifact_sync("sync", cwd=tmp_path)
        assert failed.code == 1
        assert "the job's archive has no file no/such/file" in failed.out
        assert "the rule all" in failed.out
        path.write_text(head + rules.replace("files: [no/such/file]", "trace: true"))
        assert artifact_sync("sync", "--strict", cwd=tmp_path).code == 0
    assert [path.name for path in (tmp_path / "mirror").rglob("job.log")] == ["job.log"]
