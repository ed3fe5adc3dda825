"""`artifact-sync run`: the daemon."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from pathlib import Path

import click
from anyio import Event, create_task_group

from artifact_sync import __version__, app
from artifact_sync.cli import sandbox
from artifact_sync.cli.attendance import attend, start
from artifact_sync.cli.notices import notice
from artifact_sync.cli.options import config_option, json_option, load_settings, moved_option, verbose_option
from artifact_sync.cli.process import Stopped, supervise
from artifact_sync.cli.reloading import Reloading
from artifact_sync.cli.reporter import reporter
from artifact_sync.cli.service_manager import ServiceManager
from artifact_sync.config import Settings
from artifact_sync.core.events import Started, Stopping
from artifact_sync.engine.groups import single_error
from artifact_sync.gitlab.clock import SystemClock
from artifact_sync.observe import configure, fan_out
from artifact_sync.observe.tracing import tracing
from artifact_sync.ports.steps import watched
from artifact_sync.serving import Renewal, metering, pulse, serving
from artifact_sync.web.dashboard import Live

__all__ = ["command"]


@click.command("run")
@config_option
@moved_option
@json_option
@verbose_option
def command(config_path: Path | None, *, moved: bool, as_json: bool, verbose: bool) -> int:
    """Run the daemon: follow GitLab and mirror what the rules select, until SIGTERM or Ctrl-C. SIGHUP reloads."""

    def read() -> Settings:
        settings = load_settings(config_path)
        sandbox.refuse(settings.store_path)
        return settings

    def log_as(settings: Settings) -> None:
        level = "debug" if verbose else settings.log.level
        configure(form=settings.log.format, level=level, words=notice, masking=app.masking(settings))

    manager = ServiceManager()
    reloading = Reloading(read, manager)
    settings = read()
    log_as(settings)
    with (
        tracing(app.masking(settings)) as secrets,
        reporter(as_json=as_json, verbose=verbose, daemon=True) as tell,
    ):

        async def work() -> int:
            beat, meter, live = pulse(settings), metering(settings), Live()
            emit = fan_out(beat.hear, meter.hear, live.hear, tell)
            renewals: list[Renewal] = [log_as, lambda renewed: secrets.renew(app.masking(renewed))]
            with single_error():
                async with create_task_group() as group, AsyncExitStack() as stack:
                    with watched(SystemClock()) as steps:
                        started = Event()
                        group.start_soon(start, manager, steps, started)
                        daemon = await stack.enter_async_context(app.daemon(settings, emit=emit, moved=moved))
                        await stack.enter_async_context(serving(settings, daemon.engine, beat, meter, renewals, live))
                    started.set()
                    tell(Started(version=__version__, url=settings.gitlab.url, store=str(settings.store_path)))
                    manager.ready()
                    group.start_soon(reloading.run, daemon, renewals)
                    group.start_soon(attend, manager, daemon, lambda: reloading.refusal)
                    await daemon.engine.run()
            return 0

        def stopping(number: signal.Signals) -> None:
            manager.stopping()
            tell(Stopping(reason=number.name))

        ended = supervise(work, on_stop=stopping, on_hangup=reloading.hangup)
    if isinstance(ended, Stopped):
        # A service manager's SIGTERM is how a daemon ends well.
        return 0 if ended.signal is signal.SIGTERM else ended.exit_code
    return ended
