"""Spans by OpenTelemetry's SDK, sent to a collector by a thread of its own. Nothing else imports OpenTelemetry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from artifact_sync import __version__
from artifact_sync.errors import ArtifactSyncError
from artifact_sync.observe.complaints import throttle
from artifact_sync.ports.tracing import Value

__all__ = ["SpanExport"]

_NAME = "artifact-sync"
_PREFIX = "artifact_sync."
#: Characters of one attribute. Of a span there are a dozen, and the SDK's queue has a bound: so has the memory of all.
_LONGEST = 256
#: Seconds that the end waits for the last spans. A service manager's patience with the whole process is five.
_LAST = 2.0


class SpanExport:
    """Implements ``ports.tracing.Tracer``, by the environment variables of the SDK and of its exporter.

    ``mask`` takes secrets out of a text. Raises ValueError and what else the SDK has against a variable.
    """

    def __init__(self, mask: Callable[[str], str], environ: Mapping[str, str]) -> None:
        self._mask = mask
        throttle(environ)
        # It ends when it is told so: at the interpreter's own end its default would wait for half a minute.
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("artifact_sync", __version__)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value], *, client: bool) -> Iterator[None]:
        """See the port."""
        kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
        begun = self._tracer.start_span(name, kind=kind, attributes=self._plain(attributes))
        # The SDK would put a traceback into it, and whatever text an error has.
        with trace.use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except ArtifactSyncError as error:
                self.failed(type(error).__name__, str(error))
                raise
            except Exception as error:
                # A defect's text may quote anything.
                self.failed(type(error).__name__, "")
                raise
            except BaseException:
                # Cancelled, as everything is when the daemon ends. That is no failure.
                self.noted({"cancelled": True})
                raise

    def noted(self, attributes: Mapping[str, Value]) -> None:
        """See the port."""
        trace.get_current_span().set_attributes(self._plain(attributes))

    def failed(self, kind: str, text: str) -> None:
        """See the port."""
        span = trace.get_current_span()
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR, self._short(text) or None))

    def end(self) -> None:
        """Send what is left, for two seconds at most: what a collector that is dead or hangs did not take by then is lost."""
        # Its own bound is thirty seconds, and that of one request is another's.
        sending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        sending.start()
        sending.join(_LAST)

    def _plain(self, attributes: Mapping[str, Value]) -> dict[str, str | int | float | bool]:
        return {
            name if "." in name else f"{_PREFIX}{name}": self._short(value) if isinstance(value, str) else value
            for name, value in attributes.items()
            if value is not None
        }

    def _short(self, text: str) -> str:
        # Half of a pair of surrogates has no UTF-8, and would cost all spans of its batch.
        return self._mask(text)[:_LONGEST].encode("utf-8", "backslashreplace").decode()


def _resource() -> Resource:
    """What this process is, as the environment says it."""
    told = OTELResourceDetector().detect().attributes
    return Resource.create({SERVICE_NAME: told.get(SERVICE_NAME, _NAME), SERVICE_VERSION: __version__})
