"""The rules of a demo in words, and its summary."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from artifact_sync.cli.narrator import Seen
from artifact_sync.cli.sandbox import MARKER
from artifact_sync.cli.words import count, size, span
from artifact_sync.config import Settings
from artifact_sync.core.events import Kept
from artifact_sync.core.model import KeepResult
from artifact_sync.engine import Engine
from artifact_sync.simulator import World

__all__ = ["left_out", "rules", "summary"]

_EXAMPLES = 5


def rules(settings: Settings) -> Iterator[str]:
    """Each rule in a line."""
    for rule in settings.compiled_rules:
        when = rule.when
        parts = [f"projects {rule.projects}", f"refs {when.refs}", f"jobs {when.jobs}"]
        if when.ref_types:
            parts.append(f"only {' or '.join(sorted(when.ref_types))} pipelines")
        yield f"rule {rule.name}: {', '.join(parts)}"


async def left_out(engine: Engine, world: World, seen: Seen) -> list[str]:
    """A few of the jobs with artifacts that no rule takes, each with the conditions that failed; different reasons."""
    found: dict[str, str] = {}
    for job in reversed(list(world.jobs.values())):
        if job.archive is None or job.id in seen.selected or job.id in seen.published:
            continue
        explained = await engine.explain(job.project.id, job.id)
        if any(decision.selected or decision.undecided for decision in explained.decisions):
            continue
        reasons = [
            f"{decision.rule.name} wants {verdict.condition} {verdict.wanted}"
            for decision in explained.decisions
            for verdict in decision.verdicts
            if verdict.holds is False
        ]
        found.setdefault("; ".join(reasons), f"{job.project.path} {job.pipeline.ref} {job.name} #{job.id}")
        if len(found) == _EXAMPLES:
            break
    return [f"{job}: {reasons}" for reasons, job in found.items()]


def summary(seen: Seen, left: list[str], folder: Path) -> Iterator[str]:
    """What came of it, and where to look."""
    total = sum(event.size for event in seen.published.values())
    yield ""
    yield f"Mirrored: {count(len(seen.published), 'job')}, {size(total)}, each verified to the last byte."
    for kept in seen.kept:
        if kept.result is KeepResult.KEPT:
            yield f"Kept in GitLab shortly before its expiry: {_kept(kept, seen)}."
    for job_id, seconds in seen.played.items():
        if job_id in seen.published:
            event = seen.published[job_id]
            yield (
                f"Caught late: the manual job {event.job} #{job_id} of {event.project}, started {span(seconds)} after the"
                " demo began, when jobs with higher numbers had long been mirrored."
            )
    if lost := seen.deleted & seen.published.keys():
        yield f"Deleted by GitLab since, and safe in the mirror: {count(len(lost), 'job')}."
    if left:
        yield "Left out by the rules, for example:"
        yield from (f"  {line}" for line in left)
    yield from _look(seen, folder)


def _kept(kept: Kept, seen: Seen) -> str:
    copied = ", and mirrored since" if kept.job_id in seen.published else ""
    return f"{kept.project} {kept.job} #{kept.job_id}, which could not be downloaded at first{copied}"


def _look(seen: Seen, folder: Path) -> Iterator[str]:
    yield ""
    yield f"Look around: {folder / 'tree'} has the files, {folder / MARKER} the configuration."
    if seen.published:
        kept = {event.job_id for event in seen.kept}
        shown = next((event for event in seen.published.values() if event.job_id in kept), None)
        dest = (shown or next(iter(seen.published.values()))).dest
        yield "Check a publication:"
        yield f"  cd {shlex.quote(str(folder / 'tree' / dest))} && sha256sum -c SHA256SUMS"
