"""The metrics that there are, and everything that is written about them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import yaml

from artifact_sync.core import events
from artifact_sync.core.model import KeepResult
from artifact_sync.errors import Outcome
from artifact_sync.gitlab import ServerClock
from artifact_sync.ports import HookState, TransferState
from artifact_sync.web.metrics import Meter, Sources
from artifact_sync.web.metrics.families import FAMILIES, PREFIX, Kind
from artifact_sync.web.metrics.figures import WITHIN
from artifact_sync.web.metrics.standing import StandingCollector

DOCS = Path(__file__).parents[3] / "docs"
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
ALERTS = [rule for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
#: What Prometheus and Grafana add to every series.
TARGET = {"instance", "job", "le"}
PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}


def unread() -> Meter:
    """A meter whose figures nobody has read."""
    meter = Meter(["releases"])
    sources = Sources(
        overview=None,  # type: ignore[arg-type]  # nothing is read of it
        disk=None,  # type: ignore[arg-type]  # nothing is read of it
        clock=ServerClock(),
        rules=lambda: ["releases"],
        reserve=lambda: 0,
        skew=timedelta,
    )
    meter.registry.register(StandingCollector(sources, failures=lambda: 0))
    return meter


def told() -> dict[str, tuple[str, str]]:
    """Of every metric in the registry its name as it is read, with type and meaning."""
    found = {}
    for family in unread().registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = (family.type, family.documentation)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression in the alerts and on the dashboard, and where it stands."""
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def series() -> dict[str, set[str]]:
    """The labels of everything that can stand in an expression."""
    known: dict[str, set[str]] = {name: set() for name in PROCESS | {"up"}}
    for family in FAMILIES.values():
        endings = ("_bucket", "_sum", "_count") if family.kind is Kind.HISTOGRAM else ("",)
        known |= {family.name + ending: set(family.labels) for ending in endings}
    return known


def words(kind: type[Enum]) -> set[str]:
    """An enumeration's values as labels have them."""
    return {str(each.value).replace(" ", "_") for each in kind}


#: What a label of these metrics can be.
VALUES = {
    "artifact_sync_backlog_transfers": {"state": words(TransferState)},
    "artifact_sync_backlog_bytes": {"state": words(TransferState)},
    "artifact_sync_hook_queue": {"state": words(HookState)},
    "artifact_sync_artifacts_at_risk": {"within": set(WITHIN)},
    "artifact_sync_transfers_total": {"outcome": words(Outcome)},
    "artifact_sync_keeps_total": {"result": words(KeepResult)},
    "artifact_sync_hooks_total": {"result": {"done", "failed", "skipped"}},
    "artifact_sync_webhook_deliveries_total": {
        "result": {"accepted", "duplicate", "ignored", "refused", "overflow", "other"}
    },
}


def test_the_registry_has_what_the_table_has_and_nothing_else():
    """Also before anything was read or has happened, with the same types and words."""
    ours = {name: found for name, found in told().items() if name.startswith(PREFIX)}
    assert ours == {family.name: (family.kind.value, family.meaning) for family in FAMILIES.values()}
    assert set(told()) - set(ours) == PROCESS


@pytest.mark.parametrize("family", list(FAMILIES.values()), ids=lambda family: family.name)
def test_names_follow_the_conventions(family):
    """https://prometheus.io/docs/practices/naming/: counters end in total, units are base units in plural."""
    assert re.fullmatch(r"artifact_sync_[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") is (family.kind is Kind.COUNTER)
    assert not re.search(r"(milliseconds|minutes|hours|days|kilobytes|percent|_ms)\b", family.name)
    assert family.meaning.endswith(".")
    assert not set(family.labels) & {"project", "job", "ref", "path", "dest"}


def test_the_documentation_has_every_metric_as_it_is():
    """Name, type, labels and meaning; and no other one."""
    text = (DOCS / "metrics.md").read_text()
    rows = re.findall(r"^\| `(artifact_sync_\w+)` \| (\w+) \| ([^|]*) \| (.+) \|$", text, re.MULTILINE)
    documented = {name: (kind, re.findall(r"`(\w+)`", labels), meaning) for name, kind, labels, meaning in rows}
    assert len(documented) == len(rows)
    assert documented == {
        family.name: (family.kind.value, list(family.labels), family.meaning) for family in FAMILIES.values()
    }
    assert {label for family in FAMILIES.values() for label in family.labels} - {"version", "python"} <= set(
        re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    )


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=lambda value: value[:40])
def test_alerts_and_dashboard_use_what_exists(where, expression):
    """Every metric, every label of it, and where its values are known every value."""
    known = series()
    used = re.findall(r"\b((?:artifact_sync|process)_\w+|up)\b(?:\{([^}]*)\})?", expression)
    assert used
    for name, matchers in used:
        assert name in known, where
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert label in known[name] | TARGET, where
            if label in VALUES.get(name, {}):
                assert set(values.split("|")) <= VALUES[name][label], where
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(labels.replace(" ", "").split(",")) <= TARGET.union(*(known[name] for name, _ in used)), where


def test_what_can_be_lost_raises_an_alert():
    """Each of what an administrator must hear of is watched by some rule."""
    watched = " ".join(alert["expr"] for alert in ALERTS)
    for name in (
        'artifacts_at_risk{within="6h"}',
        "artifacts_overdue",
        'transfers_total{outcome="gone"}',
        'keeps_total{result="expired"}',
        'backlog_transfers{state="lost"}',
        "rule_lag_seconds",
        "credential_refused",
        "token_expiry_timestamp_seconds",
        "store_free_bytes < artifact_sync_store_reserve_bytes",
        "damage_found_total",
        "last_poll_timestamp_seconds",
        "clock_skew_seconds) > 30",
        'hooks_total{result="failed"}',
        "event_loop_delay_seconds_bucket",
    ):
        assert f"artifact_sync_{name}" in watched
    assert all(alert["labels"]["severity"] in {"page", "ticket"} for alert in ALERTS)
    assert all(alert["annotations"]["summary"] and alert["annotations"]["description"] for alert in ALERTS)
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)


def test_the_dashboard_is_one_grid():
    """Panels have ids of their own, lie side by side, and each has a title."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["title"]


def test_promtool_takes_the_alerts():
    """Prometheus' own parser, where it is installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        [promtool, "check", "rules", DOCS / "alerts.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_every_event_that_is_counted_is_counted_where_it_belongs():
    """A happening raises its metric by what it says, and no other one but those that go with it."""
    meter = Meter(["releases"])
    job: dict[str, Any] = {"project": "group/app", "job_id": 7, "job": "package", "ref": "v1.0", "dest": "d"}

    def value(name: str, **labels: str) -> float | None:
        return meter.registry.get_sample_value(f"artifact_sync_{name}", labels)

    for event in (
        events.Discovered(project_id=1, path="p", jobs=100, selected=3),
        events.Selected(
            project="p",
            job_id=1,
            job="j",
            ref="r",
            rules=("releases", "gone"),
            dest="d",
            size=1,
            deadline=None,
            late=False,
        ),
        events.ProjectFailed(project="p", error="e", hint=""),
        events.TransferEnded(transfer_id=1, **job, outcome=Outcome.PUBLISHED, size=2048, seconds=2.0),
        events.TransferEnded(transfer_id=2, **job, outcome=Outcome.NOT_AN_ARCHIVE),
        events.Kept(project="p", job_id=1, job="j", rule="r", expire_at=None, result=KeepResult.EXPIRED),
        events.Audited(project_id=1, path="p", jobs=10, selected=3, missing=2),
        events.PublicationPruned(**job, size=5, why="w"),
        events.PublicationRestored(**job, size=5),
        events.PruneRefused(removable=8, publications=10, most=1, hint="look"),
        events.TrashEmptied(publications=2, freed=2048),
        events.LatestFailed(link="l", dest="d", error="e", hint="h"),
        events.WebhookReceived(result="duplicate"),
        events.WebhookReceived(result="nonsense"),
    ):
        meter.hear(event)
    assert value("jobs_seen_total") == 100
    assert value("jobs_selected_total", rule="releases") == value("jobs_selected_total", rule="other") == 1
    assert value("poll_failures_total") == 1
    assert value("transfers_total", outcome="published") == value("transfers_total", outcome="not_an_archive") == 1
    assert value("transfers_total", outcome="corrupt") == 0
    assert value("published_bytes_total") == 2048
    assert value("transfer_duration_seconds_sum") == 2.0
    assert value("transfer_duration_seconds_count") == 1
    assert value("last_publication_timestamp_seconds")
    assert (value("keeps_total", result="expired"), value("keeps_total", result="kept")) == (1, 0)
    assert (value("audited_projects_total"), value("audit_missing_jobs_total")) == (1, 2)
    assert (value("pruned_publications_total"), value("pruned_bytes_total")) == (1, 5)
    assert (value("restored_publications_total"), value("prunes_refused_total")) == (1, 1)
    assert (value("trash_freed_bytes_total"), value("latest_failures_total")) == (2048, 1)
    assert value("webhook_deliveries_total", result="duplicate") == 1
    assert value("webhook_deliveries_total", result="other") == 1


def test_labels_do_not_grow_with_what_is_mirrored():
    """1,000 projects with as many refs, jobs and hostile results make not one series more than one of them."""
    meter = Meter(["releases"])

    def happen(number: int) -> None:
        job: dict[str, Any] = {
            "project": f"g/p{number}",
            "job_id": number,
            "job": f"j{number}",
            "ref": f"r{number}",
            "dest": f"d{number}",
        }
        meter.hear(events.ProjectFound(project_id=number, path=job["project"]))
        meter.hear(events.Discovered(project_id=number, path=job["project"], jobs=1, selected=1))
        meter.hear(events.Selected(**job, rules=("releases", f"rule{number}"), size=1, deadline=None, late=False))
        meter.hear(events.TransferEnded(transfer_id=number, **job, outcome=Outcome.PUBLISHED, size=1))
        meter.hear(events.ProjectFailed(project=job["project"], error=f"e{number}", hint=""))
        meter.hear(events.WebhookReceived(result=f"result{number}"))

    def count() -> int:
        return sum(len(family.samples) for family in meter.registry.collect())

    happen(0)
    before = count()
    for number in range(1, 1000):
        happen(number)
    assert count() == before < 300
    assert meter.registry.get_sample_value("artifact_sync_jobs_seen_total") == 1000
