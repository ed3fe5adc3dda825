"""`artifact-sync job keep|cancel|retry|play|erase|delete-artifacts`: what is done to jobs in GitLab."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from artifact_sync.app import Operating
from artifact_sync.cli.job_acting import Deed, act, act_on_project
from artifact_sync.cli.job_target import Gitlab, gitlab_options, yes_option
from artifact_sync.cli.job_words import name_of
from artifact_sync.cli.jobs import job_argument
from artifact_sync.cli.options import json_option
from artifact_sync.cli.words import moment
from artifact_sync.core.model import Job
from artifact_sync.errors import UsageError

__all__ = ["cancel", "delete_artifacts", "erase", "keep", "play", "retry"]

_variables = click.option(
    "--variable", "variables", multiple=True, metavar="K=V", help="Variable for this run; may be repeated."
)
_inputs = click.option(
    "--input", "inputs", multiple=True, metavar="K=V", help="Input for this run (18.10); may be repeated."
)


def _common(command: Callable[..., int]) -> Callable[..., int]:
    return job_argument(yes_option(gitlab_options(json_option(command))))


@click.command("keep")
@_common
def keep(job: tuple[str, ...], *, gitlab: Gitlab, yes: bool, as_json: bool) -> int:
    """Keep a job's artifacts: GitLab does not delete them any more when they expire. There is no way to take it back."""

    async def do(operating: Operating, project: int, job_id: int) -> Job:
        return await operating.remote.keep(project, job_id)

    def told(before: Job | None, _: Job | None) -> str:
        expiry = before.artifacts_expire_at if before else None
        return f"Kept{f'; it would have expired at {moment(expiry)}' if expiry else '; it had no expiry'}"

    deed = Deed(verb="keep", question="Keep its artifacts in GitLab for good?", do=do, told=told)
    return act(deed, job, gitlab, yes=yes, as_json=as_json)


@click.command("cancel")
@click.option("--force", is_flag=True, help="End at once a job that is canceling (needs the Maintainer role).")
@_common
def cancel(job: tuple[str, ...], *, gitlab: Gitlab, force: bool, yes: bool, as_json: bool) -> int:
    """Cancel a job that waits or runs."""

    async def do(operating: Operating, project: int, job_id: int) -> Job:
        return await operating.operator.cancel(project, job_id, force=force)

    def told(before: Job | None, after: Job | None) -> str:
        status = after.status if after else "unknown"
        if before is not None and before.status == status:
            more = "; --force ends one that is canceling" if status == "canceling" else ""
            return f"Nothing changed: it is {status}{more}"
        return "Canceled" if status == "canceled" else f"Being canceled: it is {status}"

    verb = "cancel --force" if force else "cancel"
    deed = Deed(verb=verb, question="Cancel this job?", do=do, told=told)
    return act(deed, job, gitlab, yes=yes, as_json=as_json)


@click.command("retry")
@_inputs
@_common
def retry(job: tuple[str, ...], *, gitlab: Gitlab, inputs: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Run again a job that has ended. It is a new job with a number of its own, and those behind it run again as well."""
    given = _pairs(inputs, "--input")

    async def do(operating: Operating, project: int, job_id: int) -> Job:
        return await operating.operator.retry(project, job_id, inputs=given)

    deed = Deed(verb="retry", question="Run it again?", do=do, told=_started, blind=True)
    return act(deed, job, gitlab, yes=yes, as_json=as_json)


@click.command("play")
@_variables
@_inputs
@_common
def play(
    job: tuple[str, ...],
    *,
    gitlab: Gitlab,
    variables: tuple[str, ...],
    inputs: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Start a manual or delayed job now.

    Variables stand in the process list of this machine while the command runs: do not pass secrets by --variable.
    """
    told, given = _pairs(variables, "--variable"), _pairs(inputs, "--input")

    async def do(operating: Operating, project: int, job_id: int) -> Job:
        return await operating.operator.play(project, job_id, variables=told, inputs=given)

    deed = Deed(verb="play", question="Start it?", do=do, told=_started, blind=True)
    return act(deed, job, gitlab, yes=yes, as_json=as_json)


@click.command("erase")
@_common
def erase(job: tuple[str, ...], *, gitlab: Gitlab, yes: bool, as_json: bool) -> int:
    """Erase a job that has ended: its artifacts, reports and log are deleted in GitLab for good."""

    async def do(operating: Operating, project: int, job_id: int) -> Job:
        return await operating.operator.erase(project, job_id)

    question = "Delete its artifacts, reports and log in GitLab for good?"
    deed = Deed(
        verb="erase", question=question, do=do, told=lambda _, __: "Erased: artifacts, reports and log are gone"
    )
    return act(deed, job, gitlab, yes=yes, as_json=as_json)


@click.command("delete-artifacts")
@click.argument("job", metavar="JOB_URL | PROJECT JOB_ID | PROJECT --all", nargs=-1, required=True)
@click.option("--all", "whole", is_flag=True, help="Those of every job of the project that are not locked.")
@yes_option
@gitlab_options
@json_option
def delete_artifacts(job: tuple[str, ...], *, gitlab: Gitlab, whole: bool, yes: bool, as_json: bool) -> int:
    """Delete a job's artifacts and reports in GitLab for good; its log stays.

    With --all those of the whole project: they expire now and are deleted by and by; "keep artifacts from most recent
    successful jobs" holds the newest ones. Nothing here is touched: what is mirrored stays.
    """
    if whole:
        return act_on_project(job, gitlab, yes=yes, as_json=as_json)

    async def do(operating: Operating, project: int, job_id: int) -> None:
        await operating.remote.delete_artifacts(project, job_id)

    question = "Delete its artifacts and reports in GitLab for good?"
    deed = Deed(
        verb="delete-artifacts", question=question, do=do, told=lambda _, __: "Deleted in GitLab; the log stays"
    )
    return act(deed, job, gitlab, yes=yes, as_json=as_json)


def _started(_: Job | None, after: Job | None) -> str:
    return f"Started: {name_of(after)} is {after.status}" if after else "Started"


def _pairs(words: Sequence[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not key or not separator:
            # The rest of it may be secret.
            raise UsageError(f"{option} takes NAME=VALUE, and got something without", hint=f"Write {option} KEY=value.")
        pairs[key] = value
    return pairs
