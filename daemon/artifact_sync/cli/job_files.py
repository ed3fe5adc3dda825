"""`artifact-sync job trace|download|file`: what a job made, straight from GitLab, proved before it has its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click
import msgspec

from artifact_sync import app
from artifact_sync.app import Operating
from artifact_sync.cli.job_output import STDOUT, bar, place_for, require_printable, write_out
from artifact_sync.cli.job_target import Gitlab, gitlab_options, project_of
from artifact_sync.cli.jobs import job_argument, named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import json_option
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import count, one_line, size
from artifact_sync.core.job_detail import JobDetail
from artifact_sync.core.model import Artifact, Item
from artifact_sync.errors import NotFound, UsageError
from artifact_sync.fetch import Brought
from artifact_sync.gitlab import TokenKind
from artifact_sync.ports import Latest, Source

__all__ = ["download", "file", "trace"]

_force = click.option("--force", is_flag=True, help="Replace what is there.")
_ref = click.option(
    "--ref", metavar="REF", help="A branch or tag, in place of a job's number: its newest successful pipeline."
)
_job = click.option("--job", "job_name", metavar="NAME", help="With --ref: the job's name.")
_recent = click.option(
    "--recent", is_flag=True, help="With --ref: look through the last hundred successful pipelines (GitLab 18.7)."
)


@click.command("trace")
@job_argument
@click.option("--output", "-o", default=STDOUT, metavar="FILE", help="File to write to. Default: standard output.")
@_force
@gitlab_options
@json_option
def trace(job: tuple[str, ...], *, gitlab: Gitlab, output: str, force: bool, as_json: bool) -> int:
    """Print a job's log as it is now, or write it to a file. A terminal gets its colours, and nothing else that acts on it."""
    require_printable(output, text=True, as_json=as_json)
    item = Item(kind="trace", name="job.log")
    return _run(_Wanted(words=job, latest=None, item=item), gitlab, output, force=force, as_json=as_json)


@click.command("download")
@click.argument("job", metavar="JOB_URL | PROJECT JOB_ID | PROJECT --ref REF --job NAME", nargs=-1, required=True)
@_ref
@_job
@_recent
@click.option("--type", "file_type", default="archive", metavar="TYPE", help="A report, such as junit (late 19.x).")
@click.option("--output", "-o", metavar="FILE", help="File to write to; - for standard output. Default: artifacts.zip.")
@_force
@gitlab_options
@json_option
def download(
    job: tuple[str, ...],
    *,
    gitlab: Gitlab,
    ref: str | None,
    job_name: str | None,
    recent: bool,
    file_type: str,
    output: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Download a job's archive, or one of its reports, from GitLab.

    It grows in FILE.part, which a later call goes on with where GitLab lets it, and becomes FILE when its size, structure,
    every CRC and (where GitLab gives one) its SHA-256 agree. Standard output gets it then, too, and not before.
    """
    latest = _latest(ref, job_name, recent=recent)
    if file_type == "archive":
        item = Item(kind="archive", name="artifacts.zip")
    else:
        if latest is not None:
            raise UsageError("reports are not to be had by --ref", hint="Name the job by its address or number.")
        item = Item(kind="report", name=file_type.replace("/", "_"), path=file_type)
    target = output or item.name
    require_printable(target, text=False, as_json=as_json)
    return _run(_Wanted(words=job, latest=latest, item=item), gitlab, target, force=force, as_json=as_json)


@click.command("file")
@click.argument("job", metavar="JOB_URL | PROJECT JOB_ID | PROJECT --ref REF --job NAME", nargs=-1, required=True)
@click.argument("path", metavar="PATH")
@_ref
@_job
@_recent
@click.option(
    "--output", "-o", metavar="FILE", help="File to write to; - for standard output. Default: PATH's last part."
)
@_force
@gitlab_options
@json_option
def file(
    job: tuple[str, ...],
    path: str,
    *,
    gitlab: Gitlab,
    ref: str | None,
    job_name: str | None,
    recent: bool,
    output: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Download one file out of a job's archive from GitLab. PATH is its path in the archive."""
    last = path.rstrip("/").rpartition("/")[2]
    if path.endswith("/") or last in {"", ".", ".."}:
        raise UsageError(
            f"{path} is no file", hint="`artifact-sync job show JOB --files` lists what is in the archive."
        )
    target = output or last
    require_printable(target, text=True, as_json=as_json)
    item = Item(kind="file", name=last, path=path)
    wanted = _Wanted(words=job, latest=_latest(ref, job_name, recent=recent), item=item)
    return _run(wanted, gitlab, target, force=force, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    words: tuple[str, ...]
    latest: Latest | None
    item: Item

    def named(self, url: str) -> tuple[str | int, int]:
        """Project, and the job's number or 0. Raises UsageError."""
        if self.latest is None:
            return named_job(self.words, url)
        if len(self.words) != 1 or "://" in self.words[0]:
            raise UsageError(
                "--ref needs a project alone", hint="Write its path or number: group/project --ref main --job build"
            )
        return self.words[0], 0


def _latest(ref: str | None, job: str | None, *, recent: bool) -> Latest | None:
    if ref is None and job is None and not recent:
        return None
    if not ref or not job:
        raise UsageError(
            "--ref and --job need each other", hint="Write PROJECT --ref main --job build, or the job's number."
        )
    return Latest(ref=ref, job=job, recent=recent)


def _run(wanted: _Wanted, gitlab: Gitlab, output: str, *, force: bool, as_json: bool) -> int:
    settings = gitlab.settings()
    named, job_id = wanted.named(settings.gitlab.url)

    async def work() -> int:
        async with app.operate(settings) as operating:
            number = await project_of(operating, named, settings)
            # No job token opens a job's own page (lib/api/ci/jobs.rb).
            looked = job_id and TokenKind(settings.gitlab.token.kind) is not TokenKind.JOB
            job = await operating.operator.job(number, job_id) if looked else None
            item = _announced(wanted.item, job)
            source = Source(project_id=number, job_id=job_id, item=item, latest=wanted.latest)
            with place_for(output, item.name) as path:
                what = f"{settings.gitlab.url} {replace(source, item=wanted.item)!r}"
                with bar(item.name, item.size, hidden=as_json) as tell:
                    try:
                        async with app.own_file(path, what=what, force=force) as own:
                            archive = job.archive if job else None
                            brought = await operating.fetcher.bring(source, own, emit=tell, archive=archive)
                    except NotFound as error:
                        error.hint = _missing(wanted, job, operating) or error.hint
                        raise
                if output == STDOUT:
                    return write_out(path)
        if as_json:
            print(dumps({"file": output, "job_id": job_id or None, **msgspec.to_builtins(brought)}))
        else:
            print(one_line(f"{output}: {_words(brought)}."))
        return 0

    return finish(supervise(work))


def _announced(item: Item, job: JobDetail | None) -> Item:
    """The item with what GitLab lists of it: a size that must agree, and how it is packed."""
    file_type = {"archive": "archive", "trace": "trace"}.get(item.kind, item.path if item.kind == "report" else None)
    listed: Sequence[Artifact] = [a for a in (job.artifacts or () if job else ()) if a.file_type == file_type]
    if not listed:
        return item
    return msgspec.structs.replace(
        item, size=listed[0].size, file_format=listed[0].file_format if item.kind == "report" else None
    )


def _missing(wanted: _Wanted, job: JobDetail | None, operating: Operating) -> str:
    """Why it is not there, as far as the job tells."""
    if wanted.latest is not None:
        return (
            f"The newest successful pipeline of {wanted.latest.ref} has no job {wanted.latest.job} with an archive"
            f"{' that holds this file' if wanted.item.kind == 'file' else ''}: --recent looks further back (GitLab 18.7), and"
            " merge request pipelines run on refs/merge-requests/NUMBER/head."
        )
    if job is None:
        return ""
    if wanted.item.kind == "report":
        types = ", ".join(a.file_type for a in job.artifacts or () if a.file_type not in {"metadata", "trace"})
        return f"The job has {types or 'no artifacts'}."
    if job.archive is None:
        return f"The job has no archive (any more): it is {job.status}" + (
            f", and its artifacts expired at {job.artifacts_expire_at:%Y-%m-%d %H:%M} UTC."
            if job.artifacts_expire_at and job.artifacts_expire_at <= operating.clock.now()
            else "."
        )
    if wanted.item.kind == "file":
        return (
            "There is no such file in the archive, or it has expired, and then only the whole archive is still to be had:"
            " `artifact-sync job show JOB --files` lists them, `artifact-sync job download` brings everything."
        )
    return ""


def _words(brought: Brought) -> str:
    proved = f", {count(brought.members, 'file')} with the right CRC" if brought.members is not None else ""
    compared = ", as GitLab has it" if brought.compared else ""
    return f"{size(brought.size)}, sha256 {brought.sha256}{proved}{compared}"
