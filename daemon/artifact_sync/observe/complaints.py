"""What OpenTelemetry complains of, as one line a minute: a collector that is away is away for each batch of spans."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote

import structlog

from artifact_sync.observe.masking import Masking

__all__ = ["throttle"]

log = structlog.get_logger()

#: Seconds between two lines.
_EVERY = 60.0
#: The loggers of the SDK with its exporter, and of the HTTP client that it uses and nobody else does.
_LOGGERS = ("opentelemetry", "urllib3", "requests")
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


class Complaints(logging.Handler):
    """Tells one line, and counts those of the minute after it."""

    def __init__(self, mask: Callable[[str], str], *, now: Callable[[], float] = time.monotonic) -> None:
        """``now`` in seconds, of a monotonic clock."""
        super().__init__(logging.WARNING)
        self._mask = mask
        self._now = now
        self._due = now()
        self._untold = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Of whichever thread."""
        now = self._now()
        if now < self._due:
            self._untold += 1
            return
        try:
            text = self._mask(record.getMessage())
            log.warning("tracing.failed", error=text, untold=self._untold)
        except Exception:  # noqa: BLE001 - as every handler of Python's own logging does it
            self.handleError(record)
        self._due, self._untold = now + _EVERY, 0


def throttle(environ: Mapping[str, str]) -> None:
    """From now on they come into the log so, and no other way; without what the environment has for the collector alone."""
    handler = Complaints(Masking(lambda: _secrets(environ)))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False


def _secrets(environ: Mapping[str, str]) -> list[str]:
    """Values of headers for the collector: one that is malformed is quoted in the complaint about it."""
    found = []
    for headers in filter(None, map(environ.get, _HEADERS)):
        for header in headers.split(","):
            value = header.partition("=")[2].strip()
            found += [header.strip(), value, unquote(value)]
    return [text for text in found if text]
