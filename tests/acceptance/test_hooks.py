"""What runs after publications, by the installed command: exit codes, `hooks`, `status`, `explain`, and a kill in between."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from anyio import sleep, to_thread

from artifact_sync.simulator.tokens import MAINTAINER
from tests.acceptance.harness import TOKEN, started
from tests.acceptance.living import place
from tests.integration.after.hook_receiver import receiver

HOOKS = "hooks: {retries: 0, timeout: 20s}\n"


def reached(holds: Callable[[], object], *, within: float = 20.0) -> None:
    """Wait until it holds. Raises TimeoutError."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


def script(folder: Path, text: str) -> Path:
    """An executable one."""
    path = folder / "deploy"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def test_a_pass_runs_what_is_wanted_and_says_so(tmp_path):
    """The command has the publication's path and a clean environment; the pass ends with 0 when it has run."""
    deploy = script(tmp_path, f'env > {tmp_path}/env; test -f "$1/artifacts.zip" && echo $2 > {tmp_path}/told')
    async with place(
        tmp_path, rule=f"after: {{command: [{deploy}, '{{path}}', '{{job}}/{{ref}}']}}", more=HOOKS
    ) as made:
        made.build("package")
        ran = await made.run("sync")
        assert (ran.code, "ran 1 hook" in ran.out) == (0, True)
        assert (tmp_path / "told").read_text() == "package/main\n"
        environment = (tmp_path / "env").read_text()
        assert TOKEN not in environment
        assert f"ARTIFACT_SYNC_PATH={tmp_path}/mirror/tree/acme/app/main/package/" in environment
        assert "GITLAB" not in environment
        shown = await made.run("hooks")
        assert (shown.code, shown.out) == (0, "0 waiting, 1 done, 0 failed, 0 skipped\n")
        assert "hooks:     0 waiting, 1 done" in (await made.run("status")).out


async def test_what_fails_is_told_everywhere_and_run_again_on_request(tmp_path):
    """Exit code 1, `hooks`, `status` and `explain` with what it said; `hooks retry`, and the next pass runs it."""
    deploy = script(tmp_path, f"if test -f {tmp_path}/ready; then exit 0; fi; echo 'the target is full'; exit 4")
    async with place(tmp_path, rule=f"after: {{command: [{deploy}]}}", more=HOOKS) as made:
        (job,) = made.build("package")
        ran = await made.run("sync")
        assert ran.code == 1
        assert "1 hook failed (`artifact-sync hooks` says why)" in ran.out
        assert job.id in made.mirrored
        for words in (("hooks",), ("status",), ("explain", "acme/app", str(job.id))):
            shown = await made.run(*words)
            assert shown.code == 0
            assert "command of rule all failed" in shown.out
            assert "ended with code 4: the target is full" in shown.out
        assert json.loads((await made.run("status", "--json")).out)["hooks"]["by_state"] == {"failed": 1}
        (told,) = json.loads((await made.run("explain", "acme/app", str(job.id), "--json")).out)["hooks"]
        assert (told["kind"], told["state"], told["attempts"]) == ("command", "failed", 1)
        assert (await made.run("sync")).code == 0
        (tmp_path / "ready").touch()
        assert (await made.run("hooks", "retry", "acme/app", "1")).out == "Nothing has failed for good.\n"
        assert (await made.run("hooks", "retry", "acme/app", str(job.id))).out == "1 hook runs again.\n"
        ran = await made.run("sync")
        assert (ran.code, "ran 1 hook" in ran.out) == (0, True)
        assert json.loads((await made.run("hooks", "--json")).out)["by_state"] == {"done": 1}


async def test_a_daemon_that_is_killed_in_between_tells_at_its_next_start(tmp_path):
    """SIGKILL while the receiver has not answered yet: the same id comes again, and then it is done."""
    async with receiver() as there:
        (tmp_path / "secret").write_text("a-secret-of-ours")
        more = "hooks: {secret: {file: secret}}\n"
        async with place(tmp_path, rule=f"after: {{webhook: '{there.url}/hook?key=hunter2'}}", more=more) as made:
            made.build("package")

            def killed() -> str:
                with started("run", cwd=tmp_path) as daemon:
                    reached(lambda: there.posts)
                    os.kill(daemon.pid, signal.SIGKILL)
                    return str(daemon.communicate(timeout=20)[0])

            there.meanwhile = hang = _Hang()
            said = await to_thread.run_sync(killed)
            hang.off = True
            assert "hunter2" not in said
            assert json.loads((await made.run("hooks", "--json")).out)["by_state"] == {"waiting": 1}
            assert (await made.run("sync")).code == 0
            assert json.loads((await made.run("hooks", "--json")).out)["by_state"] == {"done": 1}
    assert len(there.posts) == 2
    assert len({post.headers["webhook-id"] for post in there.posts}) == 1
    assert all(post.headers["webhook-signature"].startswith("v1,") for post in there.posts)
    assert b"hunter2" not in (tmp_path / "artifact-sync.db").read_bytes()


class _Hang:
    """Does not answer until it is off."""

    def __init__(self) -> None:
        self.off = False

    async def __call__(self) -> None:
        while not self.off:  # noqa: ASYNC110 - what turns it off rings no bell
            await sleep(0.01)


async def test_sigterm_ends_a_command_with_its_children(tmp_path):
    """Within five seconds, and the command is run again by the next start."""
    deploy = script(tmp_path, f"trap '' TERM; sleep 600 & echo $$ $! > {tmp_path}/pids; wait; sleep 600")
    async with place(tmp_path, rule=f"after: {{command: [{deploy}]}}") as made:
        made.build("package")

        def stopped() -> int:
            with started("run", cwd=tmp_path) as daemon:
                reached(lambda: (tmp_path / "pids").is_file() and (tmp_path / "pids").read_text().count("\n"))
                daemon.terminate()
                daemon.communicate(timeout=20)
                return int(daemon.returncode)

        assert await to_thread.run_sync(stopped) == 0
        for pid in (tmp_path / "pids").read_text().split():
            await to_thread.run_sync(reached, lambda pid=pid: not Path(f"/proc/{pid}").exists())
        assert json.loads((await made.run("hooks", "--json")).out)["by_state"] == {"waiting": 1}


async def test_artifacts_are_deleted_in_gitlab_on_request(tmp_path):
    """`keeps` and `explain` have it."""
    env = {"KEEP_TOKEN": TOKEN}
    async with place(tmp_path, rule="after: {delete_remote: true}", role=MAINTAINER) as made:
        path = tmp_path / "artifact-sync.yaml"
        path.write_text(path.read_text().replace("gitlab: {", "gitlab: {keep_token: {env: KEEP_TOKEN}, "))
        (job,) = made.build("package")
        assert (await made.run("sync", env=env)).code == 0
        assert made.asked("DELETE", f"/jobs/{job.id}/artifacts")
        assert "deleted" in (await made.run("keeps", env=env)).out
        assert "delete_remote of rule all done" in (await made.run("explain", "acme/app", str(job.id), env=env)).out


async def test_check_looks_at_programs_and_at_the_secret(tmp_path):
    """Without running or sending anything."""
    rule = "after: {{command: [{program}], webhook: 'http://127.0.0.1:1/'}}"
    async with place(tmp_path, rule=rule.format(program="/nowhere/deploy")) as made:
        ran = await made.run("check", "--offline")
        assert ran.code == 1
        assert "/nowhere/deploy is not there, or cannot be executed" in ran.out
        assert "webhooks are not signed" in ran.out
    (tmp_path / "secret").write_text("whsec_hunter2!")
    async with place(tmp_path, rule=rule.format(program="sh"), more="hooks: {secret: {file: secret}}\n") as made:
        ran = await made.run("check", "--offline")
        assert "hooks.secret holds no usable whsec_ key" in ran.out
        assert "hunter2" not in ran.out + ran.err
        (tmp_path / "secret").write_text("whsec_c2VjcmV0")
        ran = await made.run("check", "--offline")
        assert ran.code == 0
        assert "webhooks are signed with hooks.secret" in ran.out


@pytest.mark.parametrize(
    ("rule", "place_of_error"),
    [
        ("after: {command: []}", "rules[0].after.command: empty"),
        (
            "after: {command: [./deploy]}",
            "rules[0].after.command: not a usable command: a program with a relative path",
        ),
        ("after: {webhook: 'ftp://h/x'}", "rules[0].after.webhook: not a URL with https:// or http:// and a host"),
        ("after: {delete_remote: true}", "rules[0].after.delete_remote: deleting needs a token that may write"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(tmp_path, rule, place_of_error):
    """File, line, column, key, and what to write."""
    async with place(tmp_path, rule=rule) as made:
        ran = await made.run("check", "--offline")
    assert ran.code == 2
    assert place_of_error in ran.err + ran.out
    assert "artifact-sync.yaml:5:" in ran.err + ran.out
