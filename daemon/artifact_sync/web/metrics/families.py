"""Every metric that there is: the one table that counters, figures and the documentation agree with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["FAMILIES", "PREFIX", "Family", "Kind"]

PREFIX = "artifact_sync_"


class Kind(StrEnum):
    """Prometheus' types (https://prometheus.io/docs/concepts/metric_types/)."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric. ``name`` is as it is read, with the prefix; a counter's ends in ``_total``."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram.
    buckets: tuple[float, ...] = ()


_SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
_DELAYS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def _counter(name: str, meaning: str, *labels: str) -> Family:
    return Family(name=f"{PREFIX}{name}_total", kind=Kind.COUNTER, meaning=meaning, labels=labels)


def _gauge(name: str, meaning: str, *labels: str) -> Family:
    return Family(name=f"{PREFIX}{name}", kind=Kind.GAUGE, meaning=meaning, labels=labels)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...]) -> Family:
    return Family(name=f"{PREFIX}{name}", kind=Kind.HISTOGRAM, meaning=meaning, buckets=buckets)


_ALL = (
    _gauge("build_info", "Always 1; the labels say what runs.", "version", "python"),
    # How far the mirror is.
    _gauge(
        "rule_lag_seconds",
        "From the end of the newest mirrored job to that of the newest job that the rule selected.",
        "rule",
    ),
    _gauge("rule_waiting_transfers", "Transfers of the rule that are wanted and not mirrored yet.", "rule"),
    _gauge("backlog_transfers", "Transfers in each state.", "state"),
    _gauge("backlog_bytes", "Bytes of the transfers in each state, as far as GitLab announced them.", "state"),
    _gauge(
        "artifacts_at_risk",
        "Transfers that are not mirrored and whose artifacts expire within 1h, 6h or 24h, the expired ones included.",
        "within",
    ),
    _gauge("artifacts_overdue", "Transfers that are not mirrored although GitLab's expiry has passed."),
    _gauge("keeps_due", "Calls to keep that are scheduled."),
    _gauge("projects", "Projects that are followed."),
    _gauge("troubles", "Projects and rules' sources that cannot be looked at at present."),
    _gauge("last_poll_timestamp_seconds", "Unix time of the last successful poll of any project."),
    _gauge("last_publication_timestamp_seconds", "Unix time of the last publication since the start."),
    # What happens.
    _counter("jobs_seen", "Jobs that discovery looked at, each time it did."),
    _counter("jobs_selected", "Jobs that the rule selected, each once.", "rule"),
    _counter("poll_failures", "Polls of single projects that failed."),
    _counter("transfers", "Attempts at a transfer that ended, by how.", "outcome"),
    _histogram("transfer_duration_seconds", "From the start of a successful attempt to its publication.", _SECONDS),
    _counter("published_bytes", "Bytes that were published."),
    _counter("received_bytes", "Bytes of artifacts that came from GitLab or its object storage."),
    _counter("keeps", "Calls to keep, by what became of them.", "result"),
    _counter("hooks", "Attempts at what runs after a publication, by how they ended.", "kind", "result"),
    _gauge("hook_queue", "Hooks in each state.", "state"),
    _counter("latest_failures", "Links to the newest publication that could not be moved."),
    _counter("audited_projects", "Projects that an audit listed completely."),
    _counter("audit_missing_jobs", "Selected jobs that discovery had missed and an audit found."),
    _counter("webhook_deliveries", "Webhooks that were delivered here, by what became of them.", "result"),
    # GitLab.
    _counter(
        "requests",
        "Requests to GitLab by purpose and HTTP status; `none`: no answer came, `other`: no status of HTTP's.",
        "purpose",
        "code",
    ),
    _gauge("request_budget_per_minute", "Requests that the configuration allows in a minute."),
    _gauge("request_budget_ratio", "The part of the budget that is asked for at present; below 1 after a 429."),
    _gauge("request_budget_remaining", "Requests that may still go out in the present minute."),
    _gauge("requests_waiting", "Requests that wait for their turn."),
    _gauge("request_pause_seconds", "Seconds until any request may go out, because GitLab's quota is used up."),
    _gauge("gitlab_quota_limit_requests", "GitLab's own quota in a window, as it said last."),
    _gauge("gitlab_quota_remaining_requests", "What GitLab's quota had left, as it said last."),
    _gauge("gitlab_quota_reset_timestamp_seconds", "Unix time when GitLab's next window begins, as it said last."),
    _gauge("credential_refused", "1 where GitLab refused the token, by what it is for.", "purpose"),
    _gauge("token_expiry_timestamp_seconds", "Unix time when the token expires, where GitLab tells.", "purpose"),
    _gauge("clock_skew_seconds", "How far GitLab's clock is ahead of this machine's."),
    # The store.
    _gauge("store_free_bytes", "Bytes free on the store's disk."),
    _gauge("store_used_bytes", "Bytes in use on the store's disk, by whatever."),
    _gauge("store_size_bytes", "Bytes of the store's disk."),
    _gauge("store_reserve_bytes", "Below this much free space no download begins (`store.min_free`)."),
    _counter("scrubbed_publications", "Publications that were read again in the background, since the state was made."),
    _counter("scrubbed_bytes", "Bytes of them."),
    _counter("damage_found", "Damaged publications that were found, since the state was made."),
    _counter("damage_mended", "Damaged publications that were mended from good copies, since the state was made."),
    _gauge(
        "oldest_verification_timestamp_seconds",
        "Unix time since which some publication was not read again, nor published.",
    ),
    _counter("pruned_publications", "Publications that retention moved into the trash."),
    _counter("pruned_bytes", "Bytes of them."),
    _counter("restored_publications", "Publications that came back from the trash."),
    _counter("prunes_refused", "Prunes that would have removed more than one prune may."),
    _counter("trash_freed_bytes", "Bytes that emptying the trash freed."),
    _gauge("trash_publications", "Publications in the trash."),
    _gauge("trash_bytes", "Bytes of them."),
    # This process.
    _histogram("event_loop_delay_seconds", "How much later than asked for the event loop wakes a sleeper.", _DELAYS),
    _gauge("figures_timestamp_seconds", "Unix time when the figures of state and store were read."),
    _counter("figures_failures", "Readings of state and store that failed."),
)

#: By name.
FAMILIES: Mapping[str, Family] = MappingProxyType({family.name: family for family in _ALL})
