"""Figures as Prometheus' metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from artifact_sync.ports import HookState
from artifact_sync.ports.remote import TokenInfo
from artifact_sync.ports.traffic import TrafficFigures
from artifact_sync.web.metrics.families import FAMILIES, PREFIX, Kind
from artifact_sync.web.metrics.figures import WITHIN, Figures, Sources
from artifact_sync.web.metrics.happenings import OTHER

__all__ = ["StandingCollector"]

_STATUSES = frozenset({"none", *(str(status.value) for status in HTTPStatus)})

Value = float | int | datetime | None
#: Of one metric: by the values of its labels, or alone.
Values = Mapping[tuple[str, ...], Value]


class StandingCollector(Collector):
    """Tells the last figures, and what costs nothing to read."""

    def __init__(self, sources: Sources, *, failures: Callable[[], int]) -> None:
        self._sources = sources
        self._failures = failures
        self.figures: Figures | None = None
        #: By what each token is for.
        self.tokens: Mapping[str, TokenInfo] = {}

    def collect(self) -> Iterator[Metric]:
        """Every metric of this collector, also those without a value at present."""
        traffic = self._sources.traffic.traffic() if self._sources.traffic else None
        told: dict[str, Values] = {
            **_of_state(self.figures),
            **_of_store(self.figures, self._sources.reserve()),
            **_of_traffic(traffic),
            "clock_skew_seconds": _alone(self._sources.skew().total_seconds()),
            "token_expiry_timestamp_seconds": {(purpose,): token.expires_at for purpose, token in self.tokens.items()},
            "figures_failures_total": _alone(self._failures()),
        }
        for name, values in told.items():
            yield _metric(name, values)


def _metric(name: str, values: Values) -> Metric:
    family = FAMILIES[f"{PREFIX}{name}"]
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    made = kind(family.name, family.meaning, labels=family.labels)
    for labels, value in values.items():
        if value is not None:
            made.add_metric(labels, value.timestamp() if isinstance(value, datetime) else float(value))
    return made


def _alone(value: Value) -> Values:
    return {(): value}


def _by(values: Iterable[tuple[str, Value]]) -> Values:
    return {(label,): value for label, value in values}


def _of_state(figures: Figures | None) -> dict[str, Values]:
    lags = figures.lags if figures else ()
    backlog = figures.backlog if figures else {}
    standing = figures.standing if figures else None
    at_risk = figures.at_risk if figures else ()
    hooks = standing.hooks if standing else None
    return {
        "figures_timestamp_seconds": _alone(figures.at if figures else None),
        "rule_lag_seconds": _by((each.rule, each.lag.total_seconds()) for each in lags),
        "rule_waiting_transfers": _by((each.rule, each.waiting) for each in lags),
        "backlog_transfers": _by((state.value, each.count) for state, each in backlog.items()),
        "backlog_bytes": _by((state.value, each.bytes) for state, each in backlog.items()),
        "artifacts_at_risk": _by(zip(WITHIN, at_risk, strict=False)),
        "artifacts_overdue": _alone(figures.overdue if figures else None),
        "keeps_due": _alone(standing.keeps_due if standing else None),
        "projects": _alone(standing.projects if standing else None),
        "troubles": _alone(standing.troubles if standing else None),
        "last_poll_timestamp_seconds": _alone(standing.polled_at if standing else None),
        "hook_queue": {} if hooks is None else _by((state.value, hooks.get(state, 0)) for state in HookState),
    }


def _of_store(figures: Figures | None, reserve: int) -> dict[str, Values]:
    standing = figures.standing if figures else None
    space = figures.space if figures else None

    def counted(name: str) -> Values:
        return _alone(standing.counts.get(name, 0) if standing else None)

    return {
        "store_free_bytes": _alone(space.free if space else None),
        "store_used_bytes": _alone(space.used if space else None),
        "store_size_bytes": _alone(space.size if space else None),
        "store_reserve_bytes": _alone(reserve),
        "scrubbed_publications_total": counted("scrub.publications"),
        "scrubbed_bytes_total": counted("scrub.bytes"),
        "damage_found_total": counted("damage.found"),
        "damage_mended_total": counted("damage.mended"),
        "oldest_verification_timestamp_seconds": _alone(standing.oldest_verified if standing else None),
        "trash_publications": _alone(standing.in_trash if standing else None),
        "trash_bytes": _alone(standing.trash_bytes if standing else None),
    }


def _of_traffic(traffic: TrafficFigures | None) -> dict[str, Values]:
    answers: dict[tuple[str, ...], float] = {}
    for (priority, status), number in (traffic.answers if traffic else {}).items():
        labels = (priority.name.lower(), status if status in _STATUSES else OTHER)
        answers[labels] = answers.get(labels, 0) + number
    refused = traffic.refused if traffic else {}
    return {
        "requests_total": answers,
        "received_bytes_total": _alone(traffic.received if traffic else None),
        "request_budget_per_minute": _alone(traffic.per_minute if traffic else None),
        "request_budget_ratio": _alone(traffic.factor if traffic else None),
        "request_budget_remaining": _alone(traffic.remaining if traffic else None),
        "requests_waiting": _alone(traffic.waiting if traffic else None),
        "request_pause_seconds": _alone(traffic.pause if traffic else None),
        "gitlab_quota_limit_requests": _alone(traffic.quota_limit if traffic else None),
        "gitlab_quota_remaining_requests": _alone(traffic.quota_remaining if traffic else None),
        "gitlab_quota_reset_timestamp_seconds": _alone(traffic.quota_reset if traffic else None),
        "credential_refused": _by((purpose, int(is_so)) for purpose, is_so in refused.items()),
    }
