"""`artifact-sync explain`: why a job is mirrored, or is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli.file_words import contents_words, file_ways, files_not_there, files_words, provenance_words
from artifact_sync.cli.jobs import job_argument, named_job
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.latest_words import latest_facts, latest_words, link_paths
from artifact_sync.cli.options import Selection, config_option, json_option, load_settings, selection_options
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.retained import Retained, retained
from artifact_sync.cli.standing import hook_words, keep_words, mirror_words, remote_words
from artifact_sync.cli.words import count, one_line
from artifact_sync.core.model import Transfer
from artifact_sync.core.planning import plan
from artifact_sync.core.rules import Decision, Verdict
from artifact_sync.engine import Explanation, explained
from artifact_sync.ports import QueuedHook

__all__ = ["command"]

_MARKS = {True: "yes", False: "NO", None: "?"}
#: What a condition wants that asks nothing.
_NOTHING = "any"


@click.command("explain")
@job_argument
@config_option
@selection_options
@json_option
@click.option("--verbose", "-v", is_flag=True, help="Also print the conditions that ask nothing.")
def command(
    job: tuple[str, ...], config_path: Path | None, *, selection: Selection, as_json: bool, verbose: bool
) -> int:
    """Show what became of a job here, and what each rule says to it, condition by condition.

    The job is named by the address of its page, or by its project and its number:
    https://gitlab.example.com/group/project/-/jobs/123, or: group/project 123
    """
    settings = load_settings(config_path, selection)
    named, job_id = named_job(job, settings.gitlab.url)

    async def work() -> int:
        async with app.read(settings) as reading:
            project = await reading.remote.project(named)
            explanation = await explained(
                project, job_id, remote=reading.remote, state=reading.state, clock=reading.clock, rules=reading.rules
            )
            known = [queued.transfer for queued in explanation.transfers]
            paths = link_paths([*_wanted(explanation), *known], reading.rules)
            pointed = await reading.copies.links.pointed(paths)
            now = reading.clock.now()
            retention = await retained(reading, explanation)
        if as_json:
            print(dumps(_facts(explanation) | retention.facts() | {"latest": latest_facts(paths, pointed)}))
        else:
            latest = tuple(latest_words(paths, pointed))
            print("\n".join(one_line(line) for line in _lines(explanation, now, latest, retention, verbose=verbose)))
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
        "hooks": [_hook_facts(hook) for hook in explanation.hooks],
        "files": [
            {"dest": transfer.dest, "ways": file_ways(transfer)} for transfer in _wanted(explanation) if transfer.items
        ],
        "files_not_there": {queued.transfer.dest: files_not_there(queued) for queued in explanation.transfers},
    }


def _hook_facts(hook: QueuedHook) -> dict[str, object]:
    """Without the transfer, which is told by itself."""
    return {"dest": hook.queued.transfer.dest} | {
        field.name: getattr(hook, field.name) for field in fields(hook) if field.name != "queued"
    }


def _lines(
    explanation: Explanation, now: datetime, latest: Iterable[str], retention: Retained, *, verbose: bool
) -> Iterator[str]:
    candidate = explanation.candidate
    yield f"{candidate.project.path_with_namespace} {candidate.job.ref} {candidate.job.name} #{candidate.job.id}"
    yield f"  gitlab: {remote_words(candidate.job, now)}"
    for queued in explanation.transfers:
        yield f"  mirror: {mirror_words(queued, now)}"
    if not explanation.transfers:
        yield "  mirror: nothing of this job is here or was asked for"
    yield from (f"  latest: {words}" for words in latest)
    yield from (f"  files:  {words}" for words in files_words(explanation.transfers, _wanted(explanation)))
    yield from (f"  content: {words}" for words in contents_words(explanation.transfers))
    yield from (f"  provenance: {words}" for words in provenance_words(explanation.transfers))
    yield from retention.lines()
    for entry in explanation.keeps:
        yield f"  keep:   {keep_words(entry)}"
    for hook in explanation.hooks:
        yield f"  after:  {hook_words(hook, now)}"
    for decision in explanation.decisions:
        yield f"rule {decision.rule.name}: {_verdict(decision)}"
        shown = [verdict for verdict in decision.verdicts if verbose or not _asks_nothing(verdict)]
        for verdict in shown:
            yield f"  {_MARKS[verdict.holds]:<3}  {verdict.condition}: wants {verdict.wanted}; found {verdict.found}"
        if left := len(decision.verdicts) - len(shown):
            yield f"       {count(left, 'condition')} {'asks' if left == 1 else 'ask'} nothing (--verbose shows them)"
    if any(decision.selected for decision in explanation.decisions) and candidate.job.archive is None:
        yield "note: GitLab lists no archive for it (none was made, it was erased, or it has expired and was deleted)"


def _wanted(explanation: Explanation) -> tuple[Transfer, ...]:
    return plan(explanation.candidate, explanation.decisions)


def _asks_nothing(verdict: Verdict) -> bool:
    return verdict.holds is True and verdict.wanted == _NOTHING


def _verdict(decision: Decision) -> str:
    if decision.selected:
        return "takes it"
    if decision.undecided:
        return "not decided yet"
    failed = [verdict.condition for verdict in decision.verdicts if verdict.holds is False]
    return f"leaves it, because of {', '.join(failed)}"
