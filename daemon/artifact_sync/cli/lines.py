"""What happens as one line of plain words each; what the bars print above themselves and a journal gets."""

from __future__ import annotations

from artifact_sync.cli.words import count, moment, rate, size, span
from artifact_sync.core import events
from artifact_sync.core.model import KeepResult
from artifact_sync.errors import Outcome

__all__ = ["line"]

_KEEP_WORDS = {
    KeepResult.KEPT: "GitLab will not delete it any more",
    KeepResult.EXPIRED: "too late, it had expired",
    KeepResult.DENIED: "GitLab refused",
    KeepResult.UNCONFIRMED: "GitLab agreed, but still shows an expiry",
    KeepResult.FAILED: "GitLab could not be asked",
    KeepResult.RELEASED: "given up again",
    KeepResult.DELETED: "deleted there, as the rule wants it",
}

#: Damaged names that are told of one publication.
_TOLD = 5


def line(event: events.Event, *, verbose: bool = False) -> str | None:  # noqa: C901, PLR0911, PLR0912 - one case for each event
    """The line for an event; None where it is not worth one (bytes arriving, pages without anything new)."""
    match event:
        case events.Started():
            return f"started   artifact-sync {event.version} mirrors {event.url} into {event.store}"
        case events.ProjectFound():
            return f"found     {event.path}"
        case events.ProjectFailed():
            return _hinted(f"failed    {event.project}: {event.error}", event.hint)
        case events.Discovered() if verbose:
            return f"looked    {event.path}: {count(event.jobs, 'job')}, {event.selected} selected"
        case events.Selected():
            return _selected(event)
        case events.TransferStarted() if verbose:
            return f"fetching  {_job(event)}, {size(event.total)}"
        case events.TransferEnded():
            return _ended(event)
        case events.Kept():
            detail = f" ({event.detail})" if event.detail else ""
            until = f", it would have expired {moment(event.expire_at)}" if event.expire_at else ""
            words = _KEEP_WORDS[event.result]
            return f"keep      {event.project} {event.job} #{event.job_id}: {words}{until} (rule {event.rule}){detail}"
        case events.Audited():
            missing = f"{event.missing} missed, wanted now" if event.missing else "none missed"
            ahead = f", {event.ahead} new" if event.ahead else ""
            return f"audited   {event.path}: {count(event.jobs, 'job')}, {event.selected} selected, {missing}{ahead}"
        case events.Damaged():
            return f"damaged   {_job(event)}: {_damages(event)} -> {event.dest}"
        case events.Mended():
            end = "whole again from a good copy" if event.whole else "set aside; it is fetched again"
            return f"mended    {_job(event)}: {end} -> {event.dest}"
        case events.Foreign():
            return f"foreign   {event.dest}: {', '.join(event.names)} (published by nobody; left alone)"
        case events.HookEnded():
            return _hook(event)
        case events.HooksDropped():
            return f"dropped   {count(event.count, 'hook')}: rule {event.rule} has no after.{event.kind} any more"
        case events.LatestMoved() if verbose:
            return f"latest    {event.link} -> {event.dest}"
        case events.LatestFailed():
            return _hinted(f"failed    the link {event.link} to {event.dest}: {event.error}", event.hint)
        case events.WebhookReceived() if verbose:
            return f"webhook   {event.result}"
        case events.PublicationPruned():
            return f"pruned    {_job(event)}: {size(event.size)}, {event.why} -> trash (was {event.dest})"
        case events.PublicationRestored():
            return f"restored  {_job(event)}: {size(event.size)} -> {event.dest}"
        case events.PruneRefused():
            what = f"{event.removable} of {count(event.publications, 'publication')} would go, more than {event.most} at once"
            return _hinted(f"unpruned  {what}", event.hint)
        case events.TrashEmptied():
            early = ", before its time: the disk is below store.min_free" if event.early else ""
            return (
                f"emptied   {count(event.publications, 'publication')} from the trash, {size(event.freed)} free{early}"
            )
        case events.Recovered():
            return _recovered(event)
        case events.Stopping():
            return f"stopping  {event.reason}; what is unfinished goes on at the next start"
    return None


def _selected(event: events.Selected) -> str:
    facts = [size(event.size) if event.size is not None else "", f"rules {', '.join(event.rules)}"]
    if event.deadline:
        facts.append(f"expires {moment(event.deadline)}")
    if event.late:
        facts.append("finished late: an earlier look saw it unfinished")
    return f"selected  {_job(event)} ({'; '.join(fact for fact in facts if fact)})"


def _ended(event: events.TransferEnded) -> str | None:
    if event.outcome is Outcome.PUBLISHED:
        speed = rate(event.size, event.seconds)
        pace = f" in {span(event.seconds)}, {speed}" if speed else ""
        return f"mirrored  {_job(event)}: {size(event.size)}{pace} -> {event.dest}"
    if not event.error:
        # The same for all, and told once.
        return None
    again = f"; next try {moment(event.retry_at)}" if event.retry_at else "; not tried again"
    return _hinted(f"failed    {_job(event)}: {event.outcome}: {event.error}{again}", event.hint)


def _hook(event: events.HookEnded) -> str:
    words = " ".join(event.detail.split())
    said = f": {words}" if words else ""
    told = f"{event.project} {event.ref} {event.job} #{event.job_id}: {event.kind} {event.result} (rule {event.rule}){said}"
    if event.result != "failed":
        return f"after     {told}"
    again = f"; next try {moment(event.retry_at)}" if event.retry_at else "; not tried again"
    return _hinted(f"after     {told}{again}", event.hint)


def _recovered(event: events.Recovered) -> str | None:
    found = (
        (event.republished, "finished what was downloaded"),
        (event.restarted, "to be continued"),
        (event.strays_removed, "strays removed from staging"),
        (event.missing, "missing from the store, fetched again"),
        (event.pruned, "completed on the way into the trash or back"),
    )
    words = ", ".join(f"{number} {what}" for number, what in found if number)
    return f"recovered {words}" if words else None


def _damages(event: events.Damaged) -> str:
    told = [f"{each.name}: {each.detail or each.fault}" for each in event.damages[:_TOLD]]
    more = f"; and {event.count - len(told):,} more" if event.count > len(told) else ""
    return f"{'; '.join(told)}{more}"


def _job(
    event: events.Selected
    | events.TransferStarted
    | events.TransferEnded
    | events.Damaged
    | events.Mended
    | events.PublicationPruned
    | events.PublicationRestored,
) -> str:
    return f"{event.project} {event.ref} {event.job} #{event.job_id}"


def _hinted(text: str, hint: str) -> str:
    return f"{text} (hint: {hint})" if hint else text
