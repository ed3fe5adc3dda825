"""Doing something to a job in GitLab: shown and asked about on a terminal, done once, and said."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import click

from artifact_sync import app
from artifact_sync.app import Operating
from artifact_sync.cli.job_hints import hinted
from artifact_sync.cli.job_target import Gitlab, project_of
from artifact_sync.cli.job_words import job_lines
from artifact_sync.cli.jobs import named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.process import Stopped, finish, supervise
from artifact_sync.cli.words import one_line
from artifact_sync.config import Settings
from artifact_sync.core.job_detail import JobDetail
from artifact_sync.core.model import Job
from artifact_sync.errors import NotFound, UsageError

__all__ = ["Deed", "act", "act_on_project"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing that can be done to a job."""

    verb: str
    #: Asked on a terminal, once the job was shown.
    question: str
    #: (GitLab, project's number, job's number) -> the job afterwards, where GitLab answers with it.
    do: Callable[[Operating, int, int], Awaitable[Job | None]]
    #: (the job before, the job afterwards) -> what was done.
    told: Callable[[Job | None, Job | None], str]
    #: Whether it can be done to a trigger job, which cannot be looked at.
    blind: bool = False


def act(deed: Deed, words: Sequence[str], gitlab: Gitlab, *, yes: bool, as_json: bool) -> int:
    """Do it, on a terminal after it was agreed to."""
    settings = gitlab.settings()
    named, job_id = named_job(tuple(words), settings.gitlab.url)
    _require_agreement(f"`job {deed.verb}` changes job {job_id} in GitLab", yes=yes, as_json=as_json)

    async def look() -> int:
        async with app.operate(settings) as operating:
            found = await _job(operating, await project_of(operating, named, settings), job_id, deed)
            _show(found, operating)
        return 0

    async def do() -> int:
        async with app.operate(settings) as operating:
            number = await project_of(operating, named, settings)
            # Also after it was shown: a person takes their time.
            before = await _job(operating, number, job_id, deed)
            if yes and not as_json:
                _show(before, operating, short=True)
            with hinted(deed.verb, before):
                after = await deed.do(operating, number, job_id)
        if as_json:
            print(dumps({"verb": deed.verb, "job_id": job_id, "before": before, "after": after}))
        else:
            print(one_line(f"{deed.told(before, after)}."))
        return 0

    return _agreed(look, deed.question, do, yes=yes)


def act_on_project(words: Sequence[str], gitlab: Gitlab, *, yes: bool, as_json: bool) -> int:
    """Delete the artifacts of a whole project, after it was agreed to."""
    settings = gitlab.settings()
    if len(words) != 1 or "://" in words[0]:
        raise UsageError("--all needs a project alone", hint="Write its path or number: group/project --all")
    (project,) = words
    _require_agreement(f"--all deletes artifacts of all jobs of {project} in GitLab", yes=yes, as_json=as_json)

    async def look() -> int:
        async with app.operate(settings) as operating:
            await _name(operating, project, settings, show=True)
        return 0

    async def do() -> int:
        async with app.operate(settings) as operating:
            number = await _name(operating, project, settings, show=False)
            with hinted("delete-artifacts", None):
                await operating.operator.delete_project_artifacts(number)
        if as_json:
            print(dumps({"verb": "delete-artifacts --all", "project_id": number, "accepted": True}))
        else:
            print("Accepted: what is not locked expires now, and GitLab deletes it by and by. Logs stay.")
        return 0

    return _agreed(look, "Delete the artifacts of all its jobs in GitLab for good?", do, yes=yes)


def _require_agreement(what: str, *, yes: bool, as_json: bool) -> None:
    if not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError(f"{what}, and nobody can be asked here", hint="Add --yes where it is meant.")


def _agreed(look: Callable[[], Awaitable[int]], question: str, do: Callable[[], Awaitable[int]], *, yes: bool) -> int:
    if not yes:
        seen = supervise(look)
        if isinstance(seen, Stopped):
            return seen.exit_code
        # Asked outside of the event loop, which must not wait for a person, nor keep Ctrl-C from one.
        if not click.confirm(question):
            print("Nothing was changed.")
            return 1
    return finish(supervise(do))


async def _job(operating: Operating, project: int, job_id: int, deed: Deed) -> JobDetail | None:
    try:
        return await operating.operator.job(project, job_id)
    except NotFound:
        if not deed.blind:
            raise
        return None


async def _name(operating: Operating, project: str, settings: Settings, *, show: bool) -> int:
    number = await project_of(operating, project, settings)
    if show:
        found = await operating.remote.project(number)
        print(one_line(f"{found.path_with_namespace} (project {number}), {found.web_url}"), flush=True)
    return number


def _show(job: JobDetail | None, operating: Operating, *, short: bool = False) -> None:
    lines = list(job_lines(job, operating.clock.now())) if job else ["A trigger job, or one that is not to be seen."]
    print("\n".join(one_line(line) for line in lines[: 1 if short else None]), flush=True)
