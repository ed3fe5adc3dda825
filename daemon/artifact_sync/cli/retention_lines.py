"""What retention makes of publications, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from artifact_sync.cli.words import count, moment, one_line, size
from artifact_sync.core.retention import Group, RetentionPlan, Verdict
from artifact_sync.engine.holdings import beyond, most_removed
from artifact_sync.ports import PruneReport, RetentionLook, Summary

__all__ = [
    "group_facts",
    "group_lines",
    "limit_words",
    "look_lines",
    "plan_facts",
    "plan_lines",
    "report_words",
    "verdict_words",
]


def group_lines(group: Group) -> Iterator[str]:
    """What stays and goes of one job name on one ref, newest first."""
    yield one_line(f"{group.project} {group.ref} {group.job}")
    for verdict in group.verdicts:
        held = verdict.held
        what = "stays" if verdict.stays else "goes "
        yield one_line(
            f"  {what}  #{held.job_id}  {moment(held.at)}  {size(held.size):>10}  {', '.join(verdict.reasons)}"
            f"{_until(verdict)}  -> {held.dest}"
        )


def group_facts(group: Group) -> dict[str, object]:
    """The same for programs."""
    return {
        "project_id": group.project_id,
        "project": group.project,
        "ref": group.ref,
        "job": group.job,
        "publications": [
            {
                "job_id": verdict.held.job_id,
                "dest": verdict.held.dest,
                "at": verdict.held.at,
                "size": verdict.held.size,
                "rules": verdict.held.rules,
                "stays": verdict.stays,
                "reasons": verdict.reasons,
                "until": verdict.until,
            }
            for verdict in group.verdicts
        ],
    }


def verdict_words(verdict: Verdict) -> str:
    """Why one publication stays, or that it goes."""
    reasons = ", ".join(verdict.reasons)
    return f"stays: {reasons}{_until(verdict)}" if verdict.stays else f"goes with the next prune: {reasons}"


def plan_lines(plan: RetentionPlan, *, share: float, orphans: bool) -> Iterator[str]:
    """The sums, and what stands in the way."""
    removed, left = plan.removed, _sizes(plan.verdicts)
    yield (
        f"{len(removed):,} of {count(plan.count, 'publication')} would go ({size(_sizes(removed))});"
        f" {plan.count - len(removed):,} stay ({size(left - _sizes(removed))})."
    )
    if beyond(plan, share):
        command = "prune --orphans --yes" if orphans else "prune --yes"
        yield f"{limit_words(plan, share)}: `artifact-sync {command}` does it all the same."
    if (strays := plan.orphans) and not orphans:
        yield (
            f"{count(len(strays), 'orphan')} ({size(_sizes(strays))}) stay, though no present rule selects them;"
            " with --orphans they go, too."
        )


def plan_facts(plan: RetentionPlan, *, share: float) -> dict[str, object]:
    """The same for programs."""
    removed = plan.removed
    return {
        "publications": plan.count,
        "bytes": _sizes(plan.verdicts),
        "removed": len(removed),
        "removed_bytes": _sizes(removed),
        "orphans": len(plan.orphans),
        "orphan_bytes": _sizes(plan.orphans),
        "most": most_removed(plan.count, share),
        "allowed": not beyond(plan, share),
    }


def limit_words(plan: RetentionPlan, share: float) -> str:
    """Why it is too much."""
    most = most_removed(plan.count, share)
    return f"That is more than {most:,} at once (retention.max_delete {share:.0%} of {plan.count:,})"


def report_words(report: PruneReport, *, undo: bool) -> Iterator[str]:
    """What was done."""
    for problem in report.problems:
        yield f"failed    {problem}"
    if not undo:
        yield f"Pruned {count(report.pruned, 'publication')} ({size(report.pruned_bytes)})." + (
            " `artifact-sync prune --undo` brings them back while they are in the trash." if report.pruned else ""
        )
        return
    yield f"Restored {count(report.restored, 'publication')} ({size(report.restored_bytes)})."
    if report.restored:
        yield (
            "Retention takes them again where the rules still let them go: change `retain`, or pin what is to stay with"
            " `artifact-sync keeps pin`."
        )


def look_lines(summary: Summary) -> Iterator[str]:
    """What retention found last, for `status`."""
    look = summary.retention
    facts = _look_facts(look) if look is not None else []
    if summary.in_trash:
        facts.append(f"{summary.in_trash:,} in the trash ({size(summary.trash_bytes)})")
    if summary.pins:
        facts.append(f"{count(summary.pins, 'job')} pinned")
    if facts:
        yield f"retention: {', '.join(facts)}"


def _look_facts(look: RetentionLook) -> list[str]:
    facts = [f"looked {moment(look.at)}", f"{look.removable:,} of {count(look.publications, 'publication')} to go"]
    if look.orphans:
        facts.append(
            f"{count(look.orphans, 'orphan')} ({size(look.orphan_bytes)}; `artifact-sync prune --orphans` prunes them)"
        )
    return facts


def _until(verdict: Verdict) -> str:
    return f", until {moment(verdict.until)}" if verdict.stays and verdict.until is not None else ""


def _sizes(verdicts: Iterator[Verdict] | Sequence[Verdict]) -> int:
    return sum(verdict.held.size for verdict in verdicts)
