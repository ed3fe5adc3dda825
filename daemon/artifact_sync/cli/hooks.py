"""`artifact-sync hooks`: what is to run after publications, and what failed; `hooks retry` runs failed ones again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.jobs import named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import config_option, json_option, load_settings
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.standing import hook_counts, hook_words
from artifact_sync.cli.words import count, one_line
from artifact_sync.ports import HookFigures, HookState, QueuedHook

__all__ = ["command"]


@click.group("hooks", invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def command(context: click.Context, config_path: Path | None, *, as_json: bool) -> int | None:
    """Show what rules want after publications (after.command, after.webhook, after.delete_remote): what waits, what failed."""
    if context.invoked_subcommand is not None:
        context.obj = config_path
        return None
    settings = load_settings(config_path)

    async def work() -> int:
        async with app.read(settings) as reading:
            figures, now = await reading.state.hook_figures(), reading.clock.now()
        print(dumps(figures) if as_json else "\n".join(one_line(line) for line in _lines(figures, now)))
        return 0

    return finish(supervise(work))


def _lines(figures: HookFigures, now: datetime) -> Iterator[str]:
    if not figures.by_state:
        yield "Nothing was to run after a publication so far."
        return
    yield hook_counts(figures)
    for title, hooks in (("failed", figures.failures), ("waiting", figures.retrying)):
        for hook in hooks:
            yield f"{title}: {_subject(hook)}: {hook_words(hook, now)}"
    if figures.by_state.get(HookState.FAILED):
        yield "`artifact-sync hooks retry` runs what failed again."


def _subject(hook: QueuedHook) -> str:
    transfer = hook.queued.transfer
    return f"{transfer.project_path} {transfer.job.ref} {transfer.job.name} #{transfer.job.id}"


@command.command("retry")
@click.argument("job", nargs=-1, metavar="[JOB]")
@config_option
@json_option
@click.pass_obj
def _retry(above: Path | None, job: tuple[str, ...], config_path: Path | None, *, as_json: bool) -> int:
    """Run again what failed for good: everything, or what is of one JOB (the address of its page, or project and number).

    A daemon runs it within seconds, `artifact-sync sync` with its next pass.
    """
    settings = load_settings(config_path or above)
    named = named_job(job, settings.gitlab.url) if job else None

    async def work() -> int:
        async with app.read(settings) as reading:
            only = None
            if named is not None:
                project = named[0] if isinstance(named[0], int) else (await reading.remote.project(named[0])).id
                only = (project, named[1])
            retried = await reading.state.retry_hooks(now=reading.clock.now(), job=only)
        if as_json:
            print(dumps({"retried": retried}))
        else:
            what = "runs" if retried == 1 else "run"
            print(f"{count(retried, 'hook')} {what} again." if retried else "Nothing has failed for good.")
        return 0

    return finish(supervise(work))
