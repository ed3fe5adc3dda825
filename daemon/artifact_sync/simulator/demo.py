"""A minute in the life of a small company's GitLab, made to be mirrored."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from http import HTTPStatus

from artifact_sync.simulator.archives import big, small
from artifact_sync.simulator.faults import Answer, Fault
from artifact_sync.simulator.living import LivingWorld, Tell
from artifact_sync.simulator.state import JobSpec, SimJob, SimPipeline, SimProject
from artifact_sync.simulator.world import World

__all__ = ["EXPIRES_AFTER", "demo_world"]

#: The archive that cannot be fetched at first lives this many seconds.
EXPIRES_AFTER = 28
#: From its end on, downloading it is answered 503 for this long.
_BROKEN_FOR = 19
_MONTH = timedelta(days=30)
_HISTORY = timedelta(hours=6)
#: Visible as a progress bar on a local connection.
_INSTALLER = 48 << 20


def demo_world(seed: object = 0, *, tell: Tell | None = None) -> tuple[World, LivingWorld]:
    """A world with some history, and what will happen in it once ``LivingWorld.run`` runs.

    In seconds from now:

    - 2: ``package`` on acme/app main ends; its archive answers 503 until 21 and expires at 30, so that it must be kept.
    - 3..5: on acme/lib/parser the job with the higher id ends first.
    - 5..8: a ``preview`` on a feature branch whose archive is gone for good at about 20.
    - 6..11: a child pipeline of acme/app builds the ``handbook``.
    - 8..14: ``package`` of acme/web fails, is retried and succeeds.
    - 9 and 15: the tags v1.2.0-rc.1 and v1.2.0 of acme/app.
    - 20..23: the manual job ``sign`` of acme/app is played.
    - 26: a merge request's pipeline.

    Expired archives are swept every 3 seconds. On top of that random pipelines start, about four a minute.
    """
    # Cron in seconds instead of minutes, or nothing would expire while somebody watches.
    world = World(seed=seed, sweep_every=timedelta(seconds=3))
    app, parser, web = (world.add_project(path) for path in ("acme/app", "acme/lib/parser", "acme/web"))
    world.add_project("tools/sandbox")
    for project in world.projects.values():
        project.keep_latest = False
    _history(world, app, parser, web, seed)
    living = LivingWorld(world, seed=seed, rate=4, tell=tell)
    _late_and_short_lived(living, app, seed)
    _out_of_order(living, parser, seed)
    _preview(living, web, seed)
    _retried(living, web, seed)
    for at, ref in ((9, "v1.2.0-rc.1"), (15, "v1.2.0")):
        living.at(at, partial(_release, living, app, ref, seed))
    living.at(26, lambda: _merge_request(living, web, seed))
    return world, living


def _history(world: World, app: SimProject, parser: SimProject, web: SimProject, seed: object) -> None:
    start = world.clock.now() - _HISTORY
    for number, (project, ref, tag) in enumerate(
        [
            (app, "v1.0.0", True),
            (parser, "main", False),
            (web, "main", False),
            (app, "main", False),
            (app, "v1.1.0-rc.1", True),
            (app, "v1.1.0", True),
            (parser, "v0.9.0", True),
            (web, "main", False),
        ]
    ):
        at = start + number * timedelta(minutes=40)
        pipeline = world.add_pipeline(project, ref, _jobs(f"{seed} {number}"), tag=tag, at=at)
        for minutes, job in enumerate(pipeline.jobs, start=2):
            world.finish(job, at=at + timedelta(minutes=minutes))


def _jobs(what: str) -> list[JobSpec]:
    return [
        JobSpec("compile", "build", archive=small(f"compile {what}"), expire_in=timedelta(days=1)),
        JobSpec("unit", "test", reports=("junit",), archive=small(f"unit {what}"), expire_in=timedelta(days=7)),
        JobSpec("package", "package", archive=small(f"package {what}", size=300_000), expire_in=_MONTH),
    ]


def _late_and_short_lived(living: LivingWorld, app: SimProject, seed: object) -> None:
    world = living.world
    soon = timedelta(seconds=EXPIRES_AFTER)
    pipeline = world.add_pipeline(
        app,
        "main",
        [
            JobSpec("compile", "build", archive=small(f"late compile {seed}"), expire_in=timedelta(days=1)),
            JobSpec("package", "package", archive=small(f"short-lived {seed}", size=500_000), expire_in=soon),
            JobSpec("handbook", "docs", bridge=True, trace=None),
            JobSpec("sign", "release", when="manual", archive=small(f"signature {seed}"), expire_in=_MONTH),
        ],
    )
    build, package, _, sign = pipeline.jobs
    living.run_job(build, start=0.2, end=1)
    living.run_job(package, start=1, end=2)
    broken = world.faults.add(
        Fault(
            path=rf"/jobs/{package.id}/artifacts$",
            method="GET",
            times=None,
            action=Answer(
                status=HTTPStatus.SERVICE_UNAVAILABLE, body="Service Unavailable", headers={"Retry-After": "2"}
            ),
        )
    )
    living.at(2 + _BROKEN_FOR, lambda: world.faults.remove(broken))
    living.at(6, lambda: _child(living, pipeline, seed))
    living.at(20, lambda: _play(living, sign))


def _play(living: LivingWorld, job: SimJob) -> None:
    living.world.play(job)
    living.run_job(job, start=0.5, end=3)


def _child(living: LivingWorld, parent: SimPipeline, seed: object) -> None:
    spec = JobSpec("handbook:html", "build", archive=small(f"handbook {seed}", size=80_000), expire_in=_MONTH)
    child = living.world.add_pipeline(parent.project, parent.ref, [spec], parent=parent)
    living.run_job(child.jobs[0], start=1, end=5)


def _out_of_order(living: LivingWorld, parser: SimProject, seed: object) -> None:
    specs = [JobSpec(name, archive=small(f"{name} {seed}"), expire_in=_MONTH) for name in ("compile", "package")]
    first, second = living.world.add_pipeline(parser, "main", specs).jobs
    living.run_job(second, start=0.3, end=3)
    living.run_job(first, start=0.5, end=5)


def _preview(living: LivingWorld, web: SimProject, seed: object) -> None:
    def act() -> None:
        spec = JobSpec("preview", archive=small(f"preview {seed}"), expire_in=timedelta(seconds=12))
        job = living.world.add_pipeline(web, "feature/login", [spec]).jobs[0]
        living.run_job(job, start=0.5, end=3)

    living.at(5, act)


def _retried(living: LivingWorld, web: SimProject, seed: object) -> None:
    def fail() -> None:
        job = living.world.add_pipeline(web, "main", _jobs(f"retried {seed}")[2:]).jobs[0]
        living.run_job(job, start=0.5, end=2, status="failed")
        living.after(4, lambda: living.run_job(living.world.retry(job), start=0.5, end=4))

    living.at(6, fail)


def _release(living: LivingWorld, app: SimProject, ref: str, seed: object) -> None:
    jobs = [
        *_jobs(f"{ref} {seed}"),
        JobSpec("package:installer", "package", archive=big(_INSTALLER, seed=ref), expire_in=_MONTH),
    ]
    pipeline = living.world.add_pipeline(app, ref, jobs, tag=True)
    for number, job in enumerate(reversed(pipeline.jobs)):
        living.run_job(job, start=0.3, end=2 + number)


def _merge_request(living: LivingWorld, web: SimProject, seed: object) -> None:
    pipeline = living.world.add_pipeline(
        web, "refs/merge-requests/7/head", _jobs(f"merge request {seed}"), source="merge_request_event"
    )
    for number, job in enumerate(pipeline.jobs):
        living.run_job(job, start=0.3, end=2 + number)
