"""`artifact-sync job list|bridges|show|whoami`: what GitLab tells of jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

import click
import msgspec

from artifact_sync import app
from artifact_sync.app import Operating
from artifact_sync.cli.job_target import Gitlab, gitlab_options, project_argument, project_of
from artifact_sync.cli.job_words import agent_lines, entry_line, job_line, job_lines, trigger_line
from artifact_sync.cli.jobs import job_argument, named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import json_option
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import one_line
from artifact_sync.core.model import TreeEntry
from artifact_sync.errors import NotFound, Refused
from artifact_sync.ports import Page

__all__ = ["bridges", "list_jobs", "show", "whoami"]

T = TypeVar("T")

_STATUSES = (
    "created, waiting_for_resource, preparing, waiting_for_callback, pending, running, success, failed, canceling, canceled,"
    " skipped, manual, scheduled (older servers know fewer)"
)
_limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many, newest first."
)
_status_option = click.option("--status", "statuses", multiple=True, help="Only jobs in it; may be repeated.")


@click.command("list")
@project_argument
@click.option("--pipeline", type=click.IntRange(min=1), metavar="ID", help="Only jobs of this pipeline.")
@click.option("--retried", is_flag=True, help="With --pipeline: superseded jobs, too.")
@_status_option
@_limit_option
@gitlab_options
@json_option
def list_jobs(
    project: str,
    *,
    gitlab: Gitlab,
    pipeline: int | None,
    retried: bool,
    statuses: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> int:
    """List jobs of a project as GitLab has them now, newest first; trigger jobs are not among them."""
    settings = gitlab.settings()

    async def work() -> int:
        async with app.operate(settings) as operating:
            number = await project_of(operating, project, settings)
            operator = operating.operator
            if pipeline is None:
                pages = operator.jobs(number, statuses=statuses)
            else:
                pages = operator.pipeline_jobs(number, pipeline, statuses=statuses, include_retried=retried)
            found = await _first(pages, limit + 1)
        _print("jobs", found, limit, job_line, as_json=as_json)
        return 0

    return finish(supervise(work))


@click.command("bridges")
@project_argument
@click.argument("pipeline", metavar="PIPELINE_ID", type=click.IntRange(min=1))
@_status_option
@_limit_option
@gitlab_options
@json_option
def bridges(
    project: str, pipeline: int, *, gitlab: Gitlab, statuses: tuple[str, ...], limit: int, as_json: bool
) -> int:
    """List a pipeline's trigger jobs, and the child and downstream pipelines that they started."""
    settings = gitlab.settings()

    async def work() -> int:
        async with app.operate(settings) as operating:
            number = await project_of(operating, project, settings)
            pages = operating.operator.trigger_jobs(number, pipeline, statuses=statuses)
            found = await _first(pages, limit + 1)
        _print("trigger_jobs", found, limit, trigger_line, as_json=as_json)
        return 0

    return finish(supervise(work))


@click.command("show")
@job_argument
@click.option("--files", is_flag=True, help="Also what is in its archive (GitLab 18.8).")
@click.option("--path", default="", metavar="PATH", help="With --files: only below this folder of the archive.")
@gitlab_options
@json_option
def show(job: tuple[str, ...], *, gitlab: Gitlab, files: bool, path: str, as_json: bool) -> int:
    """Show a job as GitLab has it now: times, pipeline, runner, artifacts and their expiry."""
    settings = gitlab.settings()
    named, job_id = named_job(job, settings.gitlab.url)

    async def work() -> int:
        async with app.operate(settings) as operating:
            number = await project_of(operating, named, settings)
            found = await operating.operator.job(number, job_id)
            entries = [entry async for entry in _entries(operating, number, job_id, path)] if files else None
            now = operating.clock.now()
        if as_json:
            print(dumps(msgspec.to_builtins(found) | ({} if entries is None else {"files": entries})))
        else:
            lines = [*job_lines(found, now), *map(entry_line, entries or ())]
            print("\n".join(one_line(line) for line in lines))
        return 0

    return finish(supervise(work))


@click.command("whoami")
@gitlab_options
@json_option
def whoami(*, gitlab: Gitlab, as_json: bool) -> int:
    """Show the job that a CI job token belongs to, and the Kubernetes agents that it may use.

    In a CI job: artifact-sync job whoami --url "$CI_SERVER_URL" --token-kind job
    """
    settings = gitlab.settings()

    async def work() -> int:
        async with app.operate(settings) as operating:
            try:
                found = await operating.operator.own_job()
            except NotFound as error:
                error.hint = (
                    "Only the token of a running CI job has a job: --token-kind job takes $CI_JOB_TOKEN, or"
                    " gitlab.token: {env: CI_JOB_TOKEN, kind: job} in the configuration."
                )
                raise
            try:
                agents = await operating.operator.allowed_agents()
            except NotFound:
                # A GitLab without them.
                agents = None
            now = operating.clock.now()
        if as_json:
            print(dumps({"job": found, "allowed_agents": agents}))
        else:
            lines = [*job_lines(found, now), *(agent_lines(agents) if agents else ())]
            print("\n".join(one_line(line) for line in lines))
        return 0

    return finish(supervise(work))


async def _entries(operating: Operating, project: int, job_id: int, path: str) -> AsyncIterator[TreeEntry]:
    try:
        async for page in operating.operator.tree(project, job_id, path=path, recursive=True):
            for entry in page.items:
                yield entry
    except NotFound as error:
        error.hint = "The job has no archive, or none that is not expired, or no such folder in it; GitLab lists files since 18.8."
        raise


async def _first(pages: AsyncIterator[Page[T]], limit: int) -> list[T]:
    found: list[T] = []
    try:
        async for page in pages:
            found += page.items
            if len(found) >= limit:
                break
    except Refused as error:
        error.hint = f"{error.hint} Statuses are {_STATUSES}."
        raise
    return found[:limit]


def _print(name: str, found: Sequence[T], limit: int, line: Callable[[T], str], *, as_json: bool) -> None:
    shown, more = found[:limit], len(found) > limit
    if as_json:
        print(dumps({name: shown, "more": more}))
        return
    lines = [one_line(line(each)) for each in shown] or ["There are none."]
    print("\n".join(lines + ([f"Older ones are left out: --limit {10 * limit}"] if more else [])))
