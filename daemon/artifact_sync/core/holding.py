"""Which present rules a publication is held for: judged by the job as it was when it was mirrored, not as GitLab has it now.

What disappears, or moves on, in GitLab is no reason to let go of anything here. So a condition speaks against a publication
only where it must have failed from the beginning under the present rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from artifact_sync.core.model import Candidate, Project, Transfer
from artifact_sync.core.paths import fields_of
from artifact_sync.core.retention import Held
from artifact_sync.core.rules import Decision, Rule, explain

__all__ = ["held"]

#: Time passes without anybody having changed a rule. Whether a job was retried since is not known, and does not count either.
_PASSING = frozenset({"max_age"})


def held(
    transfer: Transfer,
    rules: Sequence[Rule],
    *,
    number: int,
    size: int,
    published_at: datetime,
    path: str | None,
    pinned: bool,
) -> Held:
    """The publication of a transfer as retention sees it. ``path`` is the project's path now, where that is known."""
    job = transfer.job
    return Held(
        id=number,
        project_id=transfer.project_id,
        project=path or transfer.project_path,
        ref=job.ref,
        tag=job.tag,
        job=job.name,
        job_id=job.id,
        dest=transfer.dest,
        size=size,
        at=job.ended_at or published_at,
        rules=_holding(transfer, rules, published_at, path),
        pinned=pinned,
    )


def _holding(transfer: Transfer, rules: Sequence[Rule], at: datetime, path: str | None) -> tuple[str, ...]:
    """Rules that select the job and published it here; if none did, all that select it, which publish it elsewhere."""
    then = Project(id=transfer.project_id, path_with_namespace=transfer.project_path)
    now = Project(id=transfer.project_id, path_with_namespace=path or transfer.project_path)
    candidate = Candidate(project=then, job=transfer.job)
    selecting = [decision.rule for decision in explain(candidate, rules, at) if _selects(decision, transfer, now)]
    here = [rule for rule in selecting if rule.name in transfer.rules or _renders(rule, candidate, transfer)]
    return tuple(rule.name for rule in here or selecting)


def _selects(decision: Decision, transfer: Transfer, now: Project) -> bool:
    return all(
        verdict.holds is not False or (verdict.condition == "project" and _means(decision.rule, transfer, now))
        for verdict in decision.verdicts
        if verdict.condition not in _PASSING
    )


def _means(rule: Rule, transfer: Transfer, now: Project) -> bool:
    """Whether the rule is about the project after all: under its present path, or because another one's pipeline led there."""
    # Through which project a pipeline was followed is not written down.
    followed = rule.when.downstream and rule.name in transfer.rules
    return followed or rule.projects.matches(now)


def _renders(rule: Rule, candidate: Candidate, transfer: Transfer) -> bool:
    """Whether the rule publishes such a job here; where two names met, a suffix was added."""
    dest = rule.publish.path.render(fields_of(candidate, rule.name))
    rest = transfer.dest.removeprefix(dest)
    suffix = f"%~{transfer.job.id}"
    return transfer.dest.startswith(dest) and not rest.replace(suffix, "")
