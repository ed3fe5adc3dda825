"""What GitLab reports and what is made of it, as frozen values.

``Project``, ``Pipeline``, ``Job`` and ``Artifact`` are decoded straight from GitLab's JSON. They hold what is needed and
are tolerant of the rest: unknown fields are ignored, unknown statuses and file types are plain strings, fields that
older or newer servers leave out have defaults, and null counts as left out. What the state or the calendar cannot hold is
an error of that object: ids and sizes beyond SQLite's integers, timestamps without an offset or outside ``YEARS``.

Field meanings: https://docs.gitlab.com/api/jobs/ and https://docs.gitlab.com/api/pipelines/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import NODEFAULT, Meta, Struct, field
from msgspec.structs import force_setattr

from artifact_sync.core.provenance import Provenance
from artifact_sync.core.unpacking import Contents, Unpack

__all__ = [
    "FINISHED_STATUSES",
    "YEARS",
    "Artifact",
    "ArtifactsFile",
    "Candidate",
    "Commit",
    "Item",
    "ItemKind",
    "Job",
    "KeepDue",
    "KeepResult",
    "Origin",
    "Pipeline",
    "Project",
    "RefType",
    "StagedFile",
    "Transfer",
    "TreeEntry",
    "TriggerJob",
]

_MOST = 2**63 - 1
Id = Annotated[int, Meta(ge=1, le=_MOST)]
Size = Annotated[int, Meta(ge=0, le=_MOST)]
Instant = Annotated[datetime, Meta(tz=True)]
#: Years of a timestamp: any offset and any margin can be applied to it.
YEARS = range(1970, 9001)
#: What is older ended before GitLab ran jobs at all: a clock that was never set, or a moment that was not known.
_FIRST_JOB = datetime(2012, 1, 1, tzinfo=UTC)
#: No job runs longer (https://docs.gitlab.com/ci/pipelines/settings/: a timeout is at most a month).
_LONGEST_RUN = timedelta(days=365)
_OCTAL = re.compile("[0-7]{1,10}")

if TYPE_CHECKING:
    Text: TypeAlias = str
    Flag: TypeAlias = bool
    Names: TypeAlias = tuple[str, ...]
else:
    # Servers send null where a string or a flag is documented. Readers never see it: _Reported makes it the default.
    Text = str | None
    Flag = bool | None
    Names = tuple[str, ...] | None

#: Statuses after which a job does not move again by itself (a retry makes a new job; `manual` is played later).
FINISHED_STATUSES = frozenset({"success", "failed", "canceled", "skipped"})


class RefType(StrEnum):
    """What a job ran for."""

    TAG = "tag"
    BRANCH = "branch"
    MERGE_REQUEST = "merge_request"


class _Reported(Struct, frozen=True, kw_only=True):
    """What GitLab reports."""

    def __post_init__(self) -> None:
        """Null becomes the default. Raises ValueError, which msgspec makes a ValidationError, for a time that cannot be."""
        for name, default in _defaults(type(self)):
            value = getattr(self, name)
            if value is None:
                force_setattr(self, name, default)
            elif isinstance(value, datetime) and value.year not in YEARS:
                raise ValueError(f"{name} is outside the years {YEARS[0]} to {YEARS[-1]}")


@cache
def _defaults(kind: type[_Reported]) -> tuple[tuple[str, object], ...]:
    """Fields that may be left out, each with what it is then."""
    fields, defaults = kind.__struct_fields__, kind.__struct_defaults__
    named = zip(fields[len(fields) - len(defaults) :], defaults, strict=True)
    return tuple((name, default) for name, default in named if default is not NODEFAULT)


class Project(_Reported, frozen=True, kw_only=True):
    """GET /projects/:id."""

    id: Id
    path_with_namespace: str
    web_url: Text = ""
    default_branch: str | None = None
    archived: Flag = False
    #: Other paths by which a rule names it: it had them before, or they differ in case. Not GitLab's word.
    named: Names = ()


class Pipeline(_Reported, frozen=True, kw_only=True):
    """A pipeline as listed, and as embedded in a job. Servers before about 13.x leave out iid, project_id and source."""

    id: Id
    ref: str | None = None
    sha: str | None = None
    status: Text = ""
    source: str | None = None
    project_id: Id | None = None
    iid: Id | None = None
    created_at: Instant | None = None
    updated_at: Instant | None = None
    web_url: Text = ""


class TriggerJob(_Reported, frozen=True, kw_only=True):
    """A job that starts another pipeline, a bridge (https://docs.gitlab.com/api/jobs/#list-all-trigger-jobs-for-a-pipeline).

    ``downstream_pipeline`` is null until that one was made, and may be of another project.
    """

    id: Id
    name: str
    status: str
    downstream_pipeline: Pipeline | None = None

    @property
    def finished(self) -> bool:
        """Whether it will start nothing more."""
        return self.status in FINISHED_STATUSES


class Artifact(Struct, frozen=True, kw_only=True):
    """One entry of a job's ``artifacts``. ``size`` is in stored bytes; ``file_format`` is null for real traces."""

    file_type: Text = ""
    size: Size | None = None
    filename: str | None = None
    file_format: str | None = None

    def __post_init__(self) -> None:
        # As _Reported does it, and faster: a page can hold hundreds of thousands of these.
        if not self.file_type:
            force_setattr(self, "file_type", "")


class ArtifactsFile(Struct, frozen=True, kw_only=True):
    """The archive as older clients see it; the key is absent once expired, so nothing is decided by it."""

    filename: str | None = None
    size: Size | None = None


class TreeEntry(_Reported, frozen=True, kw_only=True):
    """One entry of an archive, as GitLab lists it (https://docs.gitlab.com/api/job_artifacts/)."""

    #: The whole path; a directory's ends in a slash.
    name: str = field(name="path")
    kind: Text = field(name="type", default="")
    #: Bytes, unpacked; of files alone.
    length: Size | None = field(name="size", default=None)
    octal: Text = field(name="mode", default="")

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self.kind == "directory" or self.name.endswith("/")

    @property
    def mode(self) -> int:
        """Unix mode with file type; 0 where GitLab says none."""
        return int(self.octal, 8) if _OCTAL.fullmatch(self.octal) else 0

    @property
    def size(self) -> int:
        """Bytes, unpacked; 0 where GitLab says none."""
        return self.length or 0


class Commit(_Reported, frozen=True, kw_only=True):
    """The commit a job ran for."""

    id: Text | Size = ""
    short_id: Text = ""
    title: Text = ""


class Job(_Reported, frozen=True, kw_only=True):
    """A job, from any of the job endpoints."""

    id: Id
    name: str
    status: str
    stage: Text = ""
    ref: Text = ""
    tag: Flag = False
    allow_failure: Flag = False
    created_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    erased_at: Instant | None = None
    artifacts_expire_at: Instant | None = None
    artifacts: tuple[Artifact, ...] | None = ()
    artifacts_file: ArtifactsFile | None = None
    pipeline: Pipeline | None = None
    commit: Commit | None = None
    web_url: Text = ""
    source: str | None = None
    failure_reason: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the job has ended. An unknown status counts as unfinished, so it is looked at again."""
        return self.status in FINISHED_STATUSES

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; where that moment cannot be, when it began. A wrong clock would otherwise hide the job, or put it last."""
        end, start = self.finished_at, self.started_at
        began = next((at for at in (start, self.created_at) if at is not None and at >= _FIRST_JOB), None)
        if end is None or began is None:
            return end
        # One that never ran may have waited for years before it was cancelled.
        cannot_be = end < _FIRST_JOB or (began == start and end > began + _LONGEST_RUN)
        return began if cannot_be else end

    @property
    def archive(self) -> Artifact | None:
        """The archive, decided by ``artifacts[].file_type`` and never by ``artifacts_file``."""
        return next((a for a in self.artifacts or () if a.file_type == "archive"), None)

    @property
    def ref_type(self) -> RefType:
        """Tag, merge request (its pipelines run on ``refs/merge-requests/...`` or say so in their source), or branch."""
        if self.tag:
            return RefType.TAG
        merge_request = self.pipeline_source == "merge_request_event" or self.ref.startswith("refs/merge-requests/")
        return RefType.MERGE_REQUEST if merge_request else RefType.BRANCH

    @property
    def pipeline_source(self) -> str | None:
        """What started the pipeline; 19.x also reports it on the job itself."""
        return (self.pipeline.source if self.pipeline else None) or self.source

    @property
    def sha(self) -> str:
        """The full commit id, or an empty string where the server left it out."""
        if self.pipeline and self.pipeline.sha:
            return self.pipeline.sha
        return str(self.commit.id) if self.commit else ""


class Origin(StrEnum):
    """How a job's pipeline came to be."""

    DIRECT = "direct"
    CHILD = "child"
    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A job with what its own JSON does not tell; the subject of every rule."""

    project: Project
    job: Job
    #: Superseded by a retry. None: not known, because the project's job list does not mark it.
    retried: bool | None = None
    origin: Origin = Origin.DIRECT
    #: The project whose pipeline triggered this one, for ``Origin.DOWNSTREAM``: rules name that one.
    via: Project | None = None


ItemKind = Literal["archive", "file", "files", "report", "trace"]


class Item(Struct, frozen=True, kw_only=True):
    """One thing to bring over for a publication."""

    kind: ItemKind
    #: Name inside the publication, POSIX, components already encoded: ``artifacts.zip``, ``files/a/b.txt``, ``job.log``. Of
    #: ``files``, which becomes any number of such files, a name that none of them can have.
    name: str
    #: Path inside the archive, for ``file``; a pattern over such paths, for ``files``; the file type, for ``report``.
    path: str | None = None
    #: Bytes as GitLab announced them; None where it announces none.
    size: int | None = None
    #: Whether it may be missing from the archive, or match nothing there, without a word.
    optional: bool = False
    #: Patterns over the paths that are not meant, for ``files``.
    excluded: tuple[str, ...] = ()
    #: ``raw``, ``gzip`` or ``zip`` as GitLab lists it, for ``report``; None where it says none.
    file_format: str | None = None
    #: Whether its files are published, for ``archive``; they are named ``content/<path>``.
    unpack: Unpack = Unpack.NO

    @property
    def may_be_nothing(self) -> bool:
        """Whether a transfer can be complete without any file of it."""
        return self.optional or self.kind == "files"


class Transfer(Struct, frozen=True, kw_only=True):
    """Everything to bring over for one job to one destination, for all rules that render that destination."""

    project_id: int
    project_path: str
    job: Job
    rules: tuple[str, ...]
    items: tuple[Item, ...]
    #: Destination relative to ``tree/``, POSIX, components already encoded.
    dest: str
    #: When the artifacts are expected to be deleted by GitLab.
    deadline: Instant | None = None
    priority: int = 0
    #: Whether this is history (first pass) and so goes below fresh work.
    backfill: bool = False
    #: Bytes; the smallest ``max_size`` of the rules.
    max_size: int | None = None


class StagedFile(Struct, frozen=True, kw_only=True):
    """A downloaded, verified and fsynced item, waiting in staging to be published."""

    name: str
    #: File name inside ``.staging/``; of an unpacked file its path there, POSIX.
    part: str
    sha256: str
    #: Bytes.
    size: int
    etag: str | None = None
    #: Where it came from: scheme, host and path, never a query.
    source: str = ""
    #: Path inside the archive, of a file out of one.
    path: str | None = None
    #: Whether its owner may execute it.
    executable: bool = False
    #: Whether it becomes visible: an archive does not where its files are published instead.
    published: bool = True
    #: What became of it, for an archive that was to be unpacked.
    contents: Contents | None = None
    #: Whether its files are those that the runner hashed, for an archive with a statement of the runner.
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDue:
    """A keep that will be called unless the transfer is mirrored first (or in any case, for policy ``always``)."""

    project_id: int
    project_path: str
    job_id: int
    job_name: str
    rule: str
    due_at: datetime
    expire_at: datetime
    always: bool = False
    attempts: int = 0
    #: What the job ran for: protected refs refuse what others grant.
    ref: str = ""


class KeepResult(StrEnum):
    """What became of a call to keep."""

    KEPT = "kept"
    EXPIRED = "expired"
    DENIED = "denied"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    #: Its artifacts were deleted in GitLab, because a rule wants that once they are mirrored.
    DELETED = "deleted"
    #: Given up again on request; its artifacts were deleted in GitLab where the detail says so.
    RELEASED = "released"
