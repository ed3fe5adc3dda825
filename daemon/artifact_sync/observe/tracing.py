"""Whether anything is traced, as OpenTelemetry's own environment variables say it.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
Without an endpoint nothing of OpenTelemetry is imported, and it need not be installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from artifact_sync.observe.masking import Masking, mask
from artifact_sync.ports.tracing import traced

__all__ = ["Secrets", "tracing"]

log = structlog.get_logger()

_INSTALL = "Install artifact-sync with its extra, from the folder of its source: pip install '.[tracing]'"
_SPOKEN = "http/protobuf"


class Secrets:
    """What takes secrets out of spans, which another configuration may replace."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking

    def renew(self, masking: Masking) -> None:
        """From now on it is this."""
        self._masking = masking

    def __call__(self, text: str) -> str:
        return self._masking(text)


@contextmanager
def tracing(masking: Masking, environ: Mapping[str, str] | None = None) -> Iterator[Secrets]:
    """Spans of what is done in this block go to the collector that the environment names, if it names one.

    At the end the last ones are sent, for as long as ``SpanExport`` waits. Raises nothing: what cannot be traced is told in
    the log, and done all the same.
    """
    environ = os.environ if environ is None else environ
    secrets = Secrets(masking)
    if not _wanted(environ):
        yield secrets
        return
    spoken = _first(environ, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") or _SPOKEN
    if spoken != _SPOKEN:
        hint = (
            f"Set OTEL_EXPORTER_OTLP_PROTOCOL={_SPOKEN}, and the collector's endpoint for HTTP (port 4318 as a rule)."
        )
        log.warning("tracing.off", reason=f"spans are sent by {_SPOKEN} alone, not by {spoken}", hint=hint)
        yield secrets
        return
    try:
        from artifact_sync.observe.spans import SpanExport  # noqa: PLC0415 - an extra, and long to import

        export = SpanExport(secrets, environ)
    except ImportError as error:
        log.warning(
            "tracing.off", reason=f"an endpoint for traces is set, and not all is installed: {error}", hint=_INSTALL
        )
        yield secrets
        return
    except Exception as error:  # noqa: BLE001 - whatever stands in the environment, mirroring goes on
        hint = "Correct the environment variables that begin with OTEL_."
        log.warning("tracing.off", reason=mask(f"{type(error).__name__}: {error}"), hint=hint)
        yield secrets
        return
    try:
        with traced(export):
            yield secrets
    finally:
        export.end()


def _wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if "otlp" not in (name.strip() for name in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")):
        return False
    return bool(_first(environ, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"))


def _first(environ: Mapping[str, str], *names: str) -> str:
    """The first of these variables that is set: an empty one counts as none."""
    return next((value for name in names if (value := environ.get(name, "").strip())), "")
