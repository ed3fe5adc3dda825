"""What others see: structured logs, and metrics. Both are subscribers to events."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog

from artifact_sync.core.events import (
    Audited,
    Damaged,
    Emit,
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
)
from artifact_sync.errors import Outcome

__all__ = ["configure", "fan_out", "log_events", "mask"]

log = structlog.get_logger()

#: Headers, parameters and the forms of GitLab's own tokens.
_SECRETS = re.compile(
    r"(?i)((?:private-token|job-token|authorization|private_token|job_token|access_token)[\"']?\s*[:=]\s*"
    r"[\"']?(?:bearer\s+)?)[^\s\"',;&]+|\bgl[a-z]{2,8}-[\w.-]{10,}"
)
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]+")


def mask(text: str) -> str:
    """The text without credentials, and without the queries of URLs: those of signed ones are credentials."""
    return _QUERY.sub(r"\1?...", _SECRETS.sub(lambda found: f"{found[1] or ''}[masked]", text))


def _masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = mask(value)
    return event


#: A sentence for a line of the log; None where it has none.
Words = Callable[[Mapping[str, Any]], str | None]


def configure(*, form: str = "auto", level: str = "info", words: Words = lambda _: None) -> None:
    """Set the log up on standard error: ``console``, ``json``, or by what standard error is (``auto``).

    On a console a line for which there are ``words`` is told in them.
    """
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = _told(words) if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if not console else structlog.processors.format_exc_info,
            _masked,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Looked up for each line: bars on a terminal put themselves before standard error while they are drawn.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _told(words: Words) -> structlog.typing.Processor:
    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        return words(event) or plain(logger, method, event)

    return render


def fan_out(*subscribers: Emit) -> Emit:
    """One emitter that tells all of them, in order."""

    def tell(event: Event) -> None:
        for subscriber in subscribers:
            subscriber(event)

    return tell


def log_events(event: Event) -> None:  # noqa: C901, PLR0912 - one case for each event
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
            log.info("job.kept", project=event.project, job=event.job_id, rule=event.rule, result=event.result.value)
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
            log.info("store.recovered", republished=event.republished, restarted=event.restarted, missing=event.missing)
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
