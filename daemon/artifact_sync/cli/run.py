"""`artifact-sync run`: the daemon."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from artifact_sync import __version__, app
from artifact_sync.cli import sandbox
from artifact_sync.cli.notices import notice
from artifact_sync.cli.options import config_option, json_option, load_settings, moved_option, verbose_option
from artifact_sync.cli.process import Stopped, supervise
from artifact_sync.cli.reporter import reporter
from artifact_sync.core.events import Started, Stopping
from artifact_sync.observe import configure, fan_out
from artifact_sync.serving import pulse, serving

__all__ = ["command"]


@click.command("run")
@config_option
@moved_option
@json_option
@verbose_option
def command(config_path: Path | None, *, moved: bool, as_json: bool, verbose: bool) -> int:
    """Run the daemon: follow GitLab and mirror what the rules select, until SIGTERM or Ctrl-C."""
    settings = load_settings(config_path)
    sandbox.refuse(settings.store_path)
    configure(form=settings.log.format, level="debug" if verbose else settings.log.level, words=notice)
    with reporter(as_json=as_json, verbose=verbose, daemon=True) as tell:

        async def work() -> int:
            beat = pulse(settings)
            emit = fan_out(beat.hear, tell)
            async with app.build(settings, emit=emit, moved=moved) as engine, serving(settings, engine, beat):
                tell(Started(version=__version__, url=settings.gitlab.url, store=str(settings.store_path)))
                await engine.run()
            return 0

        ended = supervise(work, on_stop=lambda number: tell(Stopping(reason=number.name)))
    if isinstance(ended, Stopped):
        # A service manager's SIGTERM is how a daemon ends well.
        return 0 if ended.signal is signal.SIGTERM else ended.exit_code
    return ended
