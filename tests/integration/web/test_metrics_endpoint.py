"""``/metrics`` of a daemon that has mirrored something."""

import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from artifact_sync.core.selectors import ProjectSelectors
from artifact_sync.errors import StoreError
from artifact_sync.simulator import TOKEN, SimToken
from artifact_sync.state.overview import SqliteOverview
from artifact_sync.store.disk_space import DiskSpace
from artifact_sync.web.metrics import Meter, Sources
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.web_harness import ended, request, served, status_of, told

READER = "reader-token-0123456789"
SCOPED = "scoped-token-0123456789"


@asynccontextmanager
async def metered(daemon, *readers, disk=None, heard=()):
    """It served with metrics."""
    meter = Meter(each.name for each in daemon.rules)
    for event in (*daemon.events, *heard):
        meter.hear(event)
    names = tuple(each.name for each in daemon.rules)
    sources = Sources(
        overview=SqliteOverview(daemon.state, lambda: names),
        disk=disk or DiskSpace(daemon.path),
        clock=daemon.clock,
        rules=lambda: names,
        reserve=lambda: 4096,
        traffic=daemon.remote,
        skew=lambda: timedelta(seconds=1.5),
    )
    async with meter.watching(sources), served(daemon, *readers, parts=(meter.part,)) as answering:
        yield answering


async def values(http, replica, **options) -> dict[str, float]:
    """Every sample, under its name with its labels."""
    async with http.get(f"{replica.url}/metrics", **options) as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def appears(http, replica, name: str) -> bool:
    """Whether it gets a value other than 0 within some seconds."""
    for _ in range(400):
        if (await values(http, replica)).get(name):
            return True
        await anyio.sleep(0.05)
    return False


async def test_a_pass_shows_in_the_figures(mirror, http, job, world):
    """What was selected, fetched and published, asked of GitLab, and is on the disk."""
    async with metered(mirror) as replica:
        found = await values(http, replica)
    (name,) = (each.name for each in mirror.rules)
    assert found[f"artifact_sync_rule_lag_seconds{{rule={name}}}"] == 0
    assert found[f"artifact_sync_jobs_selected_total{{rule={name}}}"] == 1
    assert found["artifact_sync_transfers_total{outcome=published}"] == 1
    assert found["artifact_sync_backlog_transfers{state=published}"] == 1
    assert found["artifact_sync_backlog_transfers{state=wanted}"] == 0
    published = (await mirror.transfer(job)).size
    assert found["artifact_sync_backlog_bytes{state=published}"] == published > 0
    assert found["artifact_sync_published_bytes_total"] == published
    assert found["artifact_sync_received_bytes_total"] >= published
    assert found["artifact_sync_artifacts_at_risk{within=24h}"] == found["artifact_sync_artifacts_overdue"] == 0
    assert found["artifact_sync_requests_total{code=200}{purpose=poll}"] > 0
    assert found["artifact_sync_request_budget_per_minute"] == 600_000
    assert 0 < found["artifact_sync_request_budget_remaining"] < 600_000
    assert found["artifact_sync_request_budget_ratio"] == 1
    assert found["artifact_sync_credential_refused{purpose=read}"] == 0
    assert found["artifact_sync_clock_skew_seconds"] == 1.5
    assert found["artifact_sync_store_reserve_bytes"] == 4096
    size = found["artifact_sync_store_size_bytes"]
    assert 0 < found["artifact_sync_store_free_bytes"] < size
    assert 0 < found["artifact_sync_store_used_bytes"] <= size
    assert found["artifact_sync_projects"] == 1
    assert found["artifact_sync_last_poll_timestamp_seconds"] > 0
    assert found["process_open_fds"] > 0
    assert sum(value for key, value in found.items() if key.startswith("artifact_sync_requests_total")) == sum(
        mirror.remote.requests.values()
    )


async def test_the_token_s_expiry_is_told_once_somebody_reads(mirror, http, world):
    """GitLab is asked about it no more often than every six hours."""
    world.add_token(SimToken(value=TOKEN, expires_at=datetime(2099, 5, 4, tzinfo=UTC)))
    async with metered(mirror) as replica:
        assert await appears(http, replica, "artifact_sync_token_expiry_timestamp_seconds{purpose=read}")
        name = "artifact_sync_token_expiry_timestamp_seconds{purpose=read}"
        assert (await values(http, replica))[name] == datetime(2099, 5, 4, tzinfo=UTC).timestamp()
        asked = mirror.remote.traffic().answers
        for _ in range(5):
            await values(http, replica)
        assert mirror.remote.traffic().answers == asked


async def test_the_heart_beats_while_it_is_served(mirror, http):
    """The histogram of the event loop's delay fills."""
    async with metered(mirror) as replica:
        assert await appears(http, replica, "artifact_sync_event_loop_delay_seconds_count")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 401),
        ({"PRIVATE-TOKEN": "wrong"}, 401),
        ({"PRIVATE-TOKEN": SCOPED}, 403),
        ({"Authorization": f"Bearer {SCOPED}"}, 403),
        ({"PRIVATE-TOKEN": READER}, 200),
        ({"Authorization": f"Bearer {READER}"}, 200),
    ],
)
async def test_only_who_may_see_every_project_reads_them(mirror, http, sent, status):
    """A token for some projects is told nothing, not even how many there are."""
    scoped = told(SCOPED, projects=ProjectSelectors.parse(["acme/**"]))
    async with (
        metered(mirror, told(READER), scoped) as replica,
        http.get(f"{replica.url}/metrics", headers=sent) as answer,
    ):
        assert answer.status == status
        assert ("artifact_sync_projects" in await answer.text()) is (status == 200)


async def test_without_tokens_only_this_machine_s_own_names_read_them(mirror):
    """Scripts of a page whose name leads here (DNS rebinding) get nothing."""
    async with metered(mirror) as replica:
        assert status_of(await replica.raw(request("/metrics"))) == 200
        assert status_of(await replica.raw(request("/metrics", host="evil.example.com"))) == 403
        assert status_of(await replica.raw(request("/metrics", method="HEAD"))) == 200
        assert status_of(await replica.raw(request("/metrics", method="POST"))) == 405


async def test_both_formats_are_told_to_who_asks_for_them(mirror, http):
    """The media type says which; every line can be parsed, and no series is told twice."""
    async with metered(mirror) as replica:
        for accept, kind, parse in (
            ("", "text/plain", text_string_to_metric_families),
            ("application/openmetrics-text; version=abc", "text/plain", text_string_to_metric_families),
            ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", openmetrics),
        ):
            async with http.get(f"{replica.url}/metrics", headers={"Accept": accept}) as answer:
                assert answer.content_type == kind
                assert answer.headers["Cache-Control"] == "no-store"
                text = await answer.text()
            names = [family.name for family in parse(text)]
            assert len(set(names)) == len(names) > 50
            lines = [line.partition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
            assert len(set(lines)) == len(lines)
            assert "_created" not in text


async def test_nothing_that_a_project_chooses_becomes_a_label(world, tmp_path, http):
    """1,000 projects, each with a job: as many series as one of them makes, and none of their names in the answer."""
    counts = []
    for number in (1, 1000):
        for index in range(number):
            project = world.add_project(f"acme/p{number}-{index}")
            if index % 50 == 0:
                ended(world, project, f"job-{number}-{index}", ref=f"ref-{index}")
        async with rig(world, tmp_path / str(number), rule("acme/**")) as daemon:
            await daemon.sync()
            async with metered(daemon) as replica, http.get(f"{replica.url}/metrics") as answer:
                text = await answer.text()
        found = [line for line in text.splitlines() if line and not line.startswith("#")]
        counts.append(len({line.rpartition(" ")[0] for line in found}))
        assert not re.search(r"acme|p\d+-\d|job-\d|ref-\d|localhost|127\.0", text)
        assert f"artifact_sync_projects {float(number + (number > 1))}" in text
    assert counts[0] == counts[1] < 300


async def test_figures_that_cannot_be_read_leave_the_rest(mirror, http):
    """Counters are told, the failure is counted, and a disk that does not answer takes nothing else along."""

    class Gone:
        async def space(self):
            raise StoreError("away", hint="mount it")

    async with metered(mirror, disk=Gone()) as replica:
        found = await values(http, replica)
        assert "artifact_sync_store_free_bytes" not in found
        assert found["artifact_sync_projects"] == 1
    async with metered(mirror) as replica:
        await mirror.state.write(lambda database: database.execute("UPDATE transfer SET transfer = '{'"))
        found = await values(http, replica)
        assert found["artifact_sync_figures_failures_total"] == 1
        assert found["artifact_sync_transfers_total{outcome=published}"] == 1
        assert "artifact_sync_projects" not in found
