"""Rules: which jobs matter, and what of them. Selection is ``explain``, and nothing else selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from artifact_sync.core.after import After
from artifact_sync.core.conditions import UNSETTLED, Facts, Verdict, When
from artifact_sync.core.model import Candidate
from artifact_sync.core.newest import LatestBy
from artifact_sync.core.paths import Template
from artifact_sync.core.retention import Retain
from artifact_sync.core.selectors import ProjectSelectors
from artifact_sync.core.unpacking import Unpack

__all__ = [
    "After",
    "Decision",
    "Fetch",
    "Keep",
    "KeepPolicy",
    "ProjectSelectors",
    "Publish",
    "Retain",
    "Rule",
    "Verdict",
    "When",
    "explain",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What to bring over of a selected job."""

    archive: bool = True
    #: Exact paths inside the archive and patterns over them, as ``core.file_patterns`` reads them.
    files: tuple[str, ...] = ()
    #: File types as GitLab lists them among a job's artifacts.
    reports: tuple[str, ...] = ()
    trace: bool = False
    #: Bytes; larger transfers are refused.
    max_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Where a publication goes."""

    path: Template = field(default_factory=lambda: Template.parse("{project}/{ref}/{job}/{job_id}"))
    unpack: Unpack = Unpack.NO
    #: A link to the newest publication, and what newest means.
    latest: Template | None = None
    latest_by: LatestBy = LatestBy.FINISHED


class KeepPolicy(StrEnum):
    """When GitLab is asked to keep a job's artifacts."""

    NEVER = "never"
    BEFORE_EXPIRY = "before_expiry"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """When GitLab is asked to keep a job's artifacts, and how long before their expiry."""

    policy: KeepPolicy = KeepPolicy.BEFORE_EXPIRY
    lead: timedelta = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. A job may be taken by several."""

    name: str
    projects: ProjectSelectors
    when: When = field(default_factory=When)
    fetch: Fetch = Fetch()
    publish: Publish = field(default_factory=Publish)
    keep: Keep = Keep()
    retain: Retain = field(default_factory=Retain)
    priority: int = 0
    after: After = field(default_factory=After)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A rule's answer to a job, condition by condition."""

    rule: Rule
    verdicts: tuple[Verdict, ...]

    @property
    def selected(self) -> bool:
        """Whether the rule takes the job: every condition holds."""
        return all(v.holds for v in self.verdicts)

    @property
    def undecided(self) -> bool:
        """Whether it depends on what is not known yet."""
        return not self.selected and all(v.holds is not False for v in self.verdicts)

    @property
    def hopeful(self) -> bool:
        """Whether the rule may still take the job when it ends: what cannot change about it holds."""
        return all(v.holds is not False for v in self.verdicts if v.condition not in UNSETTLED)


def explain(candidate: Candidate, rules: Sequence[Rule], now: datetime) -> tuple[Decision, ...]:
    """Every rule's decision on the job, each with all of its conditions."""
    facts = Facts(candidate, now)
    return tuple(Decision(rule=rule, verdicts=facts.verdicts(rule.projects, rule.when)) for rule in rules)
