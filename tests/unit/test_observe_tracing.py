"""What OpenTelemetry says and gets: few lines, short attributes, and no secret in either."""

import logging
import subprocess
import sys
import textwrap

import anyio
import pytest
from structlog.testing import capture_logs

from artifact_sync.observe import Masking
from artifact_sync.observe.complaints import Complaints
from artifact_sync.ports.tracing import failed, noted, span, traced
from tests.acceptance.collector import collecting

SECRET = "hunter2-hunter2"


def record(text: str) -> logging.LogRecord:
    """A warning of the exporter."""
    return logging.LogRecord("opentelemetry.sdk", logging.WARNING, __file__, 1, text, (), None)


def test_complaints_are_one_line_a_minute():
    """The first at once; those of the minute after it are counted with the next one, and none holds a secret."""
    now = [100.0]
    handler = Complaints(Masking(lambda: [SECRET]), now=lambda: now[0])
    with capture_logs() as lines:
        for seconds in (0.0, 1.0, 58.0, 0.9, 0.2, 59.0):
            now[0] += seconds
            handler.handle(record(f"no {SECRET} at {now[0]:.1f}"))
    assert [(line["event"], line["error"], line["untold"]) for line in lines] == [
        ("tracing.failed", "no [masked] at 100.0", 0),
        ("tracing.failed", "no [masked] at 160.1", 3),
    ]


def test_a_complaint_of_any_kind_harms_nobody(capsys):
    """One whose text cannot be made is told as Python's logging does it, and raises nothing."""
    handler = Complaints(str)
    bad = logging.LogRecord("opentelemetry", logging.WARNING, __file__, 1, "%d", ("no number",), None)
    handler.handle(bad)
    assert "Logging error" in capsys.readouterr().err


async def test_a_span_is_masked_and_bounded(monkeypatch):
    """Attributes and the words of a failure; errors that leave it give their names, and their words if they are ours."""
    async with collecting() as collector:
        script = f"""
            import os
            from artifact_sync.errors import Transient
            from artifact_sync.observe.masking import Masking
            from artifact_sync.observe.tracing import tracing
            from artifact_sync.ports.tracing import failed, noted, span
            with tracing(Masking(lambda: ["former"])) as secrets:
                secrets.renew(Masking(lambda: [{SECRET!r}]))
                with span("long", text="x{SECRET}" + "y" * 10_000, half="a\\ud800b", none=None):
                    noted(number=1, **{{"server.port": 7}})
                    failed("kind", "z{SECRET}" + "z" * 10_000)
                for error in (Transient("GET /x", "gone {SECRET}"), ValueError("{SECRET}"), KeyboardInterrupt()):
                    try:
                        with span("outer"), span(type(error).__name__):
                            raise error
                    except BaseException:
                        pass
            """
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(
                [sys.executable, "-c", textwrap.dedent(script)],
                env=collector.environment(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test"),
                capture_output=True,
                text=True,
                timeout=50,
                check=False,
            )
        )
        assert (done.returncode, done.stderr) == (0, "")
        spans = {told.name: told for told in collector.spans()}
    long = spans["long"]
    assert long.attributes["artifact_sync.text"] == "x[masked]" + "y" * (256 - len("x[masked]"))
    assert long.attributes["artifact_sync.half"] == "a\\ud800b"
    assert (long.attributes["artifact_sync.number"], long.attributes["server.port"]) == (1, 7)
    assert long.message == "z[masked]" + "z" * (256 - len("z[masked]"))
    assert (long.attributes["error.type"], long.failed) == ("kind", True)
    assert spans["Transient"].message == "GET /x: gone [masked]"
    assert (spans["ValueError"].failed, spans["ValueError"].message) == (True, "")
    assert not spans["KeyboardInterrupt"].failed
    assert spans["KeyboardInterrupt"].attributes == {"artifact_sync.cancelled": True}
    assert spans["KeyboardInterrupt"].parent == spans["outer"].id
    assert SECRET.encode() not in b"".join(collector.bodies)
    assert collector.resource["deployment.environment.name"] == "test"
    assert collector.resource["service.name"] == "artifact-sync"


@pytest.mark.parametrize("header", [f"authorization={SECRET}", f"authorization {SECRET}", f"=,{SECRET}"])
async def test_what_is_for_the_collector_alone_is_in_no_line(header):
    """A header that is malformed is quoted by the SDK; a collector that refuses is named without it, in a line."""
    async with collecting(status=401) as collector:
        script = """
            from artifact_sync.observe import configure, mask
            from artifact_sync.observe.tracing import tracing
            from artifact_sync.ports.tracing import span
            configure(form="json")
            with tracing(mask):
                for _ in range(5):
                    with span("one"):
                        pass
            """
        env = collector.environment(OTEL_EXPORTER_OTLP_HEADERS=header, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1")
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(
                [sys.executable, "-c", textwrap.dedent(script)],
                env=env,
                capture_output=True,
                text=True,
                timeout=50,
                check=False,
            )
        )
    assert done.returncode == 0
    assert collector.bodies
    assert done.stderr.count("\n") == done.stderr.count('"tracing.failed"') == 1
    assert SECRET not in done.stderr


def test_where_nobody_traces_words_about_it_are_of_no_account():
    """Nothing raises; a tracer hears of its own block alone."""
    heard = []

    class Heard:
        def span(self, name, attributes, *, client):
            heard.append(name)
            return traced(self)

        def noted(self, attributes):
            heard.append(attributes)

        def failed(self, kind, text):
            heard.append(kind)

    with span("nobody"):
        noted(x=1)
        failed("kind")
    with traced(Heard()), span("somebody", x=1):
        noted(y=2)
        failed("other")
    noted(z=3)
    assert heard == ["somebody", {"y": 2}, "other"]
