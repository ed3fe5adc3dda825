"""How a job stands in GitLab, in the mirror and in the ledger, each in a line."""

from __future__ import annotations

from datetime import datetime

from artifact_sync.cli.words import ago, count, moment, size
from artifact_sync.core.model import Job
from artifact_sync.ports import HookFigures, HookState, KeepEntry, QueuedHook, QueuedTransfer, TransferState

__all__ = ["hook_counts", "hook_words", "keep_words", "mirror_words", "remote_words"]


def remote_words(job: Job, now: datetime) -> str:
    """As GitLab has it."""
    archive = f"archive of {size(job.archive.size)}" if job.archive else "no archive"
    if job.artifacts_expire_at:
        verb = "expires" if job.artifacts_expire_at > now else "expired"
        archive += f", {verb} {ago(job.artifacts_expire_at, now)}"
    elif job.archive:
        archive += ", does not expire"
    return f"{job.status}, {job.ref_type.value.replace('_', ' ')} pipeline, {archive}"


def mirror_words(queued: QueuedTransfer, now: datetime) -> str:
    """As the state has it."""
    transfer = queued.transfer
    where = f"-> {transfer.dest} (rules {', '.join(transfer.rules)})"
    if queued.state is TransferState.PUBLISHED:
        files = [file for file in queued.files if file.published]
        total = size(sum(file.size for file in files))
        return f"published {moment(queued.published_at)}, {count(len(files), 'file')}, {total} {where}"
    if (pruned := queued.pruned) is not None:
        place = "in the trash (`artifact-sync prune --undo`)" if pruned.trash else "gone for good"
        return f"{queued.state} {moment(pruned.at)}: {pruned.why}; {place} {where}"
    facts = [str(queued.state)]
    if queued.published_at is not None:
        facts.append(f"published before, {moment(queued.published_at)}")
    if queued.error:
        facts.append(f"{count(queued.attempts, 'attempt')}, the last: {queued.outcome}: {queued.error}")
    if queued.next_attempt_at is not None and queued.next_attempt_at > now:
        facts.append(f"next try {ago(queued.next_attempt_at, now)}")
    return f"{', '.join(facts)} {where}"


def keep_words(entry: KeepEntry) -> str:
    """A line of the ledger, without whose it is."""
    expiry = f", would have expired {moment(entry.expire_at)}" if entry.expire_at else ""
    detail = f" ({entry.detail})" if entry.detail else ""
    # The reason of a keep repeats the expiry for programs.
    reason = entry.reason.partition(", and expires ")[0]
    return f"{entry.result} {moment(entry.at)} for rule {entry.rule}: {reason}{expiry}{detail}"


def hook_words(hook: QueuedHook, now: datetime) -> str:
    """What became of one thing that a rule wants after a publication, without whose it is."""
    what = f"{hook.kind} of rule {hook.rule}"
    said = f": {' '.join(hook.detail.split())}" if hook.detail else ""
    if hook.state is not HookState.WAITING:
        tried = f" after {count(hook.attempts, 'attempt')}" if hook.state is HookState.FAILED else ""
        hint = f" (hint: {hook.hint})" if hook.hint else ""
        return f"{what} {hook.state} {moment(hook.ended_at)}{tried}{said}{hint}"
    when = f", next try {ago(hook.due_at, now)}" if hook.due_at > now else ""
    return f"{what} waits, {count(hook.attempts, 'failed attempt')}{when}{said}"


def hook_counts(figures: HookFigures) -> str:
    """How many stand where."""
    return ", ".join(f"{figures.by_state.get(state, 0):,} {state}" for state in HookState)
