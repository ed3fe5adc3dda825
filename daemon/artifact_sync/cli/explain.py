"""`artifact-sync explain`: why a job is mirrored, or is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import Selection, config_option, json_option, load_settings, selection_options
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import ago, moment, one_line, size
from artifact_sync.core.model import Job
from artifact_sync.core.rules import Decision
from artifact_sync.engine import Explanation, explained
from artifact_sync.gitlab import job_url_parts
from artifact_sync.ports import QueuedTransfer

__all__ = ["command"]

_MARKS = {True: "yes", False: "NO", None: "?"}


@click.command("explain")
@click.argument("job_url", metavar="JOB_URL")
@config_option
@selection_options
@json_option
def command(job_url: str, config_path: Path | None, *, selection: Selection, as_json: bool) -> int:
    """Show what each rule says to a job, condition by condition, and what became of the job here.

    JOB_URL is the address of the job's page: https://gitlab.example.com/group/project/-/jobs/123
    """
    settings = load_settings(config_path, selection)
    path, job_id = job_url_parts(job_url, settings.gitlab.url)

    async def work() -> int:
        async with app.read(settings) as reading:
            project = await reading.remote.project(int(path) if path.isdecimal() else path)
            explanation = await explained(
                project, job_id, remote=reading.remote, state=reading.state, clock=reading.clock, rules=reading.rules
            )
            now = reading.clock.now()
        if as_json:
            print(dumps(_facts(explanation)))
        else:
            print("\n".join(one_line(line) for line in _lines(explanation, now)))
        return 0

    return finish(supervise(work))


def _facts(explanation: Explanation) -> dict[str, object]:
    return {
        "project": explanation.candidate.project.path_with_namespace,
        "job": explanation.candidate.job,
        "retried": explanation.candidate.retried,
        "selected": any(decision.selected for decision in explanation.decisions),
        "rules": [
            {"rule": decision.rule.name, "selected": decision.selected, "conditions": decision.verdicts}
            for decision in explanation.decisions
        ],
        "transfers": explanation.transfers,
        "keeps": explanation.keeps,
    }


def _lines(explanation: Explanation, now: datetime) -> Iterator[str]:
    candidate = explanation.candidate
    yield f"{candidate.project.path_with_namespace} {candidate.job.ref} {candidate.job.name} #{candidate.job.id}"
    yield f"  {_job(candidate.job, now)}"
    for decision in explanation.decisions:
        yield f"rule {decision.rule.name}: {_verdict(decision)}"
        for verdict in decision.verdicts:
            yield f"  {_MARKS[verdict.holds]:<3}  {verdict.condition}: wants {verdict.wanted}; found {verdict.found}"
    if any(decision.selected for decision in explanation.decisions) and candidate.job.archive is None:
        yield "note: GitLab lists no archive for it (none was made, it was erased, or it has expired and was deleted)"
    for queued in explanation.transfers:
        yield f"mirror: {_transfer(queued)}"
    if not explanation.transfers:
        yield "mirror: nothing of this job is here or was asked for"
    for entry in explanation.keeps:
        yield f"keep: {entry.result} at {moment(entry.at)}, for rule {entry.rule}: {entry.reason}"


def _job(job: Job, now: datetime) -> str:
    archive = f"archive of {size(job.archive.size)}" if job.archive else "no archive"
    expires = f", expires {ago(job.artifacts_expire_at, now)}" if job.artifacts_expire_at else ""
    return f"{job.status}, {job.ref_type.value.replace('_', ' ')} pipeline, {archive}{expires}"


def _verdict(decision: Decision) -> str:
    if decision.selected:
        return "takes it"
    return "not decided yet" if decision.undecided else "leaves it"


def _transfer(queued: QueuedTransfer) -> str:
    published = f", published {moment(queued.published_at)}" if queued.published_at else ""
    error = f", {queued.outcome}: {queued.error}" if queued.error and not queued.published_at else ""
    return f"{queued.state}{published}{error} -> {queued.transfer.dest}"
