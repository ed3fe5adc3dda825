"""What happens in a world: small acts in an order that hypothesis chooses, and shrinks.

An act names its object by a number, which is taken modulo what there is to choose from; one that finds nothing does
nothing. So every list of acts is a life, and so is every part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from hypothesis import strategies as st

from artifact_sync.simulator import JobSpec, SimJob, SimPipeline, World, small
from artifact_sync.simulator.faults import Answer, Fault
from artifact_sync.simulator.progress import settle

__all__ = ["CiLife", "DoAct", "acts"]

T = TypeVar("T")

#: Minutes between two acts.
_GAPS = (0, 1, 3, 20, 90, 240, 600, 1500)
_REFS = ("main", "v1.2.0", "topic/x", "wip")


@dataclass(frozen=True)
class DoAct:
    """``kind`` is done ``after`` so many minutes to the ``who``-th of what it can be done to, in its ``how``-th way."""

    after: int
    kind: str
    who: int = 0
    how: int = 0


def acts(kinds: Sequence[str], *, most: int) -> st.SearchStrategy[list[DoAct]]:
    """Lists of acts of these kinds; one that is named twice comes twice as often."""
    small_number = st.integers(0, 7)
    act = st.builds(DoAct, st.sampled_from(_GAPS), st.sampled_from(kinds), small_number, small_number)
    return st.lists(act, min_size=most // 2, max_size=most)


@dataclass
class CiLife:
    """A world, and what is done in it. ``later`` has something done after so many minutes."""

    world: World
    later: Callable[[float, Callable[[], None]], None]
    done: Counter[str] = field(default_factory=Counter)
    #: Jobs that run again though they had ended.
    back: list[SimJob] = field(default_factory=list)
    expire_in: timedelta | None = None

    def act(self, act: DoAct) -> None:
        """Do it, if there is anything to do it to; ``done`` counts what was."""
        doing: Callable[[int, int], str | None] = getattr(self, f"_{act.kind}")
        kind = doing(act.who, act.how)
        if kind is not None:
            self.done[kind] += 1

    def settle_down(self) -> None:
        """No more trouble, and what was taken back has ended again."""
        self.world.faults.clear()
        self.world.replica_lag = timedelta()
        for project in self.world.projects.values():
            project.visible = True
        for job in self.back:
            self._end(job)

    # --- pipelines ---

    def _pipeline(self, who: int, how: int) -> str | None:
        project = _pick(list(self.world.projects.values()), who)
        if project is None:
            return None
        ref = _REFS[(who + how) % len(_REFS)]
        self.world.add_pipeline(project, ref, self._specs(how), tag=ref.startswith("v"))
        return "pipeline"

    def _specs(self, how: int) -> list[JobSpec]:
        """Jobs of a pipeline: always some that end by themselves, and by ``how`` some that wait."""
        specs = [self._spec("build", "build"), self._spec("build docs", "build"), JobSpec("lint", "build")]
        if how % 2:
            specs.append(self._spec("deploy", "deploy", when="manual"))
        if how % 3 == 1:
            specs.append(self._spec("late night", "deploy", when="delayed"))
        if how % 3 == 2:
            specs.append(JobSpec("trigger", "build", bridge=True, trace=None))
        if how > 4:
            specs.append(JobSpec("trigger by hand", "deploy", when="manual", bridge=True, trace=None))
        return specs

    def _spec(self, name: str, stage: str, *, when: str = "on_success") -> JobSpec:
        archive = small(
            f"{len(self.world.jobs)} {name}", {"result.txt": f"{len(self.world.jobs)} {name}\n".encode() * 20}
        )
        return JobSpec(name, stage, when=when, archive=archive, upload="always", expire_in=self.expire_in)  # type: ignore[arg-type]

    def _child(self, who: int, how: int) -> str | None:
        bridge = self._bridge(who)
        if bridge is None:
            return None
        specs = [self._spec("build", "build"), self._spec("deploy", "deploy", when="manual")]
        if how % 2:
            specs.append(JobSpec("trigger", "build", bridge=True, trace=None))
        self.world.add_pipeline(bridge.project, bridge.pipeline.ref, specs, parent=bridge.pipeline)
        return "child"

    def _downstream(self, who: int, how: int) -> str | None:
        bridge = self._bridge(who)
        if bridge is None:
            return None
        project = _pick([p for p in self.world.projects.values() if p is not bridge.project], how)
        if project is None:
            return None
        specs = [self._spec("build", "build"), self._spec("deploy", "deploy", when="manual")]
        self.world.add_pipeline(project, "main", specs, parent=bridge.pipeline)
        return "downstream"

    def _bridge(self, who: int) -> SimJob | None:
        """A trigger job that has not run, playing it where that takes a person.

        The first of its pipeline, because that is the one which the world links.
        """
        free = {
            job.pipeline: job
            for job in reversed(self._jobs(bridge=True))
            if job.downstream is None and not job.finished
        }
        bridge = _pick(list(free.values()), who)
        if bridge is not None and bridge.status == "manual":
            self.world.play(bridge)
            self.done["trigger by hand"] += 1
        return bridge

    # --- jobs ---

    def _start(self, who: int, how: int) -> str | None:
        job = _pick([job for job in self._jobs() if job.status == "pending"], who)
        return None if job is None else self._did("start", self.world.start(job))

    def _finish(self, who: int, how: int) -> str | None:
        ready = [job for job in self._jobs() if job.status in {"pending", "running", "created"}]
        job = _pick(ready, who)
        if job is None:
            return None
        if any(job.id < other.id and other.finished for other in self._jobs() if other.project is job.project):
            self.done["out of order"] += 1
        status = ("success", "success", "success", "success", "success", "failed", "canceled", "skipped")[how]
        self.world.finish(job, status)
        return status

    def _finish_all(self, who: int, how: int) -> str | None:
        pipeline = _pick([p for p in self.world.pipelines.values() if _going(p)], who)
        if pipeline is None:
            return None
        for job in _going(pipeline)[:: 1 if how % 2 else -1]:
            self.world.finish(job)
        return "finished pipeline"

    def _late(self, who: int, how: int) -> str | None:
        ready = [job for job in self._jobs() if job.status in {"pending", "running", "created"} and job.spec.archive]
        job = _pick(ready, who)
        if job is None:
            return None
        self.world.finish(job, late=True)
        self.later(how + 1, lambda: self._upload(job))
        return "late archive"

    def _upload(self, job: SimJob) -> None:
        if not job.uploaded and job.started_at is not None:
            self.world.upload(job)

    def _play(self, who: int, how: int) -> str | None:
        job = _pick([job for job in self._jobs() if job.status in {"manual", "scheduled"}], who)
        if job is None:
            return None
        days = (self.world.clock.now() - job.created_at) > timedelta(days=1)
        if job.status == "scheduled":
            self.done["delayed"] += 1
        elif days:
            self.done["manual, days later"] += 1
            if job.pipeline.parent is not None:
                self.done["manual in a child, days later"] += 1
        self.world.play(job)
        if how < 6:
            # Most end on their own before long.
            self.later(how * how, lambda: self._end(job))
        return "play"

    def _retry(self, who: int, how: int) -> str | None:
        ended = {"success", "failed", "canceled"}
        job = _pick([job for job in self._jobs() if job.status in ended and not job.retried], who)
        if job is None:
            return None
        again = self.world.retry(job)
        if how < 6:
            self.later(how * how, lambda: self._end(again))
        return "retry"

    def _again(self, who: int, how: int) -> str | None:
        """A job that had ended runs again under its id.

        GitLab lets skipped ones do so behind a retry (app/services/ci/after_requeue_job_service.rb); the others only seem
        to, where one answer is older than the one before, and then they end as they had.
        """
        job = _pick([job for job in self._jobs() if job.finished and not job.retried], who)
        if job is None:
            return None
        if job.status == "skipped":
            self.world.rerun(job)
            self.world.start(job)
        else:
            self.world.replica.changing(job)
            job.status, job.finished_at = "running", None
            settle(job.pipeline, self.world.clock.now())
        self.back.append(job)
        if how < 6:
            self.later(how * 30, lambda: self._end(job))
        return "back to running"

    def _end(self, job: SimJob) -> None:
        if not job.finished:
            self.world.finish(job)

    def _slow(self, who: int, how: int) -> str | None:
        """A change that is seen minutes after its time: its transaction began before that of one which is seen already."""
        job = _pick([job for job in self._jobs() if job.status == "manual"], who)
        if job is None:
            return None
        # Never the time that the pipeline has already: two changes do not share one.
        began = self.world.clock.now() + timedelta(seconds=1)
        self.later(1, lambda: self._quick(job))

        def seen() -> None:
            if job.status == "manual":
                self.world.play(job)
                self.world.finish(job)
                job.pipeline.updated_at = began

        self.later(how + 2, seen)
        return "seen late"

    def _quick(self, job: SimJob) -> None:
        project = job.project
        for quick in self.world.add_pipeline(project, "main", [self._spec("build", "build")]).jobs:
            self.world.finish(quick)

    # --- trouble ---

    def _hide(self, who: int, how: int) -> str | None:
        project = _pick([p for p in self.world.projects.values() if p.visible], who)
        if project is None:
            return None
        project.visible = False

        def shown() -> None:
            project.visible = True

        self.later(60 * (how + 1) ** 2, shown)
        return "invisible"

    def _rename(self, who: int, how: int) -> str | None:
        project = _pick(list(self.world.projects.values()), who)
        if project is None:
            return None
        self.world.move(project, f"{project.path}-{how}")
        return "renamed"

    def _fault(self, who: int, how: int) -> str | None:
        path = ("", r"/jobs", r"/pipelines", r"/artifacts$")[who % 4]
        status = (500, 502)[how % 2]
        self.world.faults.add(Fault(action=Answer(status=status), path=path, times=how + 1, probability=0.5))
        return f"fault {status}"

    def _lag(self, who: int, how: int) -> str | None:
        """Lists come from a replica that is behind, for a while."""
        self.world.replica_lag = timedelta(seconds=(5, 20, 60, 240)[who % 4])

        def caught_up() -> None:
            self.world.replica_lag = timedelta()

        self.later(30 * (how + 1) ** 2, caught_up)
        return "replica behind"

    def _did(self, kind: str, _: SimJob) -> str:
        return kind

    def _jobs(self, *, bridge: bool = False) -> list[SimJob]:
        return [job for job in self.world.jobs.values() if job.spec.bridge == bridge]


def _going(pipeline: SimPipeline) -> list[SimJob]:
    still = {"pending", "running", "created"}
    return [job for job in pipeline.jobs if job.status in still and not job.spec.bridge]


def _pick(found: Sequence[T], who: int) -> T | None:
    return found[who % len(found)] if found else None
