"""`artifact-sync get`: copy out what is mirrored, proved while it is copied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.app import Reading
from artifact_sync.cli.jobs import named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import config_option, json_option
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.stored import reading_settings, store_option
from artifact_sync.cli.words import count, one_line, size
from artifact_sync.core.model import StagedFile
from artifact_sync.core.patterns import Pattern, PatternError
from artifact_sync.errors import NotMirrored, UsageError
from artifact_sync.ports import QueuedTransfer, State, TransferState

__all__ = ["command"]

#: Project, ref and job.
_NAMES = 3
_USAGE = (
    "Write a folder below tree/ as `artifact-sync ls` shows it, a job's address, or a project, a ref and a job's name."
)


@click.command("get")
@click.argument("what", metavar="DEST | JOB_URL | PROJECT REF JOB", nargs=1)
@click.argument("rest", metavar="[FILE]...", nargs=-1)
@click.option("--into", type=click.Path(path_type=Path), required=True, help="Folder to copy into; made if missing.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@config_option
@store_option
@json_option
def command(
    what: str,
    rest: tuple[str, ...],
    *,
    into: Path,
    force: bool,
    config_path: Path | None,
    store: Path | None,
    as_json: bool,
) -> int:
    """Copy out a publication, or some of its files: by its folder below tree/, by a job's address, or by names.

    PROJECT REF JOB is the newest one of that job. FILE is a file's name in the publication, or a glob over them: job.log,
    'files/dist/**'. Each file is hashed while it is copied: one that is damaged ends with 4, and nothing appears. Ends with 5
    where what is asked for is not mirrored. May run beside the daemon.
    """
    settings = reading_settings(store, config_path)
    if into.exists() and not into.is_dir():
        raise UsageError(
            f"--into: {into} is a file, not a folder", hint="Name a folder; it is made where it is missing."
        )

    async def work() -> int:
        async with app.read(settings) as reading:
            queued, wanted = await _found(reading, (what, *rest), settings.gitlab.url)
            files = _chosen(queued, wanted)
            await reading.copies.hand_out(queued.transfer.dest, files, into, force=force)
        total = sum(file.size for file in files)
        if as_json:
            named = [{"name": file.name, "bytes": file.size, "sha256": file.sha256} for file in files]
            print(dumps({"dest": queued.transfer.dest, "into": into, "files": named, "bytes": total}))
        else:
            told = f"{count(len(files), 'file')}, {size(total)}, of {queued.transfer.dest} into {into}"
            print(one_line(f"Copied {told}."))
        return 0

    return finish(supervise(work))


async def _found(reading: Reading, words: Sequence[str], url: str) -> tuple[QueuedTransfer, Sequence[str]]:
    """The publication, and the words that name files of it. Raises NotMirrored; UsageError for several at once."""
    state = reading.state
    if "://" in words[0]:
        project, job_id = named_job((words[0],), url)
        return _only(await _of_job(state, project, job_id), f"job {job_id} of {project}"), words[1:]
    at = await state.at(words[0].strip("/"))
    if at is not None and at.state is TransferState.PUBLISHED:
        return at, words[1:]
    if len(words) < _NAMES:
        raise NotMirrored(f"nothing is mirrored at {words[0]}", hint=_USAGE)
    return await _newest(state, words[0], words[1], words[2]), words[_NAMES:]


async def _of_job(state: State, project: str | int, job_id: int) -> list[QueuedTransfer]:
    known = [each.project_id for each in (await state.summary()).projects if project in {each.path, each.project_id}]
    for project_id in known:
        return [each for each in await state.find(project_id, job_id) if each.state is TransferState.PUBLISHED]
    # A project that was renamed since, or that no pass has looked at since the state was rebuilt.
    return [each async for each in state.newest() if each.transfer.job.id == job_id and _of(each, project)]


async def _newest(state: State, project: str, ref: str, job: str) -> QueuedTransfer:
    found: list[QueuedTransfer] = []
    async for queued in state.newest():
        transfer = queued.transfer
        if found and transfer.job.id != found[0].transfer.job.id:
            # Of one job's publications the ends are the same, so that they follow each other.
            if transfer.job.ended_at != found[0].transfer.job.ended_at:
                break
            continue
        if transfer.job.ref == ref and transfer.job.name == job and _of(queued, project):
            found.append(queued)
    return _only(found, f"job {job} of {ref} in {project}")


def _of(queued: QueuedTransfer, project: str | int) -> bool:
    return project in {queued.transfer.project_path, queued.transfer.project_id, str(queued.transfer.project_id)}


def _only(found: Sequence[QueuedTransfer], what: str) -> QueuedTransfer:
    if not found:
        raise NotMirrored(f"nothing is mirrored of {what}", hint="`artifact-sync ls` shows what is.")
    if len(found) > 1:
        dests = ", ".join(queued.transfer.dest for queued in found)
        raise UsageError(f"{what} is mirrored in {len(found)} places", hint=f"Name one of them: {dests}")
    return found[0]


def _chosen(queued: QueuedTransfer, wanted: Sequence[str]) -> tuple[StagedFile, ...]:
    """All files, or those named. Raises NotMirrored for a name that is none of them."""
    files = tuple(file for file in queued.files if file.published)
    if not wanted:
        return files
    chosen: dict[str, StagedFile] = {}
    for text in wanted:
        named = {file.name: file for file in files if file.name == text} or _matching(files, text)
        if not named:
            some = ", ".join(file.name for file in files[:10])
            raise NotMirrored(f"{text} is no file of {queued.transfer.dest}", hint=f"It has {some}")
        chosen |= named
    return tuple(chosen.values())


def _matching(files: Sequence[StagedFile], text: str) -> dict[str, StagedFile]:
    try:
        pattern = Pattern.parse(text, separator=True)
    except PatternError as error:
        raise UsageError(f"FILE: {error}", hint="`*` stands for any name, and `**` crosses slashes.") from error
    return {file.name: file for file in files if pattern.matches(file.name)}
