"""`artifact-sync ls`: what is mirrored, from the state alone."""

from __future__ import annotations

import click

from artifact_sync import app
from artifact_sync.cli.choosing import Choice, choice_options
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import json_option
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import count, moment, one_line, size
from artifact_sync.ports import QueuedTransfer

__all__ = ["command"]


@click.command("ls")
@choice_options
@click.option("--limit", type=click.IntRange(min=1), help="Only so many, the newest. Default: all.")
@json_option
def command(*, choice: Choice, limit: int | None, as_json: bool) -> int:
    """Show what is mirrored, the newest end of a job first: one line, or with --json one object, for each publication.

    PATTERN is a folder below tree/, or a glob over them: `ls group/app`, `ls 'group/**/v1.*/**'`. May run beside the daemon.
    """

    async def work() -> int:
        shown = 0
        async with app.read(choice.settings) as reading:
            async for queued in reading.state.newest():
                if choice.has(queued):
                    print(dumps(_facts(queued)) if as_json else one_line(_words(queued)))
                    shown += 1
                    if shown == limit:
                        break
        if not shown and not as_json:
            print("Nothing that was asked for is mirrored.")
        return 0

    return finish(supervise(work))


def _words(queued: QueuedTransfer) -> str:
    files = [file for file in queued.files if file.published]
    total = size(sum(file.size for file in files))
    when = moment(queued.transfer.job.finished_at or queued.published_at)
    return f"{when}  {count(len(files), 'file'):>9}  {total:>10}  {queued.transfer.dest}"


def _facts(queued: QueuedTransfer) -> dict[str, object]:
    transfer = queued.transfer
    job = transfer.job
    files = [file for file in queued.files if file.published]
    return {
        "dest": transfer.dest,
        "project": transfer.project_path,
        "project_id": transfer.project_id,
        "ref": job.ref,
        "job": job.name,
        "job_id": job.id,
        "url": job.web_url,
        "sha": job.sha,
        "finished_at": job.finished_at,
        "published_at": queued.published_at,
        "verified_at": queued.verified_at,
        "rules": transfer.rules,
        "bytes": sum(file.size for file in files),
        "files": [{"name": file.name, "bytes": file.size, "sha256": file.sha256} for file in files],
    }
