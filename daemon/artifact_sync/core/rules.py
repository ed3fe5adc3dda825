"""Rules: which jobs matter, and what of them. Selection is ``explain``, and nothing else selects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from artifact_sync.core.model import Candidate, Origin, Project, RefType
from artifact_sync.core.paths import Template
from artifact_sync.core.patterns import ANY, Pattern, PatternList
from artifact_sync.core.semver import SemverRange, Version

__all__ = [
    "Decision",
    "Fetch",
    "Keep",
    "KeepPolicy",
    "ProjectSelectors",
    "Publish",
    "Rule",
    "Verdict",
    "When",
    "explain",
]

_CHILD_SOURCE = "parent_pipeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSelectors:
    """Projects by numeric id, path, or glob over paths (``**`` crosses groups); ``!`` excludes."""

    ids: frozenset[int] = frozenset()
    excluded_ids: frozenset[int] = frozenset()
    paths: PatternList = ANY

    @classmethod
    def parse(cls, selectors: Iterable[str | int]) -> ProjectSelectors:
        """From the list as written. Raises PatternError."""
        written = tuple(selectors)
        return cls(
            ids=frozenset(s for s in written if isinstance(s, int)),
            paths=PatternList.parse([s for s in written if isinstance(s, str)], separator=True),
        )

    def __str__(self) -> str:
        shown = [str(i) for i in sorted(self.ids)]
        if self.paths.wanted or self.paths.excluded:
            shown.append(str(self.paths))
        return " ".join(shown)

    @property
    def exact_paths(self) -> tuple[str, ...]:
        """Paths without a wildcard: asked for one by one."""
        return tuple(p.text for p in self.paths.wanted if p.literal)

    @property
    def group_prefixes(self) -> tuple[str, ...]:
        """For each glob the group to list: the whole components before its first wildcard; empty for the instance."""
        return tuple(dict.fromkeys(_group_of(p) for p in self.paths.wanted if not p.literal))

    def judge(self, project: Project) -> tuple[bool, str]:
        """Whether the project is meant, and by which selector."""
        path = project.path_with_namespace
        for pattern in self.paths.excluded:
            if pattern.matches(path):
                return False, f"!{pattern.text}"
        if project.id in self.ids:
            return True, str(project.id)
        # With nothing but ids written, a path is not asked for by the absence of patterns.
        return self.paths.judge(path) if self.paths.wanted or not self.ids else (False, "no id or pattern matches")

    def matches(self, project: Project) -> bool:
        """Whether the project is meant."""
        return self.judge(project)[0]


def _group_of(pattern: Pattern) -> str:
    whole = []
    for component in pattern.text.split("/")[:-1]:
        # A regular expression begins with an empty component.
        if not component or any(c in component for c in "*?[]{}\\"):
            break
        whole.append(component)
    return "/".join(whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The conditions of a rule. All hold; an empty one asks nothing."""

    refs: PatternList = ANY
    ref_types: frozenset[RefType] = frozenset()
    semver: SemverRange | None = None
    jobs: PatternList = ANY
    stages: PatternList = ANY
    statuses: frozenset[str] = frozenset({"success"})
    sources: PatternList = ANY
    max_age: timedelta | None = None
    retried: bool = False
    child_pipelines: bool = True
    downstream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What to bring over of a selected job."""

    archive: bool = True
    #: Exact paths inside the archive.
    files: tuple[str, ...] = ()
    trace: bool = False
    #: Bytes; larger transfers are refused.
    max_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Where a publication goes."""

    path: Template = field(default_factory=lambda: Template.parse("{project}/{ref}/{job}/{job_id}"))


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
    when: When = When()
    fetch: Fetch = Fetch()
    publish: Publish = field(default_factory=Publish)
    keep: Keep = Keep()
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One condition judged: what was wanted, what was found. ``holds`` None: not known yet."""

    condition: str
    holds: bool | None
    wanted: str
    found: str


#: Conditions that change while a job runs; the others are the same from its creation on.
_UNSETTLED = frozenset({"status", "max_age", "retried"})


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
        return all(v.holds is not False for v in self.verdicts if v.condition not in _UNSETTLED)


def explain(candidate: Candidate, rules: Sequence[Rule], now: datetime) -> tuple[Decision, ...]:
    """Every rule's decision on the job, each with all of its conditions."""
    return tuple(Decision(rule=rule, verdicts=_verdicts(candidate, rule, now)) for rule in rules)


def _verdicts(candidate: Candidate, rule: Rule, now: datetime) -> tuple[Verdict, ...]:
    return (
        _project(candidate, rule),
        _ref(candidate, rule),
        _ref_type(candidate, rule),
        _semver(candidate, rule),
        _job(candidate, rule),
        _stage(candidate, rule),
        _status(candidate, rule),
        _source(candidate, rule),
        _max_age(candidate, rule, now),
        _retried(candidate, rule),
        _child_pipelines(candidate, rule),
        _downstream(candidate, rule),
    )


def _project(candidate: Candidate, rule: Rule) -> Verdict:
    holds, _ = rule.projects.judge(candidate.project)
    found = f"{candidate.project.path_with_namespace} ({candidate.project.id})"
    return Verdict(condition="project", holds=holds, wanted=str(rule.projects), found=found)


def _pattern(condition: str, patterns: PatternList, subject: str) -> Verdict:
    holds, _ = patterns.judge(subject)
    return Verdict(condition=condition, holds=holds, wanted=str(patterns), found=subject or "nothing")


def _ref(candidate: Candidate, rule: Rule) -> Verdict:
    return _pattern("ref", rule.when.refs, candidate.job.ref)


def _ref_type(candidate: Candidate, rule: Rule) -> Verdict:
    found, wanted = candidate.job.ref_type, rule.when.ref_types
    shown = " or ".join(sorted(wanted)) or "any"
    return Verdict(condition="ref_type", holds=not wanted or found in wanted, wanted=shown, found=found.value)


def _semver(candidate: Candidate, rule: Rule) -> Verdict:
    wanted = rule.when.semver
    if wanted is None:
        return Verdict(condition="semver", holds=True, wanted="any", found=candidate.job.ref or "nothing")
    version = Version.parse(candidate.job.ref) if candidate.job.tag else None
    found = candidate.job.ref if version else f"{candidate.job.ref or 'nothing'}, which is no tag of a version"
    holds = version is not None and wanted.contains(version)
    return Verdict(condition="semver", holds=holds, wanted=wanted.text, found=found)


def _job(candidate: Candidate, rule: Rule) -> Verdict:
    return _pattern("job", rule.when.jobs, candidate.job.name)


def _stage(candidate: Candidate, rule: Rule) -> Verdict:
    return _pattern("stage", rule.when.stages, candidate.job.stage)


def _status(candidate: Candidate, rule: Rule) -> Verdict:
    found, wanted = candidate.job.status, rule.when.statuses
    return Verdict(condition="status", holds=found in wanted, wanted=" or ".join(sorted(wanted)), found=found)


def _source(candidate: Candidate, rule: Rule) -> Verdict:
    return _pattern("source", rule.when.sources, candidate.job.pipeline_source or "")


def _max_age(candidate: Candidate, rule: Rule, now: datetime) -> Verdict:
    wanted, finished = rule.when.max_age, candidate.job.finished_at
    if wanted is None:
        return Verdict(condition="max_age", holds=True, wanted="any", found=_ago(finished, now))
    holds = None if finished is None else now - finished <= wanted
    return Verdict(condition="max_age", holds=holds, wanted=f"at most {wanted}", found=_ago(finished, now))


def _ago(finished: datetime | None, now: datetime) -> str:
    if finished is None:
        return "not finished"
    return f"finished {timedelta(seconds=round((now - finished).total_seconds()))} ago"


def _retried(candidate: Candidate, rule: Rule) -> Verdict:
    found = {None: "not known", True: "superseded by a retry", False: "the latest of its name"}[candidate.retried]
    if rule.when.retried:
        return Verdict(condition="retried", holds=True, wanted="any", found=found)
    holds = None if candidate.retried is None else not candidate.retried
    return Verdict(condition="retried", holds=holds, wanted="the latest of its name", found=found)


def _child_pipelines(candidate: Candidate, rule: Rule) -> Verdict:
    child = candidate.origin is Origin.CHILD or candidate.job.pipeline_source == _CHILD_SOURCE
    wanted = "any" if rule.when.child_pipelines else "no child pipeline"
    found = "in a child pipeline" if child else "in no child pipeline"
    return Verdict(
        condition="child_pipelines", holds=rule.when.child_pipelines or not child, wanted=wanted, found=found
    )


def _downstream(candidate: Candidate, rule: Rule) -> Verdict:
    downstream = candidate.origin is Origin.DOWNSTREAM
    wanted = "any" if rule.when.downstream else "no downstream pipeline"
    found = "in a downstream pipeline" if downstream else "in no downstream pipeline"
    return Verdict(condition="downstream", holds=rule.when.downstream or not downstream, wanted=wanted, found=found)
