"""The installed daemon and the webhooks of a simulated GitLab; it polls once an hour, so that nothing else brings anything."""

import os
import re
import signal
import socket
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest
from anyio import to_thread

from artifact_sync.simulator import JobSpec, SimJob, small
from tests.acceptance.harness import started, wait_for
from tests.acceptance.living import place
from tests.integration.engine.engine_harness import until
from tests.webhooks import SIGNING, TOKEN, job_event


@asynccontextmanager
async def hooked(folder, secret, *, every="1h"):
    """A running daemon that knows the secret, as its place, the URL of its webhooks, and its memory."""
    (folder / "webhook-secret").write_text(f"{secret}\n")
    port = _free_port()
    server = f"server: {{listen: '127.0.0.1:{port}', webhook_secret: {{file: webhook-secret}}}}\n"
    polls = f"poll: {{interval: {every}, max_interval: {every}}}\n"
    async with place(folder, more=server + polls) as here:
        with started("run", cwd=folder) as daemon:
            await to_thread.run_sync(wait_for, daemon, "acme/app")
            await until(lambda: bool(here.asked("GET", "/projects/1/jobs")))
            await anyio.sleep(0.3)
            yield here, f"http://127.0.0.1:{port}/webhook", daemon
            daemon.send_signal(signal.SIGTERM)
            out, _ = await to_thread.run_sync(daemon.communicate)
            assert daemon.returncode == 0, out
            assert secret not in out
            assert "Traceback" not in out


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ending(world, count: int) -> list[SimJob]:
    """So many jobs that end now, each in a pipeline of its own."""
    project = next(iter(world.projects.values()))
    made = [
        world.add_pipeline(project, "main", [JobSpec(f"build {number}", archive=small(f"w {number}"))]).jobs[0]
        for number in range(count)
    ]
    return [world.finish(job) for job in made]


@pytest.mark.parametrize(("secret", "way"), [(TOKEN, {"token": TOKEN}), (SIGNING, {"signing": SIGNING, "token": "x"})])
async def test_a_webhook_brings_a_job_within_seconds(tmp_path, secret, way):
    """By either authentication, though the next poll is an hour away."""
    async with hooked(tmp_path, secret) as (here, url, _):
        hook = here.world.hooks.add(next(iter(here.world.projects.values())), url, **way)
        jobs = ending(here.world, 3)
        await until(lambda: {job.id for job in jobs} <= here.mirrored, within=15)
        assert set(hook.answers) == {200}
        assert hook.failures == 0


async def test_with_webhooks_off_polling_finds_everything(tmp_path):
    """None is delivered, and nothing is missed."""
    async with hooked(tmp_path, TOKEN, every="1s") as (here, _, _):
        jobs = ending(here.world, 5)
        await until(lambda: {job.id for job in jobs} <= here.mirrored, within=30)


async def test_a_forged_webhook_causes_no_request_at_gitlab(tmp_path):
    """Nor does one about what is not followed; each is answered."""
    async with hooked(tmp_path, TOKEN) as (here, url, _), aiohttp.ClientSession() as http:
        (job,) = ending(here.world, 1)
        before = len(here.world.requests)
        forged = job_event(job.id, job.pipeline.id, 1)
        for headers, body, status in (
            ({"X-Gitlab-Token": "guessed"}, forged, 401),
            ({}, forged, 401),
            ({"X-Gitlab-Token": TOKEN}, job_event(job.id, job.pipeline.id, 77), 200),
            ({"X-Gitlab-Token": TOKEN}, job_event(job.id, job.pipeline.id, 1, status="running"), 200),
        ):
            async with http.post(url, data=body, headers=headers) as answer:
                assert answer.status == status
        await anyio.sleep(1)
        assert len(here.world.requests) == before
        # What is true is looked at: the same event by who knows the secret.
        async with http.post(url, data=forged, headers={"X-Gitlab-Token": TOKEN}) as answer:
            assert answer.status == 200
        await until(lambda: job.id in here.mirrored, within=15)


async def test_a_flood_is_answered_and_nothing_is_lost(tmp_path):
    """Two thousand deliveries about other pipelines, and in the midst of them jobs that end: memory stays where it was."""
    async with (
        hooked(tmp_path, TOKEN) as (here, url, daemon),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as http,
    ):
        hook = here.world.hooks.add(next(iter(here.world.projects.values())), url, token=TOKEN)
        answers: Counter[int] = Counter()
        before = _resident(daemon.pid)

        async def deliver(number: int) -> None:
            headers = {"X-Gitlab-Token": TOKEN, "Idempotency-Key": f"{number}"}
            body = job_event(10_000 + number, 10_000 + number % 100, 1)
            async with http.post(url, data=body, headers=headers) as answer:
                answers[answer.status] += 1

        async with anyio.create_task_group() as group:
            for number in range(2000):
                group.start_soon(deliver, number)
                if number == 1000:
                    jobs = ending(here.world, 5)
        assert answers == {200: 2000}
        await until(lambda: {job.id for job in jobs} <= here.mirrored, within=45)
        assert set(hook.answers) == {200}
        assert _resident(daemon.pid) - before < 64 << 20


def _resident(pid: int) -> int:
    """proc_pid_statm(5): bytes of memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "holds no token"),
        ("  \n", "holds no token"),
        ("whsec_no base64", "no token"),
        ("whsec_A", "no usable whsec_ key"),
    ],
)
async def test_a_secret_that_is_none_ends_the_start(tmp_path, secret, words):
    """Before anything is received; check says the same."""
    (tmp_path / "webhook-secret").write_text(secret)
    server = f"server: {{listen: '127.0.0.1:{_free_port()}', webhook_secret: {{file: webhook-secret}}}}\n"
    async with place(tmp_path, more=server) as here:
        ran = await here.run("run")
        assert ran.code == 2, ran.err
        assert words in ran.err
        checked = await here.run("check", "--offline")
        assert checked.code != 0
        assert words in checked.out


async def test_check_tells_what_to_enter_in_gitlab(tmp_path):
    """The address and where the secret belongs, and nothing of the secret; without one, that polling does it."""
    (tmp_path / "webhook-secret").write_text(SIGNING)
    server = "server: {listen: '127.0.0.1:8765', webhook_secret: {file: webhook-secret}}\n"
    async with place(tmp_path, more=server) as here:
        ran = await here.run("check", "--offline")
        assert "http://127.0.0.1:8765/webhook" in ran.out
        assert "Signing token" in ran.out
        assert SIGNING not in ran.out
        (tmp_path / "webhook-secret").write_text(TOKEN)
        assert "Secret token" in (await here.run("check", "--offline")).out
    async with place(tmp_path) as here:
        assert "found by polling" in (await here.run("check", "--offline")).out


async def test_the_documented_curl_line_is_taken(tmp_path):
    """docs/webhook.md shows how to try it by hand."""
    async with hooked(tmp_path, TOKEN) as (here, url, _):
        (job,) = ending(here.world, 1)
        text = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text()
        (line,) = re.findall(r"```sh\n *(curl [^`]*)```", text)
        (tmp_path / "try.sh").write_text(
            line.replace("http://127.0.0.1:8700/webhook", url)
            .replace("1234", str(job.id))
            .replace("567", str(job.pipeline.id))
        )
        ran = await anyio.run_process(["sh", "try.sh"], cwd=tmp_path)
        assert ran.stdout.strip() == b'{"result":"accepted"}'
        await until(lambda: job.id in here.mirrored, within=15)
