"""What happens, counted."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from artifact_sync import __version__
from artifact_sync.core import events
from artifact_sync.core.after import HookKind
from artifact_sync.core.model import KeepResult
from artifact_sync.errors import Outcome
from artifact_sync.web.metrics.families import FAMILIES, PREFIX

__all__ = ["OTHER", "Happenings"]

#: In place of a label's value that is not among those that there are.
OTHER = "other"
_DELIVERIES = ("accepted", "duplicate", "ignored", "refused", "overflow")
_HOOKS = ("done", "failed", "skipped")


class Happenings:
    """Hears events, and counts them in the registry."""

    def __init__(
        self, registry: CollectorRegistry, rules: Iterable[str], *, now: Callable[[], float] = time.time
    ) -> None:
        """``now``: Unix time."""
        # When a series was made is told by no other exporter in the text format, and doubles their number.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it without types
        self._registry = registry
        self._now = now
        self._rules = frozenset(rules)
        self._configured: Callable[[], Collection[str]] = lambda: self._rules
        self._gauge("build_info").labels(__version__, platform.python_version()).set(1)
        self._seen = self._counter("jobs_seen")
        self._selected = self._counter("jobs_selected", sorted(self._rules))
        self._poll_failures = self._counter("poll_failures")
        self._transfers = self._counter("transfers", [_word(outcome) for outcome in Outcome])
        self._published_bytes = self._counter("published_bytes")
        self._durations = self._histogram("transfer_duration_seconds")
        self._keeps = self._counter("keeps", KeepResult)
        self._hooks = self._counter("hooks")
        for kind in HookKind:
            for result in _HOOKS:
                self._hooks.labels(kind.value, result)
        self._latest_failures = self._counter("latest_failures")
        self._audited = self._counter("audited_projects")
        self._missing = self._counter("audit_missing_jobs")
        self._deliveries = self._counter("webhook_deliveries", _DELIVERIES)
        self._pruned = self._counter("pruned_publications")
        self._pruned_bytes = self._counter("pruned_bytes")
        self._restored = self._counter("restored_publications")
        self._refused = self._counter("prunes_refused")
        self._freed = self._counter("trash_freed_bytes")
        self._last = self._gauge("last_publication_timestamp_seconds")
        #: For whoever measures it.
        self.loop_delay = self._histogram("event_loop_delay_seconds")

    def follow(self, configured: Callable[[], Collection[str]]) -> None:
        """From now on these are the rules: they may become others."""
        self._configured = configured

    def hear(self, event: events.Event) -> None:  # noqa: C901, PLR0912 - one case for each event
        """Something happened."""
        match event:
            case events.Discovered():
                self._seen.inc(event.jobs)
            case events.Selected():
                for rule in event.rules:
                    self._selected.labels(self._rule(rule)).inc()
            case events.ProjectFailed():
                self._poll_failures.inc()
            case events.TransferEnded():
                self._transfers.labels(_word(event.outcome)).inc()
                if event.outcome is Outcome.PUBLISHED:
                    self._published_bytes.inc(event.size)
                    self._durations.observe(event.seconds)
                    self._last.set(self._now())
            case events.Kept():
                self._keeps.labels(event.result.value).inc()
            case events.HookEnded():
                self._hooks.labels(event.kind.value, _among(event.result, _HOOKS)).inc()
            case events.LatestFailed():
                self._latest_failures.inc()
            case events.Audited():
                self._audited.inc()
                self._missing.inc(event.missing)
            case events.WebhookReceived():
                self._deliveries.labels(_among(event.result, _DELIVERIES)).inc()
            case events.PublicationPruned():
                self._pruned.inc()
                self._pruned_bytes.inc(event.size)
            case events.PublicationRestored():
                self._restored.inc()
            case events.PruneRefused():
                self._refused.inc()
            case events.TrashEmptied():
                self._freed.inc(event.freed)

    def _rule(self, name: str) -> str:
        if name not in self._rules:
            self._rules = frozenset(self._configured())
        return _among(name, self._rules)

    def _counter(self, name: str, values: Iterable[str] = ()) -> Counter:
        """Of the table; at 0 for these values of its label, so that a first increase is seen as one."""
        family = FAMILIES[f"{PREFIX}{name}_total"]
        made = Counter(family.name, family.meaning, family.labels, registry=self._registry)
        for value in values:
            made.labels(str(value))
        return made

    def _gauge(self, name: str) -> Gauge:
        family = FAMILIES[f"{PREFIX}{name}"]
        return Gauge(family.name, family.meaning, family.labels, registry=self._registry)

    def _histogram(self, name: str) -> Histogram:
        family = FAMILIES[f"{PREFIX}{name}"]
        return Histogram(family.name, family.meaning, family.labels, registry=self._registry, buckets=family.buckets)


def _word(outcome: Outcome) -> str:
    """Label values have no spaces here, so that they are typed without thinking."""
    return outcome.value.replace(" ", "_")


def _among(value: str, known: Collection[str]) -> str:
    return value if value in known else OTHER
