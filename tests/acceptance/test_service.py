"""The daemon under a service manager: what `artifact-sync run` tells a real socket, and when it stops to."""

import json
import os
import re
import sqlite3
import urllib.request
from contextlib import closing

import pytest
from anyio import sleep, to_thread

from tests.acceptance.harness import TOKEN, artifact_sync
from tests.acceptance.living import place
from tests.acceptance.supervised import managing, reached, running
from tests.acceptance.test_replica import free_port

LOG = "log: {format: json}\npoll: {interval: 1s}\n"


@pytest.mark.parametrize("abstract", [False, True])
async def test_it_tells_its_manager_how_it_stands(tmp_path, abstract):
    """Ready once HTTP answers; a status without secrets; that it stops; and a hook's command knows nothing of the manager."""
    port = free_port()
    env = tmp_path / "env"
    (deploy := tmp_path / "deploy").write_text(f"#!/bin/sh\nenv > {env}.new && mv {env}.new {env}\n")
    deploy.chmod(0o755)
    more = f"{LOG}server: {{listen: '127.0.0.1:{port}'}}\n"
    with managing(tmp_path, abstract=abstract) as manager:
        async with place(tmp_path, rule=f"after: {{command: [{deploy}]}}", more=more) as made:
            made.build("package")
            async with running(tmp_path, env=manager.env()) as daemon:
                await reached(lambda: manager.values("READY"))

                def answer() -> int:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=10) as answered:
                        return int(answered.status)

                assert await to_thread.run_sync(answer) == 200
                await reached(env.exists)
                await reached(lambda: [text for text in manager.values("STATUS") if ": 1 publication," in text])
                daemon.process.terminate()
                assert await daemon.ended() == 0
    names = [name for each in manager.told for name in each]
    # It asks for time before it is ready, and the end is the last word.
    assert names.index("EXTEND_TIMEOUT_USEC") < names.index("READY") < names.index("STOPPING")
    assert set(names[names.index("STOPPING") + 1 :]) <= {"STATUS"}
    assert "WATCHDOG" not in names
    (last,) = manager.values("STATUS")[-1:]
    assert re.fullmatch(
        rf"mirrors {made.world.url}: 1 publication, [\d.]+ KiB; 0 waiting, 0 under way, 0 failed; nothing at risk", last
    )
    assert TOKEN not in json.dumps(manager.told)
    assert "NOTIFY_SOCKET" not in env.read_text()


async def test_the_watchdog_hears_nothing_while_the_state_hangs(tmp_path):
    """Another process holds the database; the loop turns on, and yet there is no progress. Then there is again."""
    with managing(tmp_path) as manager:
        async with (
            place(tmp_path, more=LOG) as made,
            running(tmp_path, env=manager.env(WATCHDOG_USEC="2000000")) as daemon,
        ):
            made.build("test")
            await reached(lambda: len(made.mirrored) == 1 and len(manager.values("WATCHDOG")) > 2)
            with closing(sqlite3.connect(tmp_path / "artifact-sync.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                # What is found is to be written.
                made.build("package")
                await reached(lambda: daemon.said("watchdog.withheld"))
                heard = len(manager.values("WATCHDOG"))
                await sleep(1.5)
                assert len(manager.values("WATCHDOG")) == heard
                other.execute("ROLLBACK")
            await reached(lambda: len(manager.values("WATCHDOG")) > heard + 2)
            await reached(lambda: len(made.mirrored) == 2)
    assert {line["reason"] for line in daemon.said("watchdog.withheld")} == {"the state does not answer"}


async def test_the_watchdog_is_another_processs(tmp_path):
    """WATCHDOG_PID names whom it watches (sd_watchdog_enabled(3)); whoever inherits the rest says nothing."""
    with managing(tmp_path) as manager:
        env = manager.env(WATCHDOG_USEC="200000", WATCHDOG_PID=str(os.getpid()))
        async with place(tmp_path, more=LOG), running(tmp_path, env=env):
            await reached(lambda: manager.values("READY"))
            await reached(lambda: manager.values("STATUS")[-1:] != ["starting: finishes what the last run left"])
            await sleep(0.5)
    assert manager.values("WATCHDOG") == []


async def test_it_works_without_the_manager_that_started_it(tmp_path):
    """A socket that is gone is said in the log, and nothing else comes of it."""
    async with place(tmp_path, more=LOG) as made:
        made.build("package")
        async with running(tmp_path, env={"NOTIFY_SOCKET": str(tmp_path / "nobody")}) as daemon:
            await reached(lambda: made.mirrored)
        assert daemon.said("service_manager.unreachable")
        assert await daemon.ended() == 0


async def test_a_start_that_fails_is_never_ready(tmp_path):
    """Another process holds the store: exit code 4, and the manager was told of no start."""
    with managing(tmp_path) as manager:
        async with place(tmp_path, more=LOG), running(tmp_path):
            second = await to_thread.run_sync(lambda: artifact_sync("run", cwd=tmp_path, env=manager.env()))
            assert second.code == 4
    assert manager.values("READY") == []
