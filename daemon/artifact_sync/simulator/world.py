"""A simulated GitLab: what there is, what happens in it, and how it is served."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from artifact_sync.simulator.archives import Archive
from artifact_sync.simulator.clock import SimClock
from artifact_sync.simulator.expiry import EVERY, Sweeper
from artifact_sync.simulator.faults import Faults
from artifact_sync.simulator.hooks import Hooks
from artifact_sync.simulator.limits import Limits
from artifact_sync.simulator.progress import settle
from artifact_sync.simulator.replica import Replica
from artifact_sync.simulator.seen import Requests
from artifact_sync.simulator.state import FINISHED, JobSpec, SimGroup, SimJob, SimPipeline, SimProject
from artifact_sync.simulator.tokens import TOKEN, SimToken

__all__ = ["Delivery", "Told", "World"]

#: Called with what happened (``job.finished``) and to what.
Told = Callable[[str, SimJob | SimPipeline], None]


class Delivery(StrEnum):
    """How artifact files reach the client (lib/api/helpers.rb, ``present_carrierwave_file!``)."""

    #: From GitLab's own disk, by Workhorse (internal/sendfile).
    LOCAL = "local"
    #: 302 to a signed URL of the object store (``proxy_download: false``, as on GitLab.com).
    REDIRECT = "redirect"
    #: From the object store through Workhorse (internal/sendurl).
    PROXIED = "proxied"


class World:
    """Everything a simulated instance holds and how it answers; change its attributes at any time.

    Ids are global, ascending, and given at creation: a job's when its pipeline starts. The verbs raise ValueError
    where GitLab's state machine has no such transition.
    """

    def __init__(
        self,
        *,
        clock: SimClock | None = None,
        delivery: Delivery = Delivery.LOCAL,
        seed: object = 0,
        token: str = TOKEN,
        sweep_every: timedelta = EVERY,
    ) -> None:
        self.clock = clock or SimClock()
        self.delivery = Delivery(delivery)
        self.seed = seed
        self.token = token
        self.version = "18.11.2-ee"
        self.revision = "4e963fe2f3a"
        #: scheme://host[:port] in Link headers and web_url; None: the address it is served at.
        self.external_url: str | None = None
        self.maintenance = False
        #: sha256 ETags on archives and single files (GitLab's ``artifact_etag``); weak ones on JSON are always there.
        self.etags = True
        #: Whether proxied answers carry Content-Length, which depends on the store.
        self.proxied_length = False
        self.signed_lifetime = timedelta(minutes=10)
        #: Whether the store accepts HEAD on a signed URL (only AWS is given HEAD-signed ones).
        self.signed_head = False
        #: Whether ``file_type`` selects a report; older servers ignore it and send the archive.
        self.report_downloads = False
        self.ranges = True  # of archives; a server may ignore Range (RFC 9110 section 14.2)
        self.enforce_jobs_offset_limit = False  # ops flag ``enforce_ci_builds_pagination_limit``
        self.offset_limit = 50_000
        #: BuildFinishedWorker archives the trace later (ARCHIVE_TRACES_IN), only then is it among the artifacts.
        self.trace_archived_after = timedelta(minutes=2)
        self.limits = Limits()
        #: Who is told what happens; the names are listed at ``_tell``.
        self.listener: Told | None = None
        self.faults = Faults(seed=seed)
        self.replica = Replica(self.clock)
        self.sweeper = Sweeper(self.clock.now(), every=sweep_every, going=self.replica.changing)
        self.requests = Requests()
        self.hooks = Hooks(self.clock)
        self.tokens: dict[str, SimToken] = {}
        self.groups: dict[str, SimGroup] = {}
        self.projects: dict[int, SimProject] = {}
        self.pipelines: dict[int, SimPipeline] = {}
        self.jobs: dict[int, SimJob] = {}
        #: Where the two origins are served; set by ``serve``.
        self.url = "http://gitlab.invalid"
        self.storage_url = "http://storage.invalid"
        self.add_token(SimToken(value=token))
        self._iids: dict[int, int] = {}

    @property
    def replica_lag(self) -> timedelta:
        """How old lists of jobs and pipelines are, none by default; single objects are always new.

        The past is remembered from the moment that a lag is first set, also while it is 0 again.
        """
        return self.replica.lag

    @replica_lag.setter
    def replica_lag(self, lag: timedelta) -> None:
        self.replica.lag = lag

    # --- what there is ---

    def add_token(self, token: SimToken) -> SimToken:
        """Make a token known; one of the same value is replaced, for example to revoke it."""
        self.tokens[token.value] = token
        return token

    def add_group(self, path: str) -> SimGroup:
        """The group of this full path, with its parents; made when it is not there."""
        parent = path.rpartition("/")[0]
        if parent:
            self.add_group(parent)
        return self.groups.setdefault(path, SimGroup(id=len(self.groups) + 1, path=path))

    def add_project(self, path: str, *, visible: bool = True, archived: bool = False) -> SimProject:
        """A project ``group/name``; its groups are made as needed."""
        project = SimProject(
            id=len(self.projects) + 1, path=path, created_at=self.clock.now(), visible=visible, archived=archived
        )
        self.add_group(project.namespace)
        self.projects[project.id] = project
        return project

    def move(self, project: SimProject, new_path: str) -> None:
        """Rename or transfer: the id stays, GET on the old path redirects."""
        project.former_paths.add(project.path)
        project.path = new_path
        project.former_paths.discard(new_path)
        self.add_group(project.namespace)

    def add_pipeline(
        self,
        project: SimProject,
        ref: str,
        jobs: Sequence[JobSpec] = (),
        *,
        tag: bool = False,
        source: str = "push",
        parent: SimPipeline | None = None,
        sha: str | None = None,
        name: str | None = None,
        at: datetime | None = None,
    ) -> SimPipeline:
        """Start a pipeline: all its jobs get their ids now, those of the first stage wait for a runner.

        With ``parent`` it is downstream of that pipeline: its child in the same project, a multi-project pipeline in
        another. The first trigger job of ``parent`` without a downstream becomes its bridge; one is added if none is.
        ``at`` is an earlier time, for history.
        """
        now = at or self.clock.now()
        number = len(self.pipelines) + 1
        iid = self._iids[project.id] = self._iids.get(project.id, 0) + 1
        child = parent is not None and parent.project is project
        if parent is not None:
            source = "parent_pipeline" if child else "pipeline"
        pipeline = SimPipeline(
            id=100 + number,
            iid=iid,
            project=project,
            ref=ref,
            sha=sha or hashlib.sha1(f"{project.id} {ref} {number}".encode(), usedforsecurity=False).hexdigest(),
            source=source,
            created_at=now,
            updated_at=now,
            tag=tag,
            name=name,
            parent=parent if child else None,
        )
        self.pipelines[pipeline.id] = pipeline
        project.pipelines.append(pipeline)
        if parent is not None:
            self._link(parent, pipeline)
        if not child:
            project.by_ref.setdefault((ref, tag), []).append(pipeline)
        for spec in jobs:
            self._add_job(pipeline, spec, first=spec.stage == jobs[0].stage, at=now)
        settle(pipeline, now)
        self._tell("pipeline.started", pipeline)
        return pipeline

    def _link(self, parent: SimPipeline, pipeline: SimPipeline) -> None:
        if pipeline.parent is parent:
            parent.children.append(pipeline)
        free = (job for job in parent.jobs if job.spec.bridge and job.downstream is None)
        bridge = next(free, None)
        if bridge is None:
            bridge = self._add_job(
                parent, JobSpec("trigger", bridge=True, trace=None), first=True, at=pipeline.created_at
            )
        bridge.downstream = pipeline
        if not bridge.finished:
            self.finish(bridge, at=pipeline.created_at)

    def _add_job(self, pipeline: SimPipeline, spec: JobSpec, *, first: bool, at: datetime) -> SimJob:
        waiting = {"manual": "manual", "delayed": "scheduled", "on_success": "pending" if first else "created"}
        job = SimJob(
            id=1000 + len(self.jobs) + 1,
            project=pipeline.project,
            pipeline=pipeline,
            spec=spec,
            status=waiting[spec.when],
            created_at=at,
        )
        self.jobs[job.id] = job
        pipeline.jobs.append(job)
        pipeline.project.jobs.append(job)
        return job

    # --- what happens ---

    def start(self, job: SimJob) -> SimJob:
        """A runner takes the job."""
        if job.finished:
            raise ValueError(f"job {job.id} has ended already ({job.status})")
        now = self.clock.now()
        self.replica.changing(job)
        job.status, job.started_at = "running", now
        job.trace = _bytes(job.spec.trace)[: len(_bytes(job.spec.trace)) // 2]
        settle(job.pipeline, now)
        self._tell("job.started", job)
        return job

    def finish(self, job: SimJob, status: str = "success", *, at: datetime | None = None, late: bool = False) -> SimJob:
        """The job ends now, or at an earlier time; its artifacts were uploaded just before.

        The runner uploads before it reports the end, so nobody sees the end without the artifacts. A skipped job has no
        ``finished_at`` (app/models/commit_status.rb: set on the way to success, failed and canceled). ``late``: what it made
        is not to be seen before ``upload``.
        """
        if job.finished:
            raise ValueError(f"job {job.id} has ended already ({job.status})")
        if status not in FINISHED:
            raise ValueError(f"{status!r} is not an end")
        end = at or self.clock.now()
        self.replica.changing(job)
        ran = status in {"success", "failed"}
        job.started_at = (job.started_at or max(job.created_at, end - job.spec.duration)) if ran else job.started_at
        job.status, job.finished_at = status, None if status == "skipped" else end
        job.failure_reason = "script_failure" if status == "failed" else None
        if ran:
            job.trace = _bytes(job.spec.trace)
        if late:
            job.uploaded = False
        elif job.spec.upload == "always" or (job.spec.upload == "on_success") == (status == "success"):
            job.uploaded = ran
        if job.uploaded and job.spec.expire_in is not None:
            job.expire_at = end + job.spec.expire_in
            self.sweeper.watch(job)
        settle(job.pipeline, end)
        self._tell("job.finished", job)
        return job

    def finish_all(self, jobs: Iterable[SimJob], status: str = "success") -> None:
        """Finish those that have not ended and are not waiting to be played."""
        for job in jobs:
            if not job.finished and job.status != "manual":
                self.finish(job, status)

    def play(self, job: SimJob) -> SimJob:
        """Somebody starts a manual (or delayed) job."""
        if job.status not in {"manual", "scheduled"}:
            raise ValueError(f"job {job.id} is not playable ({job.status})")
        self.replica.changing(job)
        job.status = "pending"
        settle(job.pipeline, self.clock.now())
        self._tell("job.played", job)
        return job

    def retry(self, job: SimJob) -> SimJob:
        """A new job, with a new id, takes the place of one that ended; those that were skipped behind it wait again.

        app/services/ci/retry_job_service.rb and after_requeue_job_service.rb; what was skipped is not retryable itself
        (app/models/ci/build.rb, ``retryable?``).
        """
        if job.status not in {"success", "failed", "canceled"} or job.retried:
            raise ValueError(f"job {job.id} is not retryable ({job.status})")
        now = self.clock.now()
        self.replica.changing(job)
        again = self._add_job(job.pipeline, replace(job.spec, when="on_success"), first=True, at=now)
        job.retried = True
        for skipped in _after(job):
            if skipped.status == "skipped":
                self.rerun(skipped)
        settle(job.pipeline, now)
        self._tell("job.retried", again)
        return again

    def rerun(self, job: SimJob) -> SimJob:
        """A job that had been skipped waits for its stage again, under the same id; start and finish it from there.

        The one way back from an end (app/models/commit_status.rb, event ``process``: skipped to created, and from there
        to pending and running). Whatever was a success, failed or was canceled stays so, and a retry is another job; that
        such a one seems to run again is a matter of ``replica_lag``.
        """
        if job.status != "skipped" or job.retried:
            raise ValueError(f"job {job.id} does not come back ({job.status})")
        self.replica.changing(job)
        job.status = "created"
        settle(job.pipeline, self.clock.now())
        self._tell("job.reset", job)
        return job

    def upload(self, job: SimJob, *, archive: Archive | None = None, reports: Iterable[str] = ()) -> SimJob:
        """Artifacts appear after the job has started, or after its end: these, or without any those that it declares.

        Until then they are not listed and answered with 404. They expire as the job's artifacts do, counted from now.

        The runner itself can only upload while the job runs, or is being canceled (lib/api/ci/helpers/runner.rb,
        ``authenticate_job!``: "Job is not processing on runner"). After the end a client sees late what it is shown
        late: rows by a replica that lags for artifacts alone, files by an object store. The pipeline is not touched
        (app/models/ci/job_artifact.rb touches neither it nor the job).
        """
        added = tuple(reports)
        held = job.archive is not None
        if job.started_at is None or job.removed or (job.uploaded and not (archive or added)):
            raise ValueError(f"job {job.id} uploads nothing ({job.status})")
        if (archive and held) or set(added) & set(job.reports):
            raise ValueError(f"job {job.id} has such artifacts already")
        self.replica.changing(job)
        if archive or added:
            before = job.spec if job.uploaded else replace(job.spec, archive=None, reports=())
            job.spec = replace(before, archive=archive or before.archive, reports=(*before.reports, *added))
        job.uploaded = True
        if job.spec.expire_in is not None and job.expire_at is None and job.kept_at is None:
            job.expire_at = self.clock.now() + job.spec.expire_in
            self.sweeper.watch(job)
        self._tell("artifacts.uploaded", job)
        return job

    def cancel(self, job: SimJob) -> SimJob:
        """Somebody cancels it."""
        return self.finish(job, "canceled")

    def keep(self, job: SimJob) -> SimJob:
        """Its artifacts no longer expire."""
        self.replica.changing(job)
        job.expire_at, job.kept_at = None, self.clock.now()
        self._tell("artifacts.kept", job)
        return job

    def kept_jobs(self) -> list[SimJob]:
        """Jobs whose artifacts were kept, in order of their ids."""
        return [job for job in self.jobs.values() if job.kept_at is not None]

    def delete_artifacts(self, job: SimJob) -> None:
        """Everything but the trace goes (app/services/ci/job_artifacts/delete_service.rb)."""
        self.replica.changing(job)
        job.removed = True
        self._tell("artifacts.deleted", job)

    def erase(self, job: SimJob) -> SimJob:
        """Artifacts and trace go, and so does the expiry (app/models/ci/build.rb, ``erase``)."""
        if not job.finished:
            raise ValueError(f"job {job.id} is not erasable ({job.status})")
        self.replica.changing(job)
        job.removed, job.trace = True, b""
        job.erased_at, job.expire_at = self.clock.now(), None
        return job

    def sweep(self) -> list[SimJob]:
        """Delete now what is expired and not locked, without waiting for the cron; the jobs that lost files."""
        return self._gone(self.sweeper.sweep(self.clock.now()))

    def tick(self) -> list[SimJob]:
        """Let the cron fire if its minute has come; called before every answer."""
        return self._gone(self.sweeper.tick(self.clock.now()))

    def _gone(self, jobs: list[SimJob]) -> list[SimJob]:
        for job in jobs:
            self._tell("artifacts.expired", job)
        return jobs

    def _tell(self, event: str, subject: SimJob | SimPipeline) -> None:
        """One of pipeline.started, job.(started|finished|played|retried|reset), artifacts.(uploaded|kept|expired|deleted)."""
        self.hooks.told(event, subject)
        if self.listener is not None:
            self.listener(event, subject)


def _after(job: SimJob) -> Iterator[SimJob]:
    """Jobs of the later stages of its pipeline. Stages come in the order of their first jobs."""
    stages = list(dict.fromkeys(other.spec.stage for other in job.pipeline.jobs))
    later = set(stages[stages.index(job.spec.stage) + 1 :])
    return (other for other in job.pipeline.jobs if other.spec.stage in later)


def _bytes(text: str | bytes | None) -> bytes:
    return text.encode() if isinstance(text, str) else text or b""
