"""The conditions of a rule: what each wants of a job, what it found, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct

from artifact_sync.core.model import Candidate, Origin, RefType
from artifact_sync.core.patterns import ANY, PatternList
from artifact_sync.core.selectors import ProjectSelectors
from artifact_sync.core.semver import SemverRange, Version

__all__ = ["UNSETTLED", "Facts", "Verdict", "When"]

_CHILD_SOURCE = "parent_pipeline"
#: Characters of a name that are shown; a hostile one would fill the screen and the log.
_SHOWN = 200

#: Conditions that change while a job runs; the others are the same from its creation on. A job that was superseded stays
#: so, hence ``retried`` is none of them.
UNSETTLED = frozenset({"status", "max_age"})


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The conditions of a rule. All hold; an empty one asks nothing."""

    refs: PatternList = ANY
    ref_types: frozenset[RefType] = frozenset()
    semver: SemverRange | None = None
    jobs: PatternList = ANY
    stages: PatternList = ANY
    #: A job that has not ended never holds, whatever stands here.
    statuses: frozenset[str] = frozenset({"success"})
    sources: PatternList = ANY
    max_age: timedelta | None = None
    retried: bool = False
    child_pipelines: bool = True
    downstream: bool = False


class Verdict(Struct, frozen=True, kw_only=True):
    """One condition judged: what was wanted, what was found. ``holds`` None: not known yet."""

    condition: str
    holds: bool | None
    wanted: str
    found: str


class Facts:
    """What the conditions look at, gathered and put into words once for a job and then judged by each rule."""

    __slots__ = ("_age", "_candidate", "_child", "_ended", "_project", "_retried", "_source", "_type", "_version")

    def __init__(self, candidate: Candidate, now: datetime) -> None:
        job = candidate.job
        self._candidate = candidate
        via = candidate.via or candidate.project
        self._project = f"{via.path_with_namespace} ({via.id})"
        self._type = job.ref_type
        self._version = Version.parse(job.ref) if job.tag else None
        self._source = job.pipeline_source or ""
        self._age = None if job.ended_at is None else now - job.ended_at
        self._ended = "no end known" if self._age is None else f"ended {_span(self._age, units=2)} ago"
        self._retried = _RETRIED[candidate.retried]
        self._child = candidate.origin is Origin.CHILD or self._source == _CHILD_SOURCE

    def verdicts(self, projects: ProjectSelectors, when: When) -> tuple[Verdict, ...]:
        """Every condition's verdict, whether or not an earlier one fails."""
        job = self._candidate.job
        return (
            self._in_project(projects),
            _named("ref", when.refs, job.ref),
            self._ref_type(when.ref_types),
            self._semver(when.semver),
            _named("job", when.jobs, job.name),
            _named("stage", when.stages, job.stage),
            self._status(when.statuses),
            _named("source", when.sources, self._source),
            self._max_age(when.max_age),
            self._superseded(taken=when.retried),
            self._in_child(taken=when.child_pipelines),
            self._in_downstream(taken=when.downstream),
        )

    def _in_project(self, projects: ProjectSelectors) -> Verdict:
        holds, by = projects.judge(self._candidate.via or self._candidate.project)
        found = self._project if holds else _refused(self._project, by)
        return Verdict(condition="project", holds=holds, wanted=str(projects), found=found)

    def _ref_type(self, wanted: frozenset[RefType]) -> Verdict:
        shown = " or ".join(sorted(wanted)) or "any"
        return Verdict(
            condition="ref_type", holds=not wanted or self._type in wanted, wanted=shown, found=self._type.value
        )

    def _semver(self, wanted: SemverRange | None) -> Verdict:
        ref = _shown(self._candidate.job.ref)
        if wanted is None:
            return Verdict(condition="semver", holds=True, wanted="any", found=ref)
        holds = self._version is not None and wanted.contains(self._version)
        found = ref if holds else f"{ref}, {self._why_no_version()}"
        return Verdict(condition="semver", holds=holds, wanted=wanted.text, found=found)

    def _why_no_version(self) -> str:
        if self._version is None:
            return "which is no tag of a version"
        if not self._version.release:
            return "a pre-release, which is taken only where a bound names one of the same version"
        return "which is not in it"

    def _status(self, wanted: frozenset[str]) -> Verdict:
        job = self._candidate.job
        holds = job.finished and (not wanted or job.status in wanted)
        found = job.status if job.finished else f"{job.status}, which is no end"
        return Verdict(condition="status", holds=holds, wanted=" or ".join(sorted(wanted)) or "any end", found=found)

    def _max_age(self, wanted: timedelta | None) -> Verdict:
        if wanted is None:
            return Verdict(condition="max_age", holds=True, wanted="any", found=self._ended)
        holds = None if self._age is None else self._age <= wanted
        return Verdict(condition="max_age", holds=holds, wanted=f"at most {_span(wanted)}", found=self._ended)

    def _superseded(self, *, taken: bool) -> Verdict:
        retried = self._candidate.retried
        holds = True if taken else None if retried is None else not retried
        return Verdict(
            condition="retried", holds=holds, wanted="any" if taken else _RETRIED[False], found=self._retried
        )

    def _in_child(self, *, taken: bool) -> Verdict:
        wanted = "any" if taken else "no child pipeline"
        found = "in a child pipeline" if self._child else "in no child pipeline"
        return Verdict(condition="child_pipelines", holds=taken or not self._child, wanted=wanted, found=found)

    def _in_downstream(self, *, taken: bool) -> Verdict:
        downstream = self._candidate.origin is Origin.DOWNSTREAM
        wanted = "any" if taken else "no downstream pipeline"
        found = "in a downstream pipeline" if downstream else "in no downstream pipeline"
        return Verdict(condition="downstream", holds=taken or not downstream, wanted=wanted, found=found)


_RETRIED = {None: "not known", True: "superseded by a retry", False: "the latest of its name"}


def _named(condition: str, patterns: PatternList, subject: str) -> Verdict:
    holds, by = patterns.judge(subject)
    found = _shown(subject)
    return Verdict(
        condition=condition, holds=holds, wanted=patterns.text, found=found if holds else _refused(found, by)
    )


def _refused(found: str, by: str) -> str:
    """What was found, with what speaks against it where that is more than no match."""
    if by.startswith("!"):
        return f"{found}, which {by} excludes"
    return f"{found}, which is {by}" if by.startswith("longer") else found


def _shown(name: str) -> str:
    return (f"{name[:_SHOWN]}..." if len(name) > _SHOWN else name) or "nothing"


def _span(span: timedelta, *, units: int = 4) -> str:
    """In words, with the largest ``units`` that are not 0. One in the future (clocks differ) is 0 seconds."""
    rest = max(0, round(span.total_seconds()))
    words = []
    for seconds, unit in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        number, rest = divmod(rest, seconds)
        if number:
            words.append(f"{number} {unit}{'s' * (number > 1)}")
    return " ".join(words[:units]) or "0 seconds"
