"""What a pass will ask of GitLab, and how long the request budget makes that take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from artifact_sync.core.rules import Rule
from artifact_sync.core.ways import requests_for
from artifact_sync.engine import Planned, Survey

__all__ = ["Estimate", "Forecast"]

_MINUTE = 60.0
#: The call, and reading the job again.
_REQUESTS_PER_KEEP = 2
#: Pipelines that moved, and child pipelines that did.
_REQUESTS_PER_PROJECT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Requests by purpose, without retries and redirects, and the seconds that the budget alone makes them take."""

    #: Finding the projects.
    projects: int
    #: Pages of jobs, history included.
    pages: int
    #: Pipelines, and what moved among them.
    pipelines: int
    #: For archives, files of them, and logs.
    downloads: int
    keeps: int
    seconds: float
    #: What of all this is history: pages and downloads.
    history: int
    history_seconds: float

    @property
    def requests(self) -> int:
        """All of them."""
        return self.projects + self.pages + self.pipelines + self.downloads + self.keeps


@dataclass(slots=True, kw_only=True)
class Estimate:
    """Gathers what a plan finds."""

    survey: Survey = field(default_factory=Survey)
    found: int = 0
    downloads: int = 0
    history_downloads: int = 0
    #: When each keep falls due.
    keeps: list[datetime] = field(default_factory=list)

    def add(self, plan: Planned) -> None:
        """Count a transfer of which something is missing."""
        requests = requests_for(plan.missing)
        self.downloads += requests
        self.history_downloads += requests if plan.transfer.backfill else 0
        self.keeps += [keep.due_at for keep in plan.keeps]

    def forecast(
        self, rules: Sequence[Rule], *, watched: int, now: datetime, per_minute: float, keep_share: float
    ) -> Forecast:
        """The whole. ``watched``: pipelines that a pass looks at again. Keeps count that fall due before it ends."""
        projects = len({name for rule in rules for name in _named(rule)})
        pages = self.survey.pages + self.survey.history_pages
        pipelines = watched + _REQUESTS_PER_PROJECT * self.found
        general = per_minute * (1 - keep_share) / _MINUTE
        seconds = (projects + pages + pipelines + self.downloads) / general
        due = sum(at <= now + timedelta(seconds=seconds) for at in self.keeps)
        # Keeps have a share of the rate that nothing else may use, beside which they take from the rest.
        seconds = max(
            seconds, (projects + pages + pipelines + self.downloads + _REQUESTS_PER_KEEP * due) / (per_minute / _MINUTE)
        )
        history = self.survey.history_pages + self.history_downloads
        return Forecast(
            projects=projects,
            pages=pages,
            pipelines=pipelines,
            downloads=self.downloads,
            keeps=_REQUESTS_PER_KEEP * due,
            seconds=round(seconds, 1),
            history=history,
            history_seconds=round(history / general, 1),
        )


def _named(rule: Rule) -> list[str | int]:
    """What GitLab is asked for to find the rule's projects; a group takes a request for each hundred of its projects."""
    return [*rule.projects.ids, *rule.projects.exact_paths, *rule.projects.group_prefixes]
