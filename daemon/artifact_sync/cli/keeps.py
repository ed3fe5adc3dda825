"""`artifact-sync keeps`: what was kept in GitLab and why; `keeps release` gives one up again, `keeps pin` holds one here."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import count as numbers
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.jobs import job_argument, named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import config_option, json_option, load_settings
from artifact_sync.cli.pins import pin, pin_lines, unpin
from artifact_sync.cli.process import Stopped, finish, supervise
from artifact_sync.cli.standing import keep_words, mirror_words, remote_words
from artifact_sync.cli.words import moment, one_line
from artifact_sync.config import Settings
from artifact_sync.engine.release import Standing, release, standing
from artifact_sync.errors import UsageError
from artifact_sync.ports import KeepEntry

__all__ = ["command"]


@click.group("keeps", invoke_without_command=True)
@config_option
@click.option("--project", metavar="PROJECT", help="Only this project: its path or its number.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many, newest first.")
@json_option
@click.pass_context
def command(
    context: click.Context, config_path: Path | None, *, project: str | None, limit: int, as_json: bool
) -> int | None:
    """Show what GitLab was asked to keep, newest first: when, which job, for which rule, why, and what came of it.

    Before that, what is pinned here: it stays in the store, whatever the rules' `retain` says.
    """
    if context.invoked_subcommand is not None:
        context.obj = config_path
        return None
    settings = load_settings(config_path)

    async def work() -> int:
        async with app.read(settings) as reading:
            found = [entry async for entry in _first(reading.state.keeps(), project, limit + 1)]
            pins = [
                pinned
                for pinned in await reading.state.pins()
                if project is None or project in {pinned.project_path, str(pinned.project_id)}
            ]
        shown, more = found[:limit], len(found) > limit
        if as_json:
            print(dumps({"keeps": shown, "more": more, "pins": pins}))
        else:
            lines = (*pin_lines(pins), *_lines(shown, limit, more=more))
            print("\n".join(one_line(line) for line in lines))
        return 0

    return finish(supervise(work))


async def _first(entries: AsyncIterator[KeepEntry], project: str | None, limit: int) -> AsyncIterator[KeepEntry]:
    counted = numbers(1)
    async for entry in entries:
        if project is None or project in {entry.project_path, str(entry.project_id)}:
            yield entry
            if next(counted) == limit:
                return


def _lines(entries: list[KeepEntry], limit: int, *, more: bool) -> Iterator[str]:
    if not entries:
        yield "The ledger is empty: nothing was kept in GitLab."
    for entry in entries:
        job = f"{entry.project_path} {entry.job_name} #{entry.job_id}"
        yield f"{moment(entry.at)}  {entry.result:<11}  {job}  {_why(entry)}"
    if more:
        yield f"Older ones are left out: --limit {10 * limit}"


def _why(entry: KeepEntry) -> str:
    return keep_words(entry).removeprefix(f"{entry.result} {moment(entry.at)} for ")


command.add_command(pin)
command.add_command(unpin)


@command.command("release")
@job_argument
@click.option("--delete-remote", is_flag=True, help="Delete its artifacts in GitLab, if a verified copy is here.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before the deletion.")
@config_option
@json_option
@click.pass_obj
def _release(
    above: Path | None, job: tuple[str, ...], config_path: Path | None, *, delete_remote: bool, yes: bool, as_json: bool
) -> int:
    """Give one keep up again.

    GitLab has no way to take a keep back: the job is not kept any more from here, which the ledger then has, and with
    --delete-remote its artifacts are deleted in GitLab. They are deleted only if every file that was mirrored of the job,
    its archive among them, is in the store as it was published, read and hashed anew.
    """
    settings = load_settings(config_path or above)
    named, job_id = named_job(job, settings.gitlab.url)
    if delete_remote and not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError(
            "--delete-remote deletes artifacts in GitLab for good", hint="Add --yes where nobody can be asked."
        )
    if delete_remote and not yes:
        seen = supervise(lambda: _show(settings, named, job_id))
        if isinstance(seen, Stopped):
            return seen.exit_code
        # Asked outside of the event loop, which must not wait for a person, nor keep Ctrl-C from one.
        if not click.confirm("Delete its artifacts in GitLab?"):
            print("Nothing was changed.")
            return 1
    return finish(
        supervise(
            lambda: _act(settings, named, job_id, delete=delete_remote, as_json=as_json, show=yes or not delete_remote)
        )
    )


async def _show(settings: Settings, named: str | int, job_id: int) -> int:
    async with app.read(settings) as reading:
        project = await reading.remote.project(named)
        found = await standing(project, job_id, remote=reading.remote, state=reading.state, copies=reading.copies)
        _print(found, reading.clock.now())
    found.require_copy()
    return 0


async def _act(settings: Settings, named: str | int, job_id: int, *, delete: bool, as_json: bool, show: bool) -> int:
    async with app.read(settings) as reading:
        project = await reading.remote.project(named)
        # Also after it was shown: a person takes their time, and what is deleted is judged by what is here now.
        found = await standing(project, job_id, remote=reading.remote, state=reading.state, copies=reading.copies)
        if show and not as_json:
            _print(found, reading.clock.now())
        entry = await release(found, remote=reading.remote, state=reading.state, clock=reading.clock, delete=delete)
    if as_json:
        print(dumps({**_facts(found), "released": entry}))
        return 0
    print(f"Released: {entry.detail}.")
    if not delete:
        print("GitLab has no way to take a keep back; --delete-remote deletes its artifacts there.")
    return 0


def _facts(found: Standing) -> dict[str, object]:
    return {
        "project": found.project.path_with_namespace,
        "job": found.job,
        "keeps": found.keeps,
        "copies": [{"transfer": copy.queued, "verified": copy.verified} for copy in found.copies],
        "verified": found.verified,
    }


def _print(found: Standing, now: datetime) -> None:
    job = found.job
    lines = [
        f"{found.project.path_with_namespace} {job.ref} {job.name} #{job.id}",
        f"  gitlab: {remote_words(job, now)}",
        *(f"  mirror: {mirror_words(copy.queued, now)}, {_VERIFIED[copy.verified]}" for copy in found.copies),
        *(f"  keep:   {keep_words(entry)}" for entry in found.keeps),
    ]
    others = sorted(
        {artifact.file_type or "untyped" for artifact in job.artifacts or ()} - {"archive", "metadata", "trace"}
    )
    if others:
        lines.insert(2, f"  beside: {', '.join(others)}, which the mirror does not hold and a deletion takes as well")
    if not found.copies:
        lines.append("  mirror: nothing of this job is here")
    print("\n".join(one_line(line) for line in lines), flush=True)


_VERIFIED = {True: "verified: every file is there by its checksum", False: "NOT VERIFIED"}
