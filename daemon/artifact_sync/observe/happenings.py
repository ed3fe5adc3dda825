"""What happens, as lines of the log."""

from __future__ import annotations

import structlog

from artifact_sync.core.events import (
    Audited,
    Damaged,
    Event,
    Foreign,
    HookEnded,
    HooksDropped,
    Kept,
    LatestFailed,
    LatestMoved,
    Mended,
    ProjectFailed,
    ProjectFound,
    PruneRefused,
    PublicationPruned,
    PublicationRestored,
    Recovered,
    Selected,
    Started,
    Stopping,
    TransferEnded,
    TransferStarted,
    TrashEmptied,
    WebhookReceived,
)
from artifact_sync.core.model import KeepResult
from artifact_sync.errors import Outcome

__all__ = ["log_events"]

log = structlog.get_logger()

_AS_WANTED = frozenset({KeepResult.KEPT, KeepResult.RELEASED, KeepResult.DELETED})


def log_events(event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - one case for each event
    """Write an event to the log, under one name for each happening."""
    match event:
        case Started():
            log.info("daemon.started", version=event.version, url=event.url, store=event.store)
        case ProjectFound():
            log.info("project.found", project=event.path, id=event.project_id)
        case ProjectFailed():
            log.warning("project.failed", project=event.project, error=event.error, hint=event.hint)
        case Selected():
            log.info("job.selected", **_named(event), rules=event.rules, dest=event.dest, late=event.late)
        case TransferStarted():
            log.debug("transfer.started", **_named(event), bytes=event.total)
        case TransferEnded(outcome=Outcome.PUBLISHED):
            log.info(
                "transfer.published",
                **_named(event),
                dest=event.dest,
                bytes=event.size,
                seconds=round(event.seconds, 3),
            )
        case TransferEnded():
            log.warning(
                "transfer.failed",
                **_named(event),
                outcome=event.outcome.value,
                error=event.error,
                hint=event.hint,
                retry_at=event.retry_at.isoformat() if event.retry_at else None,
            )
        case Kept():
            level = log.info if event.result in _AS_WANTED else log.warning
            level(
                "job.kept",
                project=event.project,
                job=event.job_id,
                name=event.job,
                rule=event.rule,
                result=event.result.value,
                expire_at=event.expire_at.isoformat() if event.expire_at else None,
                detail=event.detail,
            )
        case Audited():
            level = log.warning if event.missing else log.info
            level(
                "project.audited", project=event.path, jobs=event.jobs, selected=event.selected, missing=event.missing
            )
        case Damaged():
            names = [f"{damage.name}: {damage.fault.value}" for damage in event.damages]
            log.error("publication.damaged", **_named(event), dest=event.dest, damages=names, count=event.count)
        case Mended():
            log.warning("publication.mended", **_named(event), dest=event.dest, whole=event.whole)
        case Foreign():
            log.warning("publication.foreign", dest=event.dest, names=event.names)
        case HookEnded():
            level = log.warning if event.result == "failed" else log.info
            level(
                "hook.ended",
                **_named(event),
                rule=event.rule,
                kind=event.kind.value,
                result=event.result,
                attempt=event.attempt,
                seconds=round(event.seconds, 3),
                detail=event.detail,
                hint=event.hint,
                retry_at=event.retry_at.isoformat() if event.retry_at else None,
            )
        case HooksDropped():
            log.warning("hooks.dropped", rule=event.rule, kind=event.kind.value, count=event.count)
        case LatestMoved():
            log.info("latest.moved", link=event.link, dest=event.dest)
        case LatestFailed():
            log.warning("latest.failed", link=event.link, dest=event.dest, error=event.error, hint=event.hint)
        case PublicationPruned():
            log.info("publication.pruned", **_named(event), dest=event.dest, bytes=event.size, why=event.why)
        case PublicationRestored():
            log.info("publication.restored", **_named(event), dest=event.dest, bytes=event.size)
        case PruneRefused():
            log.warning(
                "prune.refused",
                removable=event.removable,
                publications=event.publications,
                most=event.most,
                hint=event.hint,
            )
        case TrashEmptied():
            level = log.warning if event.early else log.info
            level("trash.emptied", publications=event.publications, freed=event.freed, early=event.early)
        case Recovered():
            log.info(
                "store.recovered",
                republished=event.republished,
                restarted=event.restarted,
                strays_removed=event.strays_removed,
                missing=event.missing,
                pruned=event.pruned,
            )
        case WebhookReceived():
            log.debug("webhook.received", result=event.result)
        case Stopping():
            log.info("daemon.stopping", reason=event.reason)


def _named(
    event: Selected
    | TransferStarted
    | TransferEnded
    | Damaged
    | Mended
    | HookEnded
    | PublicationPruned
    | PublicationRestored,
) -> dict[str, object]:
    return {"project": event.project, "job": event.job_id, "name": event.job, "ref": event.ref}
