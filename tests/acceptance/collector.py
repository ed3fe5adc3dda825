"""A collector of spans in the test's own process: OTLP over HTTP, as OpenTelemetry's own takes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Told:
    """A span as it came."""

    name: str
    id: bytes
    parent: bytes
    trace: bytes
    kind: int
    failed: bool
    #: What is said of the failure.
    message: str
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What came to it."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    came: anyio.Event = field(default_factory=anyio.Event)
    resource: dict[str, Any] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """What has a process send its spans here, without much delay."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100", **more}

    def spans(self) -> list[Told]:
        """All that came."""
        found = []
        for body in self.bodies:
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                self.resource = _plain(resource.resource.attributes)
                for scope in resource.scope_spans:
                    found += [
                        Told(
                            name=span.name,
                            id=span.span_id,
                            parent=span.parent_span_id,
                            trace=span.trace_id,
                            kind=span.kind,
                            failed=span.status.code == 2,
                            message=span.status.message,
                            attributes=_plain(span.attributes),
                        )
                        for span in scope.spans
                    ]
        return found

    async def named(self, name: str, count: int) -> list[Told]:
        """So many spans of this name, once they have come."""
        with anyio.fail_after(30):
            while len(found := [span for span in self.spans() if span.name == name]) < count:
                self.came = anyio.Event()
                await self.came.wait()
        return found


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@asynccontextmanager
async def collecting(*, hangs: bool = False, status: int = 200) -> AsyncIterator[Collector]:
    """``hangs``: it takes spans, and never answers. ``status``: what it answers."""
    collector = Collector()

    async def take(request: web.Request) -> web.Response:
        collector.bodies.append(await request.read())
        collector.came.set()
        if hangs:
            await anyio.sleep_forever()
        return web.Response(status=status, content_type="application/x-protobuf")

    application = web.Application()
    application.router.add_post("/v1/traces", take)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        collector.url = f"http://{host}:{port}"
        yield collector
    finally:
        await runner.cleanup()
