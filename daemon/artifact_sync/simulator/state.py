"""What a simulated GitLab knows: projects, pipelines and jobs, as plain mutable records.

``World`` changes them; handlers only read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from artifact_sync.simulator.archives import Archive
from artifact_sync.simulator.content import Content
from artifact_sync.simulator.reports import report

__all__ = ["FINISHED", "JobSpec", "SimGroup", "SimJob", "SimPipeline", "SimProject", "Upload", "When"]

#: lib: app/models/concerns/ci/has_status.rb, COMPLETED_STATUSES.
FINISHED = frozenset({"success", "failed", "canceled", "skipped"})

When = Literal["on_success", "manual", "delayed"]
Upload = Literal["on_success", "on_failure", "always"]


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as a pipeline's configuration describes it.

    ``archive`` is uploaded when the job ends as ``upload`` says; ``expire_in`` counts from then, None for never.
    ``reports`` are artifact types such as ``junit``. ``bridge`` makes it a trigger job, which the job lists leave out.
    ``access`` is ``artifacts:access``: who may download (all, developer, maintainer, none).
    """

    name: str
    stage: str = "test"
    when: When = "on_success"
    archive: Archive | None = None
    expire_in: timedelta | None = None
    reports: tuple[str, ...] = ()
    trace: str | bytes | None = "Running with gitlab-runner\nJob succeeded\n"
    upload: Upload = "on_success"
    allow_failure: bool = False
    bridge: bool = False
    access: str = "all"
    duration: timedelta = timedelta(seconds=10)
    tag_list: tuple[str, ...] = ()
    #: Whether its runner lets ``after_script`` end when it is canceled (runner 17.0).
    cancels_gracefully: bool = False


@dataclass(slots=True, eq=False)
class SimGroup:
    """A group, known by the paths of its projects."""

    id: int
    path: str
    #: Projects of other groups that were shared with it.
    shared: list[SimProject] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SimProject:
    """A project. ``jobs`` and ``pipelines`` are in ascending id order, child pipelines and trigger jobs included."""

    id: int
    path: str
    created_at: datetime
    #: False: tokens do not see it, except those named in ``seen_by``.
    visible: bool = True
    seen_by: set[str] = field(default_factory=set)
    archived: bool = False
    #: Whether anyone may see it without a token.
    public: bool = False
    default_branch: str = "main"
    #: False: CI/CD is disabled for the caller.
    builds_enabled: bool = True
    #: "Keep artifacts from most recent successful jobs".
    keep_latest: bool = True
    #: Refs on which only tokens with ``protected`` may write.
    protected_refs: set[str] = field(default_factory=set)
    #: Whether GitLab counts the size of its artifacts just now, which no deletion may disturb.
    refreshing: bool = False
    former_paths: set[str] = field(default_factory=set)
    last_activity_at: datetime | None = None
    jobs: list[SimJob] = field(default_factory=list)
    pipelines: list[SimPipeline] = field(default_factory=list)
    #: Pipelines per (ref, tag), child pipelines left out, oldest first.
    by_ref: dict[tuple[str, bool], list[SimPipeline]] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The full path of its group."""
        return self.path.rpartition("/")[0]


@dataclass(slots=True, eq=False)
class SimPipeline:
    """A pipeline. ``parent`` is set for child pipelines; ``upstream`` for those that another project's triggered."""

    id: int
    iid: int
    project: SimProject
    ref: str
    sha: str
    source: str
    created_at: datetime
    updated_at: datetime
    tag: bool = False
    name: str | None = None
    status: str = "created"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    parent: SimPipeline | None = None
    children: list[SimPipeline] = field(default_factory=list)
    jobs: list[SimJob] = field(default_factory=list)

    @property
    def root(self) -> SimPipeline:
        """The pipeline at the top of this one's family in its project."""
        found = self
        while found.parent is not None:
            found = found.parent
        return found

    def family(self) -> list[SimPipeline]:
        """Itself and its descendants in the same project, parents first."""
        found = [self]
        for pipeline in found:
            found.extend(pipeline.children)
        return found


@dataclass(slots=True, eq=False)
class SimJob:
    """A job. Its artifact files exist while ``uploaded`` and not ``removed``; ``expire_at`` stays after the removal."""

    id: int
    project: SimProject
    pipeline: SimPipeline
    spec: JobSpec
    status: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    erased_at: datetime | None = None
    expire_at: datetime | None = None
    kept_at: datetime | None = None
    uploaded: bool = False
    removed: bool = False
    #: Superseded by a retry.
    retried: bool = False
    trace: bytes = b""
    failure_reason: str | None = None
    downstream: SimPipeline | None = None
    #: Older than the instance's archiving of jobs: nothing can be done to it any more.
    archived: bool = False
    #: What it was played or retried with.
    variables: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The job's name in the pipeline's configuration."""
        return self.spec.name

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.status in FINISHED

    @property
    def archive(self) -> Content | None:
        """The stored archive, expired or not; None once it was removed or where none was uploaded."""
        if self.spec.archive is None or not self.uploaded or self.removed:
            return None
        return self.spec.archive.content

    @property
    def reports(self) -> tuple[str, ...]:
        """Types of the stored report artifacts."""
        return self.spec.reports if self.uploaded and not self.removed else ()

    def report(self, file_type: str) -> bytes:
        """The stored bytes of a report."""
        return report(file_type, self.id)
