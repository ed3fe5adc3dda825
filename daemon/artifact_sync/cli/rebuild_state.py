"""`artifact-sync rebuild-state`: the database again, from the manifests in the store."""

from __future__ import annotations

from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.holder import alone, ended_first
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import Selection, config_option, json_option, load_settings, selection_options
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import count, one_line, size
from artifact_sync.engine.rebuilding import Rebuilt
from artifact_sync.store.layout import LOCK

__all__ = ["command"]

_LEFT_OUT = 1
#: What was left out and is told of.
_TOLD = 50
_WHY_ALONE = "It works with the state that this one takes out of its place."


@click.command("rebuild-state")
@click.option("--verify", is_flag=True, help="Hash every file, instead of comparing sizes.")
@config_option
@selection_options
@json_option
def command(config_path: Path | None, *, selection: Selection, verify: bool, as_json: bool) -> int:
    """Make the state database again from the manifests in the store, and put it into the place of the old one.

    The old database stays beside it under another name, and nothing in the store is changed. No daemon may run. What only
    the old database knew is gone: the ledger of keeps, pins, what retention took (it may come back within the backfill
    horizon), and how far history was walked. Ends with 1 where something in the store was left out.
    """
    settings = load_settings(config_path, selection)

    async def work() -> int:
        with alone(settings.store_path / LOCK, ended_first(_WHY_ALONE)):
            done = await app.rebuild(settings, verify=verify)
        if as_json:
            print(dumps(done))
        else:
            for strange in done.strange[:_TOLD]:
                print(one_line(f"left out  {strange.path}: {strange.reason}"))
            print(one_line(_words(done, settings.state_path)))
        return _LEFT_OUT if done.left_out else 0

    return finish(supervise(work))


def _words(done: Rebuilt, path: Path) -> str:
    found = f"{count(done.publications, 'publication')}, {count(done.files, 'file')}, {size(done.size)}"
    damaged = f"; {done.damaged:,} of them not whole, and wanted again" if done.damaged else ""
    left_out = f"; {done.left_out:,} left out" if done.left_out else ""
    kept = f" The old one is {', '.join(done.kept)} beside it." if done.kept else ""
    return f"Rebuilt {path}: {found}{damaged}{left_out}.{kept}"
