"""The log: one object for each happening, on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from artifact_sync.observe.masking import Masking, mask

__all__ = ["Words", "configure"]

log = structlog.get_logger()

#: A sentence for a line of the log; None where it has none.
Words = Callable[[Mapping[str, Any]], str | None]


def configure(
    *, form: str = "auto", level: str = "info", words: Words = lambda _: None, masking: Masking = mask
) -> None:
    """Set the log up on standard error: ``console``, ``json``, or by what standard error is (``auto``).

    On a console a line for which there are ``words`` is told in them. What libraries warn of through Python's own logging
    comes as ``library.said``.
    """
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = _told(words) if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Values of local variables are nobody's business: any of them may be a secret.
            structlog.processors.format_exc_info
            if console
            else ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            _without_secrets(masking),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # Looked up for each line: bars on a terminal put themselves before standard error while they are drawn.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, _Libraries) for handler in root.handlers):
        root.addHandler(_Libraries(logging.WARNING))


def _without_secrets(masking: Masking) -> structlog.typing.Processor:
    def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {str(key): value for key, value in masking.plain(dict(event)).items()}

    return masked


def _told(words: Words) -> structlog.typing.Processor:
    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        return words(event) or plain(logger, method, event)

    return render


class _Libraries(logging.Handler):
    """Takes the lines of libraries into the log, where they are masked like all others."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = log.error if record.levelno >= logging.ERROR else log.warning
            level("library.said", logger=record.name, text=record.getMessage(), exc_info=record.exc_info or None)
        except Exception:  # noqa: BLE001 - as every handler of Python's own logging does it
            self.handleError(record)
