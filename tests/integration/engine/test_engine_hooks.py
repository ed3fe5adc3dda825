"""What runs after a publication: at least once, in order for each receiver, and said."""

import base64
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from artifact_sync.after import HttpWebhooks, LocalCommands
from artifact_sync.core.after import After, CommandLine, HookKind
from artifact_sync.core.events import HookEnded, HooksDropped
from artifact_sync.ports import HookState, QueuedHook
from artifact_sync.simulator import TOKEN, SimClock, World, serve
from tests.integration.after.hook_receiver import receiver
from tests.integration.engine.engine_harness import QUICK, DrivenClock, build, mirrored, rig, rule, running, until

POLICY = replace(QUICK, hook_base=0.02, hook_cap=0.05, hook_retries=2, hook_timeout=20.0)
#: Appends what it is told to a file.
TELL = "import os, sys; open(sys.argv[1], 'a').write(' '.join(sys.argv[2:]) + '\\n')"


def command(*arguments) -> After:
    """Wanted after a publication: these lines of Python with these arguments."""
    return After(command=CommandLine.parse((sys.executable, "-c", *arguments)))


def commands(**options: Any) -> LocalCommands:
    """Real ones."""
    wanted: dict[str, Any] = {"timeout": 20.0, "environ": {"PATH": os.environ["PATH"]}}
    return LocalCommands(**wanted | options)


async def only(daemon, job) -> QueuedHook:
    """The one hook of a job."""
    (hook,) = await daemon.state.hooks_of(job.project.id, job.id)
    assert isinstance(hook, QueuedHook)
    return hook


def published_at(daemon, hook) -> Path:
    """Where what it is about stands."""
    return Path(daemon.store.place(hook.queued.transfer.dest).path)


async def test_a_command_runs_once_after_the_publication(world, app, tmp_path):
    """With the publication's own paths; it stands there already, and the next pass does not run it again."""
    told = tmp_path / "told"
    code = (
        "import hashlib, json, os, sys; zip = open(sys.argv[2] + '/artifacts.zip', 'rb').read();"
        " manifest = json.load(open(sys.argv[3])); env = os.environ;"
        " print(hashlib.sha256(zip).hexdigest(), env['ARTIFACT_SYNC_JOB_ID'], file=open(sys.argv[1], 'a'));"
        " assert manifest['job']['id'] == int(env['ARTIFACT_SYNC_JOB_ID']); assert env['ARTIFACT_SYNC_PATH'] == sys.argv[2]"
    )
    job = build(world, app, "build").jobs[0]
    after = command(code.replace("{", "{{").replace("}", "}}"), str(told), "{path}", "{manifest}")
    async with rig(world, tmp_path, rule(after=after), policy=POLICY, commands=commands()) as daemon:
        report = await daemon.sync()
        assert (report.hooks_done, report.hooks_failed, report.hooks_waiting) == (1, 0, 0)
        assert told.read_text().split() == [mirrored(tmp_path)[job.id], str(job.id)]
        assert (await daemon.sync()).hooks_done == 0
        assert len(told.read_text().splitlines()) == 1
        hook = await only(daemon, job)
        assert (hook.state, hook.attempts, hook.kind) == (HookState.DONE, 0, HookKind.COMMAND)
        assert [event.result for event in daemon.of(HookEnded)] == ["done"]
        assert (await daemon.state.summary()).counts["hook.done"] == 1


async def test_a_webhook_gets_the_manifest_as_it_was_published(world, app, tmp_path):
    """To the byte, under an id that does not change from one attempt to the next."""
    async with receiver(web.Response(status=503), web.Response(status=503)) as there:
        after = After(webhook=f"{there.url}/hook")
        (job,) = build(world, app, "build").jobs
        async with (
            HttpWebhooks(timeout=5.0, secret=lambda: "s") as webhooks,
            rig(world, tmp_path, rule(after=after), policy=POLICY, webhooks=webhooks) as daemon,
        ):
            report = await daemon.sync()
            assert (report.hooks_done, report.hooks_failed) == (1, 0)
            hook = await only(daemon, job)
            manifest = published_at(daemon, hook).joinpath(".artifact-sync.json").read_bytes()
    assert [post.body for post in there.posts] == [manifest] * 3
    assert len({post.headers["webhook-id"] for post in there.posts}) == 1
    assert json.loads(manifest)["job"]["id"] == job.id
    assert (hook.state, hook.attempts, hook.detail) == (HookState.DONE, 2, "204 No Content")
    assert [event.result for event in daemon.of(HookEnded)] == ["failed", "failed", "done"]
    assert [event.retry_at is None for event in daemon.of(HookEnded)] == [False, False, True]


async def test_what_fails_for_good_is_recorded_and_runs_again_on_request(world, app, tmp_path):
    """After so many attempts; it is no failure of the mirror, and the pass says so."""
    async with receiver(*(web.Response(status=500, text="down") for _ in range(3))) as there:
        (job,) = build(world, app, "build").jobs
        async with (
            HttpWebhooks(timeout=5.0) as webhooks,
            rig(world, tmp_path, rule(after=After(webhook=there.url)), policy=POLICY, webhooks=webhooks) as daemon,
        ):
            report = await daemon.sync()
            assert (report.hooks_failed, report.failed, report.complete) == (1, 0, True)
            hook = await only(daemon, job)
            assert (hook.state, hook.attempts) == (HookState.FAILED, 3)
            assert "500 Internal Server Error: down" in hook.detail
            assert hook.hint
            assert [each.id for each in (await daemon.state.hook_figures()).failures] == [hook.id]
            assert (await daemon.sync()).hooks_failed == 0
            assert len(there.posts) == 3
            assert await daemon.state.retry_hooks(now=daemon.clock.now()) == 1
            assert (await daemon.sync()).hooks_done == 1
    assert len({post.headers["webhook-id"] for post in there.posts}) == 1


async def test_a_refusal_is_not_repeated(world, app, tmp_path):
    """404 says that it will not be otherwise in a minute."""
    async with receiver(web.Response(status=404)) as there:
        build(world, app, "build")
        async with (
            HttpWebhooks(timeout=5.0) as webhooks,
            rig(world, tmp_path, rule(after=After(webhook=there.url)), policy=POLICY, webhooks=webhooks) as daemon,
        ):
            assert (await daemon.sync()).hooks_failed == 1
    assert len(there.posts) == 1


async def test_a_receiver_gets_publications_one_after_another(world, app, tmp_path):
    """In their order, also from two rules, and also where one has to be sent again; another receiver does not wait."""
    async with receiver(*(web.Response(status=503) for _ in range(2))) as one, receiver() as other:
        one.meanwhile = lambda: anyio.sleep(0.01)
        rules = (
            rule(name="a", jobs=["a*"], after=After(webhook=f"{one.url}/hook")),
            rule(name="b", jobs=["b*"], after=After(webhook=f"{one.url}/hook")),
            rule(name="c", jobs=["c*"], after=After(webhook=f"{other.url}/hook")),
        )
        build(world, app, "a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3")
        async with (
            HttpWebhooks(timeout=5.0) as webhooks,
            rig(world, tmp_path, *rules, policy=POLICY, webhooks=webhooks) as daemon,
        ):
            assert (await daemon.sync()).hooks_done == 8
            ids = {}
            for job in world.jobs.values():
                ids[job.id] = (await only(daemon, job)).id
    jobs = [json.loads(post.body)["job"]["id"] for post in one.posts]
    assert one.most_at_once == 1
    first_of_each = list(dict.fromkeys(jobs))
    assert first_of_each == sorted(first_of_each, key=lambda job: ids[job])
    assert len(first_of_each) == 6
    # Sent again before the next one was sent at all.
    assert jobs[:3] == [jobs[0]] * 3
    assert len(other.posts) == 2


async def test_lanes_run_side_by_side(world, app, tmp_path):
    """One that hangs holds up its own lane alone."""
    hang = anyio.Event()
    async with receiver() as slow, receiver() as quick:
        slow.meanwhile = hang.wait
        rules = (
            rule(name="slow", jobs=["build"], after=After(webhook=slow.url)),
            rule(name="quick", jobs=["build"], path="q/{job_id}", after=After(webhook=quick.url)),
        )
        for _ in range(3):
            build(world, app, "build")
        async with (
            HttpWebhooks(timeout=20.0) as webhooks,
            rig(world, tmp_path, *rules, policy=POLICY, webhooks=webhooks) as daemon,
            running(daemon),
        ):
            await until(lambda: len(quick.posts) == 3)
            assert len(slow.posts) == 1
            hang.set()
            await until(lambda: len(slow.posts) == 3)


async def test_a_crash_between_publication_and_hook_runs_the_hook(world, app, tmp_path):
    """P7 is durable, and the process is gone: the next start runs it, with the same id."""
    (job,) = build(world, app, "build").jobs
    async with receiver() as there:
        wanted = rule(after=After(webhook=there.url))
        async with rig(world, tmp_path, wanted, policy=POLICY) as daemon:
            # Nobody runs hooks in this one: it is gone before it could.
            await daemon.sync()
            assert job.id in mirrored(tmp_path)
            waiting = await only(daemon, job)
            assert waiting.state is HookState.WAITING
        assert not there.posts
        async with (
            HttpWebhooks(timeout=5.0) as webhooks,
            rig(world, tmp_path, wanted, policy=POLICY, webhooks=webhooks) as daemon,
            running(daemon),
        ):
            await until(lambda: len(there.posts) == 1)
            await until(lambda: daemon.of(HookEnded) != [])
            assert (await only(daemon, job)).id == waiting.id


async def test_a_publication_that_recovery_finishes_has_its_hooks(world, app, tmp_path):
    """A kill between P5 and P7: what is published at the next start is told as well."""
    (job,) = build(world, app, "build").jobs
    wanted = rule(after=After(webhook="http://127.0.0.1:1/never"))
    async with rig(world, tmp_path, wanted, policy=POLICY) as daemon:
        await daemon.engine._following._discovery.poll(await daemon.remote.project(app.id), thorough=True)
        queued = await daemon.queue.claim(daemon.clock.now())
        assert queued is not None
        files = await daemon.fetcher.fetch(queued)
        await daemon.queue.stage(queued.id, files)
    async with rig(world, tmp_path, wanted, policy=POLICY) as daemon:
        assert job.id in mirrored(tmp_path)
        assert (await only(daemon, job)).state is HookState.WAITING


async def test_a_stop_while_a_command_runs_is_no_failure(world, app, tmp_path):
    """It is ended with the daemon, and run again by the next one."""
    told = tmp_path / "told"
    code = (
        "import os, sys, time; f = open(sys.argv[1], 'a'); print(os.getpid(), file=f, flush=True);"
        " time.sleep(600 if len(open(sys.argv[1]).readlines()) == 1 else 0)"
    )
    (job,) = build(world, app, "build").jobs
    wanted = rule(after=command(code, str(told)))
    async with rig(world, tmp_path, wanted, policy=POLICY, commands=commands()) as daemon:
        async with running(daemon):
            await until(lambda: told.is_file() and told.read_text() != "")
        pid = int(told.read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        hook = await only(daemon, job)
        assert (hook.state, hook.attempts) == (HookState.WAITING, 0)
        assert not daemon.of(HookEnded)
    async with rig(world, tmp_path, wanted, policy=POLICY, commands=commands()) as daemon, running(daemon):
        await until(lambda: daemon.of(HookEnded) != [])
        assert (await only(daemon, job)).state is HookState.DONE
    assert len(told.read_text().split()) == 2


async def test_a_command_that_ends_while_the_daemon_stops_has_run(world, app, tmp_path):
    """A few seconds are given to it, and what it did is remembered."""
    told = tmp_path / "told"
    code = "import sys, time; open(sys.argv[1], 'w').write('x'); time.sleep(0.5)"
    (job,) = build(world, app, "build").jobs
    async with rig(world, tmp_path, rule(after=command(code, str(told))), policy=POLICY, commands=commands()) as daemon:
        async with running(daemon):
            await until(told.is_file)
        assert (await only(daemon, job)).state is HookState.DONE


async def test_what_a_rule_does_not_want_any_more_is_dropped_and_said(world, app, tmp_path):
    """And never run, also when the rule wants it again."""
    told = tmp_path / "told"
    wanted = rule(after=command(TELL, str(told), "{job_id}"))
    (job,) = build(world, app, "build").jobs
    async with rig(world, tmp_path, wanted, policy=POLICY) as daemon:
        await daemon.sync()
    async with rig(world, tmp_path, rule(), policy=POLICY, commands=commands()) as daemon:
        (dropped,) = daemon.of(HooksDropped)
        assert (dropped.rule, dropped.kind, dropped.count) == ("r", HookKind.COMMAND, 1)
        hook = await only(daemon, job)
        assert (hook.state, hook.detail) == (HookState.SKIPPED, "no rule wants it any more")
    async with rig(world, tmp_path, wanted, policy=POLICY, commands=commands()) as daemon:
        assert (await daemon.sync()).hooks_done == 0
        assert not told.exists()


async def test_a_receiver_that_moved_gets_what_was_due(world, app, tmp_path):
    """The state has no address: the rule's present one is used."""
    build(world, app, "build")
    async with receiver() as there:
        async with rig(world, tmp_path, rule(after=After(webhook="http://127.0.0.1:1/")), policy=POLICY) as daemon:
            await daemon.sync()
        async with (
            HttpWebhooks(timeout=5.0) as webhooks,
            rig(world, tmp_path, rule(after=After(webhook=there.url)), policy=POLICY, webhooks=webhooks) as daemon,
        ):
            assert (await daemon.sync()).hooks_done == 1
    assert b"127.0.0.1:1" not in (tmp_path / "state.db").read_bytes()


async def test_a_publication_that_is_not_there_any_more_is_not_told(world, app, tmp_path):
    """Somebody removed it from the tree: an error that says so."""
    (job,) = build(world, app, "build").jobs
    async with receiver() as there:
        wanted = rule(after=After(webhook=there.url))
        async with rig(world, tmp_path, wanted, policy=POLICY) as daemon:
            await daemon.sync()
        async with (
            HttpWebhooks(timeout=5.0) as webhooks,
            rig(world, tmp_path, wanted, policy=POLICY, webhooks=webhooks) as daemon,
        ):
            published_at(daemon, await only(daemon, job)).rename(tmp_path / "away")
            assert (await daemon.sync()).hooks_failed == 1
            assert "nothing is published at" in (await only(daemon, job)).detail
    assert not there.posts


async def test_a_full_disk_of_the_state_ends_nothing(tmp_path):
    """What ran and cannot be written down waits, and runs again when there is room."""
    world = World(clock=SimClock.manual())
    app = world.add_project("acme/app")
    told = tmp_path / "told"
    code = f"{TELL}; print('x' * 4000 if len(open(sys.argv[1]).readlines()) == 1 else '')"
    wanted = rule(after=command(code, str(told), "{job_id}"))
    (job,) = build(world, app, "build").jobs
    clock = DrivenClock(world.clock)
    async with serve(world), rig(world, tmp_path, wanted, policy=POLICY) as daemon:
        await daemon.sync()
    clock.advance(60)
    async with rig(world, tmp_path, wanted, policy=POLICY, commands=commands(), clock=clock) as daemon:
        # SQLite takes what it has for the least: no page is added any more.
        await daemon.state.write(lambda database: database.execute("PRAGMA max_page_count = 1").fetchone()[0])
        async with anyio.create_task_group() as group:
            group.start_soon(daemon.engine._hooks.run)
            await until(lambda: told.is_file() and clock.asleep == 2)
            assert (await only(daemon, job)).state is HookState.WAITING
            assert len(told.read_text().splitlines()) == 1
            clock.advance(31)
            await until(lambda: daemon.of(HookEnded) != [])
            group.cancel_scope.cancel()
        assert (await only(daemon, job)).state is HookState.DONE
    assert len(told.read_text().splitlines()) == 2


@pytest.mark.parametrize("after", [After(webhook="http://127.0.0.1:1/never"), After(delete_remote=True)])
async def test_what_retention_took_is_told_to_nobody(world, app, tmp_path, after):
    """And nothing is deleted in GitLab because of a copy that is in the trash."""
    (job,) = build(world, app, "build").jobs
    wanted = rule(after=After(webhook="http://127.0.0.1:1/never"))
    async with rig(world, tmp_path, wanted, policy=POLICY) as daemon:
        await daemon.sync()
        known = await daemon.transfer(job)
        await daemon.state.write(lambda database: database.execute("UPDATE hook SET kind = ?", after.kinds).rowcount)
    async with (
        HttpWebhooks(timeout=5.0) as webhooks,
        rig(world, tmp_path, rule(after=after), policy=POLICY, webhooks=webhooks) as daemon,
    ):
        assert await daemon.state.pruning(known.id, why="too old", trash="t", at=daemon.clock.now())
        await daemon.state.pruned(known.id)
        report = await daemon.sync()
        assert (report.hooks_done, report.hooks_failed) == (0, 0)
        hook = await only(daemon, job)
        assert hook.state is HookState.SKIPPED
        assert "taken away by retention" in hook.detail
    assert not job.removed


async def test_no_token_is_anywhere_near_a_hook(world, app, tmp_path):
    """P5: not in a command's environment, arguments or output, not in a webhook, not in the state or an event."""
    told = tmp_path / "told"
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(repr(dict(os.environ)) + repr(sys.argv));"
        f" print('leaked {TOKEN}'); sys.exit(1)"
    )
    async with receiver() as there:
        after = After(
            command=CommandLine.parse(
                (sys.executable, "-c", code.replace("{", "{{").replace("}", "}}"), str(told), "{path}")
            ),
            webhook=there.url,
        )
        build(world, app, "build")
        environ = {"PATH": os.environ["PATH"], "GITLAB_TOKEN": TOKEN, "LANG": TOKEN}
        run = commands(environ=environ, withheld={"LANG"}, mask=lambda text: text.replace(TOKEN, "[masked]"))
        secret = f"whsec_{base64.b64encode(b'0123456789abcdef0123456789abcdef').decode()}"
        async with (
            HttpWebhooks(timeout=5.0, secret=lambda: secret) as webhooks,
            rig(world, tmp_path, rule(after=after), policy=POLICY, commands=run, webhooks=webhooks) as daemon,
        ):
            report = await daemon.sync()
            assert (report.hooks_done, report.hooks_failed) == (1, 1)
    everything = [
        repr(daemon.events),
        repr([(post.path, post.headers, post.body) for post in there.posts]),
        (tmp_path / "state.db").read_bytes().decode("latin-1"),
    ]
    assert "leaked [masked]" in everything[0]
    for text in everything:
        assert TOKEN not in text
        assert secret not in text
    environment, _, arguments = told.read_text().partition("}[")
    assert TOKEN not in environment
    assert str(tmp_path) in arguments
