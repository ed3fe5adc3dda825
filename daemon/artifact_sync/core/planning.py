"""From decisions to what is to be done: transfers to destinations, and keeps ahead of the expiry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from artifact_sync.core.deadlines import keep_due
from artifact_sync.core.file_patterns import items_of, united
from artifact_sync.core.model import Candidate, Item, KeepDue, Project, Transfer
from artifact_sync.core.newest import LatestBy, Link
from artifact_sync.core.paths import fields_of
from artifact_sync.core.rules import Decision, KeepPolicy, Rule

__all__ = ["keeps", "lacks", "links", "plan"]


def plan(candidate: Candidate, decisions: Sequence[Decision], *, backfill: bool = False) -> tuple[Transfer, ...]:
    """One transfer for each destination that the selecting rules render.

    Rules that render the same one share it: the union of their items, each once. A rule that wants what the job does
    not list (no archive, no such report) adds nothing, and a transfer of nothing is not made.
    """
    by_dest: dict[str, list[Rule]] = {}
    for decision in decisions:
        if decision.selected:
            rule = decision.rule
            by_dest.setdefault(rule.publish.path.render(fields_of(candidate, rule.name)), []).append(rule)
    made = (_transfer(candidate, dest, rules, backfill=backfill) for dest, rules in by_dest.items())
    return tuple(transfer for transfer in made if transfer.items)


def lacks(candidate: Candidate, decisions: Iterable[Decision]) -> bool:
    """Whether a selecting rule wants something that the job does not list."""
    listed = {artifact.file_type for artifact in candidate.job.artifacts or ()}
    return any(d.selected and not _types(d.rule) <= listed for d in decisions)


def _types(rule: Rule) -> frozenset[str]:
    """Types of artifacts that a rule wants, and that come when they are listed. A log is given out before that."""
    fetch = rule.fetch
    archive = {"archive"} if fetch.archive or fetch.files else set()
    return frozenset({*archive, *fetch.reports})


def _transfer(candidate: Candidate, dest: str, rules: Sequence[Rule], *, backfill: bool) -> Transfer:
    job = candidate.job
    useful = [(rule, items) for rule in rules if (items := _items(candidate, rule))]
    sizes = [rule.fetch.max_size for rule, _ in useful if rule.fetch.max_size is not None]
    return Transfer(
        project_id=candidate.project.id,
        project_path=candidate.project.path_with_namespace,
        job=job,
        rules=tuple(rule.name for rule, _ in useful),
        items=united(item for _, items in useful for item in items),
        dest=dest,
        deadline=job.artifacts_expire_at,
        priority=max((rule.priority for rule, _ in useful), default=0),
        backfill=backfill,
        max_size=min(sizes, default=None),
    )


def _items(candidate: Candidate, rule: Rule) -> tuple[Item, ...]:
    fetch = rule.fetch
    archive = candidate.job.archive
    items: list[Item] = []
    if archive is not None:
        if fetch.archive:
            items.append(Item(kind="archive", name="artifacts.zip", size=archive.size, unpack=rule.publish.unpack))
        items += items_of(fetch.files)
    listed = {artifact.file_type: artifact for artifact in candidate.job.artifacts or ()}
    for kind in fetch.reports:
        if (report := listed.get(kind)) is not None:
            name = f"reports/{kind}"
            items.append(Item(kind="report", name=name, path=kind, size=report.size, file_format=report.file_format))
    trace = listed.get("trace")
    if fetch.trace:
        items.append(Item(kind="trace", name="job.log", size=trace.size if trace is not None else None))
    return tuple(items)


def links(transfer: Transfer, rules: Iterable[Rule]) -> tuple[Link, ...]:
    """The links that may point at what a transfer publishes, each once, by the rules that it names as they are now.

    Nothing but the transfer is needed, so they are known of what GitLab has deleted long since, too.
    """
    project = Project(id=transfer.project_id, path_with_namespace=transfer.project_path)
    candidate = Candidate(project=project, job=transfer.job)
    made: dict[str, Link] = {}
    for rule in rules:
        publish = rule.publish
        if publish.latest is not None and rule.name in transfer.rules:
            path = publish.latest.render(fields_of(candidate, rule.name))
            # Two rules that differ there meet at one link by chance alone: versions are the stronger wish.
            if path not in made or publish.latest_by is LatestBy.VERSION:
                made[path] = Link(path, publish.latest_by)
    return tuple(made.values())


def keeps(
    candidate: Candidate, decisions: Iterable[Decision], *, now: datetime, poll_interval: timedelta
) -> tuple[KeepDue, ...]:
    """A keep for each selecting rule whose policy asks for one; none for artifacts that do not expire."""
    job = candidate.job
    expire_at = job.artifacts_expire_at
    if job.archive is None or expire_at is None:
        return ()
    return tuple(
        KeepDue(
            project_id=candidate.project.id,
            project_path=candidate.project.path_with_namespace,
            job_id=job.id,
            job_name=job.name,
            rule=decision.rule.name,
            due_at=keep_due(
                now=now,
                expire_at=expire_at,
                finished_at=job.ended_at,
                lead=decision.rule.keep.lead,
                poll_interval=poll_interval,
            ),
            expire_at=expire_at,
            always=decision.rule.keep.policy is KeepPolicy.ALWAYS,
            ref=job.ref,
        )
        for decision in decisions
        if decision.selected and decision.rule.keep.policy is not KeepPolicy.NEVER
    )
