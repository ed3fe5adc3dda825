"""`artifact-sync demo`: a simulated GitLab, a daemon that mirrors it, and its dashboard, in one process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import click

from artifact_sync import app, config
from artifact_sync.cli import demo_end, sandbox
from artifact_sync.cli.jsonl import JsonLines
from artifact_sync.cli.narrator import Narrator
from artifact_sync.cli.options import json_option
from artifact_sync.cli.process import finish, supervise
from artifact_sync.core.events import Event
from artifact_sync.engine import Engine
from artifact_sync.observe import configure, fan_out
from artifact_sync.serving import metering, pulse, serving
from artifact_sync.simulator import LivingWorld, World, demo_world, serve
from artifact_sync.web.dashboard import Live
from artifact_sync.web.metrics import Meter

__all__ = ["command"]

_TOKEN = "ARTIFACT_SYNC_DEMO_TOKEN"  # noqa: S105 - the name of a variable

_CONFIGURATION = """\
version: 1
gitlab:
  url: {url}
  token: {{env: {token}}}
store: {{path: ., min_free: 200MiB}}
state: {{path: demo.db}}
poll: {{interval: 2s, max_interval: 4s}}
rules:
  - name: releases                # every release, but no release candidate
    projects: ["acme/**"]
    when: {{ref_type: [tag], refs: ["v*", "!*-rc*"], jobs: ["package*"]}}
  - name: main                    # what the main branch builds, child pipelines and manual jobs included
    projects: ["acme/**"]
    when: {{refs: [main], jobs: [package, sign, "handbook*"]}}
    fetch: {{archive: true, trace: true}}
"""


@click.command("demo")
@click.option("--into", default="mirror", show_default=True, metavar="DIR", help="Folder of the mirror.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(min=1), help="How long it goes on.")
@json_option
def command(*, into: str, seconds: float, as_json: bool) -> int:
    """Start a simulated GitLab and a daemon that mirrors it, and say what happens on both sides. Its dashboard is served.

    Nothing outside of DIR is touched. DIR is left to look at; the next demo starts it afresh.
    """
    stage = _Stage(as_json=as_json)
    # What fails is part of the play, and told by it.
    configure(form="console", level="error")

    async def work() -> int:
        world, living = demo_world(0, tell=stage.upstream)
        async with serve(world) as running:
            folder = Path(into)
            os.environ[_TOKEN] = world.token
            text = _CONFIGURATION.format(url=running.url, token=_TOKEN)
            settings = config.load(sandbox.prepare(folder, text))
            stage.open(settings, folder, seconds)
            await _play(settings, world, living, stage, folder, seconds)
        return 0

    return finish(supervise(work))


async def _play(
    settings: config.Settings, world: World, living: LivingWorld, stage: _Stage, folder: Path, seconds: float
) -> None:
    live, meter = Live(), metering(settings)
    async with (
        app.build(settings, emit=fan_out(stage.mirror, live.hear, meter.hear)) as engine,
        _served(settings, engine, live, meter) as address,
        anyio.create_task_group() as tasks,
    ):
        stage.dashboard(address)
        tasks.start_soon(living.run)
        tasks.start_soon(engine.run)
        await anyio.sleep(seconds)
        left_out = [] if stage.as_json else await demo_end.left_out(engine, world, stage.narrator.seen)
        tasks.cancel_scope.cancel()
    if not stage.as_json:
        for line in demo_end.summary(stage.narrator.seen, left_out, folder):
            print(line, flush=True)


@asynccontextmanager
async def _served(settings: config.Settings, engine: Engine, live: Live, meter: Meter) -> AsyncIterator[str]:
    """The dashboard and the metrics at the usual address, or at another port where that is taken."""
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(serving(settings, engine, pulse(settings), meter, live=live))
        if address is None:
            # The meter tells of one server's sources at a time.
            await stack.aclose()
            server = settings.server.model_copy(update={"listen": "127.0.0.1:0"})
            elsewhere = settings.model_copy(update={"server": server})
            address = await stack.enter_async_context(serving(elsewhere, engine, pulse(settings), meter, live=live))
        yield f"http://{address}/"


class _Stage:
    """Where both sides are heard: sentences for people, or JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.narrator = Narrator(self._say)
        self._began = time.monotonic()
        self._json = JsonLines(sys.stdout) if as_json else None
        #: What the world did before the curtain.
        self._before: list[tuple[str, dict[str, Any]]] | None = []

    def open(self, settings: config.Settings, folder: Path, seconds: float) -> None:
        """Say what is about to happen, and what has happened so far."""
        before, self._before = self._before or [], None
        if self._json is None:
            self._introduce(settings, folder, seconds)
        for event, facts in before:
            self.upstream(event, facts)

    def _introduce(self, settings: config.Settings, folder: Path, seconds: float) -> None:
        rules = "\n".join(f"  {rule}" for rule in demo_end.rules(settings))
        print(
            f"A simulated GitLab listens on {settings.gitlab.url}, and a daemon mirrors it into {folder} for"
            f" {seconds:.0f} seconds.\nWhat it mirrors is written in {folder / sandbox.MARKER}:\n{rules}\n",
            flush=True,
        )

    def dashboard(self, url: str) -> None:
        """Where to look on."""
        if self._json is not None:
            self._json.write("dashboard", {"url": url, "metrics": f"{url}metrics"})
        else:
            print(f"Look on in a browser: {url}\nMetrics for Prometheus: {url}metrics\n", flush=True)

    def upstream(self, event: str, facts: dict[str, Any]) -> None:
        """The simulated GitLab's events."""
        if self._before is not None:
            self._before.append((event, facts))
        elif self._json is not None:
            self._json.write("upstream", {"happened": event, **facts})
        else:
            self.narrator.upstream(event, facts)

    def mirror(self, event: Event) -> None:
        """The daemon's events."""
        if self._json is not None:
            self._json(event)
        else:
            self.narrator.mirror(event)

    def _say(self, side: str, text: str) -> None:
        shown = click.style(f"{side:<6}", fg="magenta" if side == "GitLab" else "cyan", bold=True)
        click.echo(f"{time.monotonic() - self._began:3.0f} s  {shown}  {text}")
        sys.stdout.flush()
