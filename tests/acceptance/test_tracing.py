"""Spans of what the daemon and a pass do, at a collector; and nothing of it where nobody asks for them."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from artifact_sync.simulator import Delivery
from artifact_sync.simulator.faults import Answer, Fault
from tests.acceptance.collector import collecting
from tests.acceptance.harness import TOKEN, environment, started, wait_for
from tests.acceptance.living import HOUR, Place, place

#: Of a span that asks somebody else (opentelemetry.proto.trace.v1.Span.SpanKind).
CLIENT = 3
DOWNLOAD = "GET /api/v4/projects/:id/jobs/:job_id/artifacts"
NOTHING = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture
async def scene(tmp_path):
    """Two jobs that are to be kept, whose archives come from an object store by a signed URL; one has what looks like a token in its name."""
    async with place(
        tmp_path, rule="keep: {policy: always}", more="poll: {interval: 1s, audit: 2s}\nlog: {format: json}\n"
    ) as made:
        made.world.delivery = Delivery.REDIRECT
        made.build("build", f"deploy {TOKEN}", ago=0.6 * HOUR, expire_in=HOUR)
        yield made


async def test_the_daemon_sends_spans_without_secrets(scene: Place):
    """One for each transfer, keep, poll and audit, requests as their children, and none of token, signature and query."""
    async with collecting() as collector:
        with started("run", cwd=scene.folder, env=collector.environment(OTEL_SERVICE_NAME="mirror-one")) as daemon:
            transfers = await collector.named("transfer", 2)
            keeps = await collector.named("keep", 2)
            await collector.named("poll", 1)
            (audit, *_) = await collector.named("audit", 1)
            daemon.send_signal(signal.SIGTERM)
            out, _ = await to_thread.run_sync(daemon.communicate)
        assert daemon.returncode == 0, out
    spans = collector.spans()
    assert collector.resource["service.name"] == "mirror-one"
    own = {key.removeprefix("artifact_sync."): value for key, value in transfers[0].attributes.items()}
    assert (own["project"], own["ref"], own["outcome"], own["attempt"]) == ("acme/app", "main", "published", 1)
    jobs = {job.id: job for job in scene.world.jobs.values()}
    assert {span.attributes["artifact_sync.job"] for span in transfers} == set(jobs)
    for span in transfers:
        size = (scene.folder / "mirror" / "tree").glob(f"**/{span.attributes['artifact_sync.job']}/artifacts.zip")
        assert span.attributes["artifact_sync.bytes"] >= next(size).stat().st_size
        children = [child for child in spans if child.parent == span.id]
        assert {child.trace for child in children} == {span.trace}
        asked, stored = sorted(children, key=lambda child: child.name, reverse=True)
        assert (asked.name, asked.kind, asked.attributes["http.response.status_code"]) == (DOWNLOAD, CLIENT, 302)
        assert asked.attributes["artifact_sync.purpose"] == "download"
        assert asked.attributes["url.full"].startswith(f"{scene.world.url}/api/v4/projects/1/jobs/")
        assert (stored.name, stored.attributes["http.response.status_code"]) == ("GET", 200)
        assert str(stored.attributes["server.port"]) in scene.world.storage_url
        assert "url.full" not in stored.attributes
    for keep in keeps:
        assert keep.attributes["artifact_sync.result"] == "kept"
        names = [child.name.partition(" ")[0] for child in spans if child.parent == keep.id]
        assert sorted(names) == ["GET", "POST"]
    figures = [audit.attributes[f"artifact_sync.{name}"] for name in ("jobs", "selected", "missing")]
    assert figures == [2, 2, 0]
    assert [child.attributes["artifact_sync.purpose"] for child in spans if child.parent == audit.id] == ["audit"]
    polls = {span.id for span in spans if span.name == "poll"}
    assert polls & {span.parent for span in spans if span.name.startswith("GET /api/v4/projects/:id/")}
    assert not any(span.failed for span in spans if span.name in {"transfer", "keep", "poll"})
    sent = b"".join(collector.bodies)
    assert b"deploy [masked]" in sent
    for secret in (TOKEN.encode(), b"X-Amz", b"SIMULATED", b"gitlab-artifacts", b"per_page"):
        assert secret not in sent
    assert not any("?" in str(value) for span in spans for value in span.attributes.values())
    assert "tracing." not in out


async def test_a_pass_sends_its_last_spans_before_it_ends(scene: Place):
    """Whatever the delay of batches is; the failure of a transfer with its reason, and that of its request with the status."""
    broken = next(job for job in scene.world.jobs.values() if job.name == "build")
    scene.world.faults.add(Fault(path=rf"/jobs/{broken.id}/artifacts$", action=Answer(status=404, body="{}")))
    async with collecting() as collector:
        ran = await scene.run("sync", env=collector.environment(OTEL_BSP_SCHEDULE_DELAY="600000"))
    assert (ran.code, ran.err) == (0, "")
    spans = collector.spans()
    assert collector.resource["service.name"] == "artifact-sync"
    (failed,) = [span for span in spans if span.name == "transfer" and span.failed]
    assert failed.attributes["artifact_sync.job"] == broken.id
    assert failed.attributes["artifact_sync.outcome"] == failed.attributes["error.type"] == "retry later"
    assert failed.message.startswith("GET /api/v4/projects/1/jobs/")
    (asked,) = [span for span in spans if span.parent == failed.id and span.failed]
    assert (asked.name, asked.attributes["error.type"]) == (DOWNLOAD, "404")
    attempts = [span.attributes for span in spans if span.name == "transfer"]
    assert sorted((own["artifact_sync.attempt"], own["artifact_sync.outcome"]) for own in attempts) == [
        (1, "published"),
        (1, "retry later"),
        (2, "published"),
    ]


@pytest.mark.parametrize("endpoint", ["hangs", "is dead"])
async def test_a_collector_that_is_no_good_holds_nobody_up(scene: Place, endpoint: str):
    """One that never answers, or is not there: SIGTERM ends the daemon before its own patience does; all is mirrored."""
    async with collecting(hangs=True) as collector:
        env = collector.environment() if endpoint == "hangs" else NOTHING | {"OTEL_BSP_SCHEDULE_DELAY": "100"}
        with started("run", cwd=scene.folder, env=env) as daemon:
            seen = await to_thread.run_sync(wait_for, daemon, "transfer.published")
            seen += await to_thread.run_sync(wait_for, daemon, "transfer.published")
            if endpoint == "hangs":
                await collector.came.wait()
            elif "tracing.failed" not in seen:
                seen += await to_thread.run_sync(wait_for, daemon, "tracing.failed")
            daemon.send_signal(signal.SIGTERM)
            out, _ = await to_thread.run_sync(partial(daemon.communicate, timeout=20))
    # What ends it after four and a half seconds ends it with 143.
    assert daemon.returncode == 0, out
    assert len(scene.mirrored) == 2
    lines = [json.loads(line) for line in (seen + out).splitlines() if "tracing.failed" in line]
    assert len(lines) <= 1
    assert endpoint == "hangs" or lines


def imported(folder: Path, *words: str, env: dict[str, str], blocked: bool = False) -> tuple[set[str], str]:
    """What of OpenTelemetry a command has imported at its end, and what it said."""
    code = (
        "import sys\n"
        + ("sys.modules['opentelemetry'] = None\n" if blocked else "")
        + f"from artifact_sync.cli import main\ncode = main({words!r})\n"
        "print('IMPORTED', *[name for name, module in sys.modules.items() if module and 'opentelemetry' in name])\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.partition("IMPORTED")[2].split()), done.stderr


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SERVICE_NAME": "mirror", "OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        NOTHING | {"OTEL_SDK_DISABLED": "true"},
        NOTHING | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
async def test_without_an_endpoint_nothing_of_it_is_imported(scene: Place, env: dict[str, str]):
    """Or where the environment says that nothing is to be sent; and nothing is said of it."""
    found, said = await to_thread.run_sync(partial(imported, scene.folder, "sync", "--strict", env=env))
    assert (found, said) == (set(), "")
    assert len(scene.mirrored) == 2


async def test_where_the_extra_is_missing_the_log_says_what_to_install(scene: Place):
    """Once, and everything is mirrored as without an endpoint."""
    run = partial(imported, scene.folder, "sync", "--strict", env=NOTHING, blocked=True)
    found, said = await to_thread.run_sync(run)
    assert found == set()
    assert said.count("nothing is traced") == 1
    assert "pip install '.[tracing]'" in said
    assert len(scene.mirrored) == 2


async def test_with_an_endpoint_it_is_imported(scene: Place):
    """So that the tests above can fail."""
    async with collecting() as collector:
        run = partial(imported, scene.folder, "sync", "--strict", env=collector.environment())
        found, said = await to_thread.run_sync(run)
    assert {"opentelemetry.sdk.trace", "artifact_sync.observe.spans"} & found == {"opentelemetry.sdk.trace"}
    assert said == ""
    assert collector.spans()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "begin with OTEL_"),
    ],
)
async def test_what_cannot_be_done_is_said_once(scene: Place, variable: str, value: str, told: str):
    """Another protocol, a value that is none: a line with what to do, and everything is mirrored."""
    ran = await scene.run("sync", "--strict", env=NOTHING | {variable: value})
    assert ran.code == 0
    assert ran.err.count("nothing is traced") == 1
    assert told in ran.err
