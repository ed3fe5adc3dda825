"""SIGHUP: the daemon takes over another configuration while transfers go on, or says why not."""

import json
import os
import pty
import signal
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from anyio import sleep, to_thread

from artifact_sync.simulator import JobSpec, big
from tests.acceptance.harness import started
from tests.acceptance.living import Place, place
from tests.acceptance.supervised import Manager, launched, managing, reached, running
from tests.acceptance.test_replica import free_port, got

MIB = 1 << 20
LOG = "log: {format: json}\npoll: {interval: 1s}\n"
#: A few KiB a second: what comes under it is far from its end.
SLOW = "downloads: {bandwidth: 32KiB/s}\n"


def rewrite(made: Place, *changes: tuple[str, str]) -> None:
    """Replace texts in the configuration, all at once for who reads it."""
    path = made.folder / "artifact-sync.yaml"
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def build_large(made: Place) -> int:
    """A job with an archive that takes minutes; its id."""
    project = next(iter(made.world.projects.values()))
    (job,) = made.world.add_pipeline(project, "main", [JobSpec("package", archive=big(8 * MIB))]).jobs
    return int(made.world.finish(job).id)


async def under_way(made: Place, job: int) -> None:
    """Wait until the job's archive was asked for."""
    await reached(lambda: made.asked("GET", f"/jobs/{job}/artifacts"))
    assert made.mirrored.isdisjoint({job})


async def test_a_right_configuration_is_taken_over_while_a_transfer_goes_on(tmp_path):
    """Limit, rules, log level and number of transfers at once, for what is under way too; the rest at the next start."""
    with managing(tmp_path) as manager:
        async with place(tmp_path, more=LOG + SLOW) as made:
            old = made.build("test", ago=timedelta(days=2))[0].id
            job = build_large(made)
            rewrite(made, ("name: all, ", "name: all, when: {jobs: [package]}, "))
            async with running(tmp_path, env=manager.env()) as daemon:
                await under_way(made, job)
                assert not daemon.said("transfer.started")
                rewrite(
                    made,
                    ("rules:\n", "rules:\n  - {name: tests, projects: [acme/app], when: {jobs: [test]}}\n"),
                    (SLOW, "downloads: {concurrency: 3}\nserver: {listen: null}\n"),
                    ("format: json", "format: json, level: debug"),
                )
                daemon.hang_up()
                told = await daemon.reloaded()
                assert set(told["applied"]) == {
                    "rules",
                    "downloads.bandwidth",
                    "downloads.concurrency",
                    "log.level",
                }
                assert told["rules"] == ["tests", "all"]
                (waits,) = daemon.said("config.waits")
                assert (waits["keys"], "next start" in waits["hint"]) == (["server.listen"], True)
                await reached(lambda: made.mirrored >= {job, old})
                assert daemon.said("transfer.started"), "a debug line"
    assert len(made.asked("GET", f"/jobs/{job}/artifacts")) == 1
    assert_reloads(manager, 1)


def assert_reloads(manager: Manager, times: int) -> None:
    """Each began with the time of a clock that the manager has, too, and ended with READY (sd_notify(3))."""
    begun = [each for each in manager.told if each.get("RELOADING") == "1"]
    assert len(begun) == times
    assert all(int(each["MONOTONIC_USEC"]) > 0 for each in begun)
    order = [name for each in manager.told for name in each if name in {"READY", "RELOADING"}]
    assert order == ["READY", *["RELOADING", "READY"] * times]


def troubles(made: Place) -> list[str]:
    """What `status` and the dashboard read of troubles."""
    with closing(sqlite3.connect(f"file:{made.folder / 'artifact-sync.db'}?mode=ro", uri=True)) as database:
        return [error for (error,) in database.execute("SELECT error FROM trouble")]


async def test_a_wrong_configuration_is_refused_and_every_problem_told(tmp_path):
    """The transfer goes on, the former rules hold, log and status name each problem with its place, and a right one mends it."""
    with managing(tmp_path) as manager:
        async with place(tmp_path, more=LOG + SLOW) as made:
            job = build_large(made)
            async with running(tmp_path, env=manager.env()) as daemon:
                await under_way(made, job)
                rewrite(made, ("name: all", "nane: all"), ("interval: 1s", "interval: 1 fortnight"))
                daemon.hang_up()
                (refused,) = await reached(lambda: daemon.said("config.refused"))
                problems = [line["problem"] for line in daemon.said("config.wrong")]
                assert refused["problems"] == len(problems) >= 2
                assert any("artifact-sync.yaml:5:" in problem and "nane" in problem for problem in problems)
                assert any("poll.interval" in problem for problem in problems)

                def status() -> str:
                    return manager.values("STATUS")[-1]

                await reached(lambda: all(problem in status() for problem in problems))
                assert status().startswith("reload refused, the former configuration stays: ")
                assert daemon.process.poll() is None
                assert any("nane" in trouble for trouble in troubles(made))
                made.build("another")
                rewrite(made, ("nane: all", "name: all"), ("interval: 1 fortnight", "interval: 1s"), (SLOW, ""))
                daemon.hang_up()
                await daemon.reloaded()
                await reached(lambda: len(made.mirrored) == 2)
                await reached(lambda: status().startswith("mirrors "))
                await reached(lambda: not troubles(made))
    assert len(made.asked("GET", f"/jobs/{job}/artifacts")) == 1
    assert_reloads(manager, 2)


async def test_a_removed_rule_leaves_what_it_published_and_takes_nothing_more(tmp_path):
    """What is there stays; later jobs are the other rules' business."""
    async with place(tmp_path, more=LOG) as made:
        (first,) = made.build("docs")
        async with running(tmp_path) as daemon:
            await reached(lambda: made.mirrored == {first.id})
            rewrite(
                made, ("{name: all, projects: [acme/app]}", "{name: apps, projects: [acme/app], when: {jobs: [app]}}")
            )
            daemon.hang_up()
            await daemon.reloaded()
            made.build("docs")
            (wanted,) = made.build("app")
            await reached(lambda: wanted.id in made.mirrored)
            await sleep(1.5)
    assert made.mirrored == {first.id, wanted.id}


async def test_many_signals_in_a_row_come_to_the_last_configuration(tmp_path):
    """Fifty, with another rule before each: one process, one transfer each, and what the last rule asks for."""
    async with place(tmp_path, more=LOG) as made:
        jobs = [made.build(f"job{number}")[0].id for number in range(3)]
        rewrite(made, ("name: all, ", "name: rule0, when: {jobs: [job0]}, "))
        async with running(tmp_path) as daemon:
            await reached(lambda: made.mirrored == {jobs[0]})
            for number in range(50):
                name = "job2" if number == 49 else f"job{number % 2}"
                rewrite(made, (f"name: rule{number}, ", f"name: rule{number + 1}, "))
                text = (tmp_path / "artifact-sync.yaml").read_text()
                (tmp_path / "next").write_text(
                    text.replace("jobs: [job0]", f"jobs: [{name}]").replace("jobs: [job1]", f"jobs: [{name}]")
                )
                (tmp_path / "next").rename(tmp_path / "artifact-sync.yaml")
                daemon.hang_up()
            await reached(lambda: jobs[2] in made.mirrored)
            await reached(lambda: daemon.said("config.reloaded")[-1]["rules"] == ["rule50"])
            assert not daemon.said("config.refused")
            assert daemon.process.poll() is None
            shown = json.loads((await made.run("status", "--json")).out)
            assert shown["troubles"] == []
        assert await daemon.ended() == 0
    assert all(len(made.asked("GET", f"/jobs/{job}/artifacts")) <= 1 for job in jobs)


async def test_a_command_that_runs_is_not_ended_and_the_next_one_is_the_new_one(tmp_path):
    """A reload is no reason to run anything twice."""

    def script(name: str, text: str) -> Path:
        path = Path(tmp_path / name)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    old = script(
        "old",
        f"echo began >> {tmp_path}/told; while ! test -e {tmp_path}/go; do sleep 0.05; done; echo ended >> {tmp_path}/told",
    )
    new = script("new", f"echo new >> {tmp_path}/told")
    told = tmp_path / "told"
    async with place(tmp_path, rule=f"after: {{command: [{old}]}}", more=LOG) as made:
        made.build("package")
        async with running(tmp_path) as daemon:
            await reached(told.exists)
            rewrite(made, (str(old), str(new)))
            daemon.hang_up()
            assert (await daemon.reloaded())["applied"] == ["rules"]
            (tmp_path / "go").touch()
            await reached(lambda: daemon.said("hook.ended"))
            made.build("package")
            await reached(lambda: len(daemon.said("hook.ended")) == 2)
    assert told.read_text().split() == ["began", "ended", "new"]


async def test_tokens_of_readers_change_at_once_but_not_together_with_the_address(tmp_path):
    """One that is taken away opens nothing from then on; who may read a new address is said at the next start alone."""
    port = free_port()
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"reader-{name}-0123456789")
    async with place(tmp_path, more=f"{LOG}server: {{listen: '127.0.0.1:{port}', tokens: [{{file: one}}]}}\n") as made:

        async def status(name: str) -> int:
            url = f"http://127.0.0.1:{port}/api/v4/projects"
            return (await to_thread.run_sync(got, url, f"reader-{name}-0123456789"))[0]

        async with running(tmp_path) as daemon:
            assert (await status("one"), await status("two")) == (200, 401)
            rewrite(made, ("file: one", "file: two"))
            daemon.hang_up()
            assert (await daemon.reloaded())["applied"] == ["server.tokens"]
            assert (await status("one"), await status("two")) == (401, 200)
            rewrite(
                made, ("tokens: [{file: two}]", "read_through: true"), (f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}")
            )
            daemon.hang_up()
            assert (await daemon.reloaded(2))["applied"] == []
            assert daemon.said("config.waits")[-1]["keys"] == ["server.listen", "server.tokens", "server.read_through"]
            assert (await status("one"), await status("two")) == (401, 200)


async def test_a_new_link_is_made_for_what_is_here_already(tmp_path):
    """As a start does."""
    async with place(tmp_path, more=LOG) as made:
        made.build("package")
        async with running(tmp_path) as daemon:
            await reached(lambda: made.mirrored)
            link = tmp_path / "mirror" / "tree" / "newest"
            rewrite(made, ("projects: [acme/app]}", "projects: [acme/app], publish: {latest: newest}}"))
            daemon.hang_up()
            await daemon.reloaded()
            await reached(link.is_symlink)
            assert (link / "artifacts.zip").is_file()


async def test_a_token_from_another_source_is_used_at_once(tmp_path):
    """Also one that GitLab refused before is no trouble any more."""
    async with place(tmp_path, more=LOG) as made:
        (tmp_path / "token").write_text("glpat-nobody-0123456789")
        rewrite(made, ("token: {env: GITLAB_TOKEN}", "token: {file: token}"))
        made.build("package")
        async with running(tmp_path) as daemon:
            await reached(lambda: daemon.said("project.failed"))
            rewrite(made, ("token: {file: token}", "token: {env: GITLAB_TOKEN}"))
            daemon.hang_up()
            assert (await daemon.reloaded())["applied"] == ["gitlab.token"]
            await reached(lambda: made.mirrored)
            assert json.loads((await made.run("status", "--json")).out)["troubles"] == []


async def test_a_terminal_that_is_gone_ends_it(tmp_path):
    """SIGHUP on a live terminal reloads; the one that comes with its end does what it always did."""
    async with place(tmp_path, more=LOG) as made:
        ours, theirs = pty.openpty()
        daemon = launched(made.folder, stdin=theirs)
        os.close(theirs)
        await reached(lambda: daemon.said("daemon.started"))
        daemon.hang_up()
        await daemon.reloaded()
        os.close(ours)
        daemon.hang_up()
        assert await daemon.ended() == 128 + signal.SIGHUP


@pytest.mark.parametrize("command", ["sync"])
async def test_sighup_ends_other_commands(tmp_path, command):
    """They have no configuration to take over: 128 + 1, and what came is resumable."""
    async with place(tmp_path, more=LOG + SLOW) as made:
        job = build_large(made)

        def ended() -> int:
            with started(command, cwd=tmp_path) as process:
                while not made.asked("GET", f"/jobs/{job}/artifacts"):
                    assert process.poll() is None
                    time.sleep(0.02)
                process.send_signal(signal.SIGHUP)
                process.communicate(timeout=20)
                return int(process.returncode)

        assert await to_thread.run_sync(ended) == 128 + signal.SIGHUP
        assert job not in made.mirrored
