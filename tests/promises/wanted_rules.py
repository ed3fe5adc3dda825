"""Rules, and what they mean: an oracle that knows the simulated world alone and nothing of how the daemon decides.

A rule is said twice here, once as the daemon reads it and once as a person means it. What a rule takes in the end
(``must``) has to be mirrored; what it took at some moment only (``may``: superseded by a retry since, or renamed out of
its reach) is right either way, because it depends on whether the daemon looked at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from artifact_sync.core.paths import Template
from artifact_sync.core.patterns import PatternList
from artifact_sync.core.rules import Keep, KeepPolicy, ProjectSelectors, Publish, Rule, When
from artifact_sync.simulator import SimJob, SimPipeline, SimProject, World

__all__ = ["MENU", "NEVER", "PATHS", "Oracle", "Wanted"]

NEVER = Keep(policy=KeepPolicy.NEVER)
#: The projects of a world, in this order; their ids count from 1.
PATHS = ("acme/app", "acme/lib", "acme/deep/tool", "other/site", "other/infra")


def _everywhere(_: SimProject) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A rule over projects. ``means`` says of a project what ``selectors`` say."""

    name: str
    selectors: tuple[str | int, ...]
    means: Callable[[SimProject], bool] = _everywhere
    jobs: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    statuses: frozenset[str] = frozenset({"success"})
    retried: bool = False
    children: bool = True
    downstream: bool = False
    keep: Keep = NEVER

    def rule(self) -> Rule:
        """As the daemon takes it."""
        return Rule(
            name=self.name,
            projects=ProjectSelectors.parse(self.selectors),
            when=When(
                jobs=PatternList.parse(self.jobs, separator=False),
                refs=PatternList.parse(self.refs, separator=False),
                statuses=self.statuses,
                retried=self.retried,
                child_pipelines=self.children,
                downstream=self.downstream,
            ),
            publish=Publish(path=Template.parse("{rule}/{project_id}/{job_id}")),
            keep=self.keep,
        )

    def takes(
        self, job: SimJob, triggers: Mapping[SimPipeline, SimProject], means: Callable[[SimProject], bool]
    ) -> bool:
        """Whether a person who reads the rule expects this job's archive, as the world is now."""
        if job.archive is None or job.status not in self.statuses or (job.retried and not self.retried):
            return False
        if not _one_of(self.jobs, job.name) or not _one_of(self.refs, job.pipeline.ref):
            return False
        if job.pipeline.parent is not None and not self.children:
            return False
        upstream = triggers.get(job.pipeline) if self.downstream else None
        return means(job.project) or (upstream is not None and means(upstream))


def _one_of(patterns: Sequence[str], name: str) -> bool:
    wanted = [p for p in patterns if not p.startswith("!")]
    if any(fnmatchcase(name, p[1:]) for p in patterns if p.startswith("!")):
        return False
    return not wanted or any(fnmatchcase(name, p) for p in wanted)


def _named(*paths: str) -> Callable[[SimProject], bool]:
    return lambda project: project.path in paths


def _below(group: str, *, deep: bool) -> Callable[[SimProject], bool]:
    return lambda project: project.path.startswith(f"{group}/") and (deep or project.path.count("/") == 1)


#: Rules that a world chooses from: each way to name projects, and each condition that discovery has to work for.
MENU: tuple[Wanted, ...] = (
    Wanted(name="all", selectors=("**",)),
    Wanted(name="exact", selectors=("acme/app",), means=_named("acme/app"), jobs=("build*", "deploy")),
    Wanted(name="group", selectors=("acme/*",), means=_below("acme", deep=False), refs=("main", "v*")),
    Wanted(
        name="deep", selectors=("acme/**",), means=_below("acme", deep=True), statuses=frozenset({"success", "failed"})
    ),
    Wanted(name="id", selectors=(4,), means=lambda project: project.id == 4, retried=True),
    Wanted(name="not", selectors=("**", "!acme/**"), means=_below("other", deep=True), jobs=("!build*",)),
    Wanted(name="top", selectors=("acme/*",), means=_below("acme", deep=False), children=False),
    Wanted(name="down", selectors=("acme/app",), means=_named("acme/app"), downstream=True),
    Wanted(
        name="follow",
        selectors=("other/*",),
        means=_below("other", deep=False),
        jobs=("deploy", "late*"),
        downstream=True,
    ),
)


@dataclass
class Oracle:
    """What must be in the mirror of a world, and what may be."""

    world: World
    wanted: Sequence[Wanted]
    may: set[tuple[str, int]] = field(default_factory=set)
    #: Projects that each rule has ever meant: one that is renamed out of a rule's reach may go on under its id.
    _meant: set[tuple[str, int]] = field(default_factory=set)

    def observe(self) -> None:
        """Remember what the rules take now."""
        for wanted in self.wanted:
            self._meant |= {(wanted.name, p.id) for p in self.world.projects.values() if wanted.means(p)}
        self.may |= self._taken(lambda wanted: lambda project: (wanted.name, project.id) in self._meant)

    def must(self) -> set[tuple[str, int]]:
        """What the rules take now, as (rule, job id)."""
        return self._taken(lambda wanted: wanted.means)

    def _taken(self, means: Callable[[Wanted], Callable[[SimProject], bool]]) -> set[tuple[str, int]]:
        jobs = self.world.jobs.values()
        triggers = {
            job.downstream: job.project
            for job in jobs
            if job.downstream is not None and job.downstream.project is not job.project
        }
        return {(one.name, job.id) for one in self.wanted for job in jobs if one.takes(job, triggers, means(one))}

    def wrong(self, mirrored: Mapping[tuple[str, int], str]) -> list[str]:
        """Everything about a mirror that is not as it must be, in words."""
        self.observe()
        must = self.must()
        return [
            *(f"missing: {self._said(key)}" for key in sorted(must - mirrored.keys())),
            *(f"not asked for: {self._said(key)}" for key in sorted(mirrored.keys() - self.may)),
            *(
                f"other bytes: {self._said(key)}"
                for key, sha256 in sorted(mirrored.items())
                if sha256 != self._sha256(key)
            ),
        ]

    def _sha256(self, key: tuple[str, int]) -> str:
        archive = self.world.jobs[key[1]].spec.archive
        return archive.content.sha256 if archive is not None else ""

    def _said(self, key: tuple[str, int]) -> str:
        rule, job_id = key
        job = self.world.jobs[job_id]
        pipeline = job.pipeline
        return (
            f"{rule} takes job {job_id} {job.name} ({job.status}, ended {job.finished_at:%d %H:%M}) "
            f"of {pipeline.source} pipeline {pipeline.id} in {job.project.path}"
        )
