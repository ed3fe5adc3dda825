"""What the browser looks at: the demo's world, mirrored by a daemon's own parts, with three days of figures behind it.

Prints one line of JSON with the addresses when it is ready, and goes on until its standard input ends; for each line of that
a job called `fresh` ends.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from anyio import to_thread

from artifact_sync.core.model import Item, Job, Transfer
from artifact_sync.core.rules import Fetch, Rule
from artifact_sync.engine import EnginePolicy
from artifact_sync.errors import Outcome
from artifact_sync.observe import configure
from artifact_sync.simulator import JobSpec, LivingWorld, SimJob, World, demo_world, serve
from artifact_sync.simulator.archives import big
from artifact_sync.simulator.faults import Fault, Trickle
from artifact_sync.web.dashboard import Live
from artifact_sync.web.dashboard.history import COARSE, FINE, History, Sample
from tests.integration.engine.engine_harness import QUICK, Rig, rig, rule
from tests.integration.web.dashboard_harness import shown
from tests.integration.web.web_harness import ended, told

TOKEN = "a-reader-of-the-mirror"
HOSTILE = "<script>document.title='broken'</script>\u202egpj.exe"
_INSTALLER = 160 << 20
_DAY = timedelta(days=1)


async def main() -> None:
    """Play until nobody listens any more."""
    # Nobody reads a log here: a pipe that is full would stop everything.
    configure(form="console", level="error")
    world, living = demo_world(0)
    with TemporaryDirectory(prefix="artifact-sync-browser-") as folder:
        async with (
            serve(world),
            rig(world, Path(folder), *_rules(), policy=_policy(), segments=1) as daemon,
            shown(daemon) as open_,
            shown(daemon, told(TOKEN)) as closed,
            anyio.create_task_group() as tasks,
        ):
            job = _jobs(world, living)
            await _waiting(daemon)
            for served in (open_, closed):
                _past(served.shown.gauge.history, daemon)
            tasks.start_soon(_forward, daemon, [open_.live, closed.live])
            tasks.start_soon(living.run)
            tasks.start_soon(daemon.engine.run)
            await daemon.reach(lambda: len(daemon.mirrored) >= 6)
            told_to = {
                "url": open_.url,
                "closed": closed.url,
                "token": TOKEN,
                "gitlab": world.url,
                "project": job.project.id,
                "job": job.id,
            }
            print(json.dumps(told_to), flush=True)  # noqa: T201 - read by who started it
            while await to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
                ended(world, job.project, "fresh")
            tasks.cancel_scope.cancel()


def _rules() -> tuple[Rule, ...]:
    return (
        rule("acme/**", name="releases", refs=["v*", "!*-rc*"], jobs=["package*"]),
        rule("acme/**", name="main", refs=["main"], jobs=["package", "sign", "handbook*"], fetch=Fetch(trace=True)),
        rule("tools/**", name="tools"),
    )


def _policy() -> EnginePolicy:

    return replace(QUICK, interval=timedelta(seconds=1), retry_base=5.0, retry_cap=30.0)


def _jobs(world: World, living: LivingWorld) -> SimJob:
    """A job with names that mean harm, and one that takes a while; the job with files."""
    tools = next(project for project in world.projects.values() if project.path == "tools/sandbox")
    files = {
        "bin/tool": b"x" * 70_000,
        "docs/index.html": b"<script>parent.document.title='broken'</script>",
        "docs/deep/er/notes.txt": b"three words here\n",
        f"names/{HOSTILE.replace('/', ' ')}": b"harm",
        **{f"locale/messages.{number:03}.po": b"msgid" * number for number in range(140)},
    }
    job = ended(world, tools, "toolbox", files=files)[0]
    ended(world, tools, HOSTILE, ref=HOSTILE)

    def release() -> None:
        spec = JobSpec("package:installer", archive=big(_INSTALLER, seed="v2"), expire_in=30 * _DAY)
        app = next(project for project in world.projects.values() if project.path == "acme/app")
        slow = world.add_pipeline(app, "v2.0.0", [spec], tag=True).jobs[0]
        trickle = Trickle(size=300_000, seconds=0.25)
        world.faults.add(Fault(path=rf"/jobs/{slow.id}/artifacts$", method="GET", times=None, action=trickle))
        living.run_job(slow, start=0.1, end=0.3)

    living.at(0.5, release)
    return job


async def _waiting(daemon: Rig) -> None:
    """Transfers that GitLab's storage does not give out, and that expire over the next month."""
    now = daemon.clock.now()
    hours = [0.7, 3, 4, 9, 15, 16, 17, 26, 31, 40, 45, *(48 + 19 * number for number in range(30))]
    found = [
        Transfer(
            project_id=900,
            project_path="acme/firmware",
            job=Job(id=90_000 + number, name=f"image {number % 5}", status="success", ref="main", finished_at=now),
            rules=("main",),
            items=(Item(kind="archive", name="artifacts.zip", size=(7 + number) << 20),),
            dest=f"acme/firmware/main/image/{90_000 + number}",
            deadline=now + timedelta(hours=hour),
        )
        for number, hour in enumerate(hours)
    ]
    await daemon.state.want(found, now=now)
    error = "GET /api/v4/projects/900/jobs/90000/artifacts: 503 Service Unavailable"
    while (claimed := await daemon.queue.claim(now)) is not None:
        await daemon.queue.fail(claimed.id, Outcome.RETRY_LATER, error, retry_at=now + timedelta(hours=1))


def _past(history: History, daemon: Rig) -> None:
    """What a mirror may have seen: busy days, quiet nights."""
    now = daemon.clock.now()
    for ring, (span, step) in ((history.coarse, COARSE), (history.fine, FINE)):
        for number in range(span // step):
            at = now - span + number * step
            day = max(0.0, math.sin((at - now) / _DAY * 2 * math.pi + 1.2))
            burst = max(0.0, math.sin(number / 7) + math.sin(number / 23))
            waiting = int(400 * day * (1 + math.sin(number / 31)) + 41)
            ring.append(Sample(at=at, rate=9e6 * day * burst, waiting=waiting))


async def _forward(daemon: Rig, lives: list[Live]) -> None:
    """The rig keeps what it hears in a list."""
    heard = len(daemon.events)
    while True:
        for event in daemon.events[heard:]:
            for live in lives:
                live.hear(event)
            heard += 1
        await anyio.sleep(0.05)


if __name__ == "__main__":
    anyio.run(main)
