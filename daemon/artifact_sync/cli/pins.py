"""`artifact-sync keeps pin` and `unpin`: jobs whose publications stay here, whatever retention says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.jobs import job_argument, named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import config_option, json_option, load_settings
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import moment
from artifact_sync.errors import NotMirrored, UsageError
from artifact_sync.ports import PinnedJob, QueuedTransfer

__all__ = ["pin", "pin_lines", "pin_words", "unpin"]


@click.command("pin")
@job_argument
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who find the pin later.")
@config_option
@json_option
@click.pass_obj
def pin(above: Path | None, job: tuple[str, ...], config_path: Path | None, *, reason: str, as_json: bool) -> int:
    """Keep what is mirrored of one job here, whatever the rules' `retain` says. Works beside a running daemon."""
    settings = load_settings(config_path or above)
    named, job_id = named_job(job, settings.gitlab.url)

    async def work() -> int:
        async with app.read(settings) as reading:
            project_id, path = await _project(reading, named)
            known = await reading.state.find(project_id, job_id)
            _require_mirrored(known, path, job_id)
            now = reading.clock.now()
            pinned = PinnedJob(project_id=project_id, project_path=path, job_id=job_id, at=now, reason=reason)
            await reading.state.pin(pinned)
        print(dumps({"pinned": pinned}) if as_json else f"Pinned: {path} #{job_id} stays, whatever retention says.")
        return 0

    return finish(supervise(work))


@click.command("unpin")
@job_argument
@config_option
@json_option
@click.pass_obj
def unpin(above: Path | None, job: tuple[str, ...], config_path: Path | None, *, as_json: bool) -> int:
    """Leave a pinned job to the rules again."""
    settings = load_settings(config_path or above)
    named, job_id = named_job(job, settings.gitlab.url)

    async def work() -> int:
        async with app.read(settings) as reading:
            project_id, path = await _project(reading, named)
            if not await reading.state.unpin(project_id, job_id):
                raise UsageError(f"{path} #{job_id} is not pinned", hint="`artifact-sync keeps` shows what is pinned.")
        print(
            dumps({"unpinned": {"project_id": project_id, "job_id": job_id}})
            if as_json
            else f"Not pinned any more: {path} #{job_id}."
        )
        return 0

    return finish(supervise(work))


def pin_words(pinned: PinnedJob) -> str:
    """Since when and why, without whose it is."""
    return f"pinned {moment(pinned.at)}" + (f": {pinned.reason}" if pinned.reason else "")


def pin_lines(pins: Sequence[PinnedJob]) -> Iterator[str]:
    """A line for each."""
    for pinned in pins:
        reason = f"  {pinned.reason}" if pinned.reason else ""
        yield f"{moment(pinned.at)}  {'pinned':<11}  {pinned.project_path} #{pinned.job_id}{reason}"


async def _project(reading: app.Reading, named: str | int) -> tuple[int, str]:
    """(id, path), of those that are mirrored if it can be: a pin must not depend on GitLab being there."""
    for progress in (await reading.state.summary()).projects:
        if named in {progress.project_id, progress.path}:
            return progress.project_id, progress.path
    for pinned in await reading.state.pins():
        if named in {pinned.project_id, pinned.project_path}:
            return pinned.project_id, pinned.project_path
    project = await reading.remote.project(named)
    return project.id, project.path_with_namespace


def _require_mirrored(known: Sequence[QueuedTransfer], path: str, job_id: int) -> None:
    if not known:
        raise NotMirrored(
            f"nothing of {path} #{job_id} is mirrored, or waits to be",
            hint=f"`artifact-sync explain {path} {job_id}` says which rule takes it.",
        )
    if all(queued.pruned is not None for queued in known):
        raise UsageError(
            f"{path} #{job_id} was pruned already",
            hint=f"Bring it back first: artifact-sync prune --undo '#{job_id}'",
        )
