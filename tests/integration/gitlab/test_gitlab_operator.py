"""The Jobs and Job artifacts API over HTTP, as somebody uses it who acts on single jobs."""

from __future__ import annotations

import pytest

from artifact_sync.core.model import Item
from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, Transient
from artifact_sync.gitlab import TokenKind
from artifact_sync.gitlab.downloads import download_place
from artifact_sync.gitlab.redirects import Hop
from artifact_sync.gitlab.targets import Targets
from artifact_sync.ports import Latest, Source
from artifact_sync.simulator import TOKEN, Delivery, JobSpec, SimToken, Throttle, World, faults, small
from artifact_sync.simulator.faults import Fault
from tests.integration.fetch.raw_server import raw_server, script
from tests.integration.gitlab.gitlab_harness import (
    ARCHIVE,
    Scene,
    client_of,
    downloaded,
    entries,
    json_answer,
    scene_of,
    token,
)

READER = "glpat-reader-of-no-worth-0000"
JOB_TOKEN = "glcbt-of-the-running-job-0000"


def add(scene: Scene, *specs: JobSpec, ref: str = "main"):
    return scene.world.add_pipeline(scene.project, ref, list(specs)).jobs


async def test_jobs_of_a_project_in_some_statuses():
    """All without a status; newest first, each page of a keyset."""
    async with scene_of() as scene:
        (failed,) = add(scene, JobSpec("lint"))
        scene.world.finish(failed, "failed")
        (waits,) = add(scene, JobSpec("deploy", when="manual"))
        operator, number = scene.client.operator, scene.project.id
        assert await entries(operator.jobs(number)) == [waits.id, failed.id, scene.job.id]
        assert await entries(operator.jobs(number, statuses=["failed", "manual"])) == [waits.id, failed.id]
        seen = list(scene.world.requests)[-1]
        assert (seen.query["pagination"], seen.query["sort"]) == ("keyset", "desc")


async def test_a_status_that_is_none():
    """The whole request is refused."""
    async with scene_of() as scene:
        with pytest.raises(Refused) as refused:
            await entries(scene.client.operator.jobs(scene.project.id, statuses=["tea"]))
        assert refused.value.status == 400


async def test_jobs_of_a_pipeline_with_the_superseded_ones():
    """Left out unless they are asked for."""
    async with scene_of() as scene:
        again = scene.world.retry(scene.job)
        number, pipeline = scene.project.id, scene.job.pipeline.id
        operator = scene.client.operator
        assert await entries(operator.pipeline_jobs(number, pipeline)) == [again.id]
        found = await entries(operator.pipeline_jobs(number, pipeline, include_retried=True))
        assert found == [again.id, scene.job.id]
        assert await entries(operator.pipeline_jobs(number, pipeline, statuses=["running"])) == []


@pytest.mark.parametrize(("version", "names"), [("19.2.0", ["trigger_jobs"]), ("18.0.0", ["trigger_jobs", "bridges"])])
async def test_trigger_jobs_by_either_name(version, names):
    """The newer name first; what they started is told with its project."""
    async with scene_of() as scene:
        scene.world.version = version
        child = scene.world.add_pipeline(scene.project, "main", [JobSpec("inner")], parent=scene.job.pipeline)
        pages = scene.client.operator.trigger_jobs(scene.project.id, scene.job.pipeline.id, statuses=["success"])
        (found,) = [job async for page in pages for job in page.items]
        assert found.downstream_pipeline is not None
        assert (found.downstream_pipeline.id, found.downstream_pipeline.project_id) == (child.id, scene.project.id)
        assert [seen.path.rpartition("/")[2] for seen in scene.world.requests] == names


async def test_one_job_with_everything_that_is_shown():
    """Times, durations, runner and user beside what rules need."""
    async with scene_of() as scene:
        found = await scene.client.operator.job(scene.project.id, scene.job.id)
        assert (found.name, found.status, found.duration, found.archived) == ("build", "success", 0.0, False)
        assert found.user is not None
        assert found.user.username == "mirror-bot"
        assert found.runner is not None
        assert found.archive is not None
        with pytest.raises(NotFound):
            await scene.client.operator.job(scene.project.id, 9)


async def test_the_job_of_a_job_token():
    """Told while it runs, with the agents it may use; 401 after that."""
    async with scene_of(token=token(JOB_TOKEN, TokenKind.JOB)) as scene:
        (running,) = add(scene, JobSpec("deploy"))
        scene.world.add_token(SimToken(value=JOB_TOKEN, kind="job", job_id=running.id, role=30))
        scene.world.start(running)
        assert (await scene.client.operator.own_job()).id == running.id
        agents = await scene.client.operator.allowed_agents()
        assert (agents.job.id, agents.project.id, agents.allowed_agents) == (running.id, scene.project.id, ())
        assert agents.user.roles_in_project == ("guest", "reporter", "developer")
        scene.world.finish(running)
        with pytest.raises(CredentialRefused):
            await scene.client.operator.own_job()


async def test_another_token_has_no_job():
    """404 with a personal access token."""
    async with scene_of() as scene:
        for call in (scene.client.operator.own_job, scene.client.operator.allowed_agents):
            with pytest.raises(NotFound):
                await call()


async def test_agents_are_decoded():
    """As GitLab's documentation shows them."""
    agent = {"id": 1, "config_project": {"id": 5, "path_with_namespace": "infra/agents", "description": None}}
    answer = {
        "allowed_agents": [agent],
        "job": {"id": 1},
        "pipeline": {"id": 2},
        "project": {"id": 3, "groups": [{"id": 4}]},
        "user": {"id": 2, "username": "user2", "roles_in_project": ["guest"]},
        "environment": {"tier": "production", "slug": "prod"},
    }
    async with raw_server(script([json_answer(answer)])) as server, client_of(server.url) as client:
        found = await client.operator.allowed_agents()
    assert found.allowed_agents is not None
    assert found.allowed_agents[0].config_project is not None
    assert found.allowed_agents[0].config_project.path_with_namespace == "infra/agents"
    assert found.environment is not None
    assert found.environment.tier == "production"


async def test_cancel():
    """201 whether that changes anything or not; GitLab leaves what has ended as it is."""
    async with scene_of() as scene:
        (job,) = add(scene, JobSpec("long"))
        scene.world.start(job)
        assert (await scene.client.operator.cancel(scene.project.id, job.id)).status == "canceled"
        assert (await scene.client.operator.cancel(scene.project.id, scene.job.id)).status == "success"
        assert scene.statuses("/cancel") == [201, 201]


async def test_cancel_by_force():
    """A job whose runner lets after_script end is canceling; only force ends it, for a Maintainer."""
    async with scene_of() as scene:
        (job,) = add(scene, JobSpec("long", cancels_gracefully=True))
        scene.world.start(job)
        operator, number = scene.client.operator, scene.project.id
        assert (await operator.cancel(number, job.id)).status == "canceling"
        assert (await operator.cancel(number, job.id)).status == "canceling"
        scene.world.add_token(SimToken(value=TOKEN, role=30))
        with pytest.raises(Denied):
            await operator.cancel(number, job.id, force=True)
        scene.world.add_token(SimToken(value=TOKEN))
        assert (await operator.cancel(number, job.id, force=True)).status == "canceled"


async def test_retry_with_inputs():
    """A new job with another number, which has them; a second retry of the old one is refused."""
    async with scene_of() as scene:
        operator, number = scene.client.operator, scene.project.id
        again = await operator.retry(number, scene.job.id, inputs={"target": "a=b c"})
        assert (again.id != scene.job.id, again.status) == (True, "pending")
        assert scene.world.jobs[again.id].inputs == {"target": "a=b c"}
        with pytest.raises(Denied):
            await operator.retry(number, scene.job.id)


async def test_inputs_are_nothing_to_an_older_server():
    """It ignores them without a word."""
    async with scene_of() as scene:
        scene.world.version = "18.9.0"
        again = await scene.client.operator.retry(scene.project.id, scene.job.id, inputs={"target": "x"})
        assert scene.world.jobs[again.id].inputs == {}


async def test_play_with_variables_and_inputs():
    """Both arrive as they were given, also what JSON and URLs have to quote."""
    async with scene_of() as scene:
        (job,) = add(scene, JobSpec("deploy", when="manual"))
        given = {"TARGET": 'a "b" & c=d', "EMPTY": ""}
        found = await scene.client.operator.play(scene.project.id, job.id, variables=given, inputs={"n": "1"})
        assert (found.id, found.status) == (job.id, "pending")
        assert (job.variables, job.inputs) == (given, {"n": "1"})
        with pytest.raises(Refused) as refused:
            await scene.client.operator.play(scene.project.id, scene.job.id)
        assert refused.value.status == 400


async def test_trigger_jobs_are_played_and_not_shown():
    """GET is 404 for them (find_build!), play is not (find_job!)."""
    async with scene_of() as scene:
        (bridge,) = add(scene, JobSpec("downstream", bridge=True, when="manual", trace=None))
        with pytest.raises(NotFound):
            await scene.client.operator.job(scene.project.id, bridge.id)
        assert (await scene.client.operator.play(scene.project.id, bridge.id)).status == "pending"


async def test_erase():
    """Artifacts and log go; what has not ended is refused, and what is archived."""
    async with scene_of() as scene:
        operator, number = scene.client.operator, scene.project.id
        (waits,) = add(scene, JobSpec("deploy", when="manual"))
        for job in (waits, scene.job):
            scene.job.archived = True
            with pytest.raises(Denied):
                await operator.erase(number, job.id)
        scene.job.archived = False
        found = await operator.erase(number, scene.job.id)
        assert (found.erased_at is not None, found.artifacts) == (True, ())
        assert scene.job.trace == b""


async def test_who_may_erase():
    """Maintainers, and whose job it is, but not on a protected ref."""
    async with scene_of() as scene:
        operator, number = scene.client.operator, scene.project.id
        scene.world.add_token(SimToken(value=TOKEN, role=30, user_id=2))
        with pytest.raises(Denied):
            await operator.erase(number, scene.job.id)
        scene.world.add_token(SimToken(value=TOKEN, role=30, user_id=1))
        scene.project.protected_refs.add("main")
        with pytest.raises(Denied):
            await operator.erase(number, scene.job.id)
        scene.project.protected_refs.clear()
        assert (await operator.erase(number, scene.job.id)).erased_at is not None


async def test_artifacts_of_a_project_expire_at_once():
    """202; what is locked stays, the rest goes with the next sweep, logs never."""
    async with scene_of() as scene:
        (old,) = add(scene, JobSpec("old", archive=small("old")), ref="topic")
        scene.world.finish(old)
        newest = scene.world.finish(add(scene, JobSpec("old", archive=small("new")), ref="topic")[0])
        await scene.client.operator.delete_project_artifacts(scene.project.id)
        assert (old.expire_at is not None, newest.expire_at) == (True, None)
        scene.clock.jump(600)
        await scene.client.operator.job(scene.project.id, old.id)
        assert (old.archive, newest.archive is None, old.trace != b"") == (None, False, True)
        assert scene.statuses("/artifacts") == [202]


async def test_nothing_is_deleted_while_sizes_are_counted():
    """409, for an erasure and both deletions."""
    async with scene_of(attempts=5) as scene:
        scene.project.refreshing = True
        operator, number = scene.client.operator, scene.project.id
        for call in (
            operator.erase(number, scene.job.id),
            operator.delete_project_artifacts(number),
            scene.client.delete_artifacts(number, scene.job.id),
        ):
            with pytest.raises(Refused) as refused:
                await call
            assert refused.value.status == 409
        assert scene.job.archive is not None


async def test_the_files_of_an_archive():
    """Below a folder, or all of them; 404 for a folder that is none, and from an older server."""
    async with scene_of() as scene:
        operator, number, job = scene.client.operator, scene.project.id, scene.job.id
        names = [entry.name async for page in operator.tree(number, job) for entry in page.items]
        assert names == ["dist/", "reports/", "VERSION", "empty.txt"]
        names = [entry.name async for page in operator.tree(number, job, path="reports") for entry in page.items]
        assert names == ["reports/test log.txt"]
        with pytest.raises(NotFound, match="Path"):
            await anext(operator.tree(number, job, path="nowhere"))
        scene.world.version = "18.7.0"
        with pytest.raises(NotFound):
            await anext(operator.tree(number, job))


@pytest.mark.parametrize("action", [faults.Answer(status=500), faults.Hangup(), faults.Hangup(reset=True)])
@pytest.mark.parametrize("verb", ["cancel", "retry", "play", "erase", "delete_project_artifacts"])
async def test_a_write_is_not_repeated_when_it_may_have_been_done(action, verb):
    """A second retry would run the job twice."""
    async with scene_of(attempts=5) as scene:
        scene.world.faults.add(Fault(action=action, times=None))
        which = () if verb == "delete_project_artifacts" else (scene.job.id,)
        with pytest.raises(Transient):
            await getattr(scene.client.operator, verb)(scene.project.id, *which)
        assert len(list(scene.world.requests)) == 1


async def test_a_write_is_repeated_when_it_was_surely_not_done():
    """A quota stands in front of it; the body goes along again."""
    async with scene_of(attempts=3) as scene:
        (job,) = add(scene, JobSpec("deploy", when="manual"))
        scene.world.limits.throttle = Throttle(limit=1)
        await scene.client.version()
        await scene.client.operator.play(scene.project.id, job.id, variables={"A": "1"})
        assert scene.statuses("/play") == [429, 200]
        assert job.variables == {"A": "1"}


async def test_the_keep_token_writes_and_the_other_reads():
    """Each sees its own requests alone."""
    async with scene_of(token=token(READER), keep_token=token(TOKEN)) as scene:
        scene.world.add_token(SimToken(value=READER, scopes=("read_api",)))
        await scene.client.operator.job(scene.project.id, scene.job.id)
        await scene.client.operator.retry(scene.project.id, scene.job.id)
        shown = [(seen.method, seen.headers["PRIVATE-TOKEN"]) for seen in scene.world.requests]
        assert shown == [("GET", READER), ("POST", TOKEN)]


async def test_a_token_that_only_reads_changes_nothing():
    """The scope that lacks is named."""
    async with scene_of() as scene:
        scene.world.add_token(SimToken(value=TOKEN, scopes=("read_api",)))
        with pytest.raises(CredentialRefused, match="higher privileges"):
            await scene.client.operator.cancel(scene.project.id, scene.job.id)


def by_ref(scene: Scene, ref: str, job: str, item: Item = ARCHIVE, *, recent: bool = False) -> Source:
    return Source(project_id=scene.project.id, job_id=0, item=item, latest=Latest(ref=ref, job=job, recent=recent))


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_an_archive_by_ref(delivery):
    """However it is delivered; no credential goes along to the object store."""
    async with scene_of() as scene:
        scene.world.delivery = delivery
        assert await downloaded(scene.client, by_ref(scene, "main", "build")) == scene.archive
        stored = [seen for seen in scene.world.requests if seen.origin == "storage"]
        assert len(stored) == (delivery == Delivery.REDIRECT)
        assert not any(TOKEN in repr(dict(seen.headers)) for seen in stored)


async def test_a_ref_and_a_job_with_all_kinds_of_signs():
    """Slashes of a ref stay, everything else is quoted."""
    async with scene_of() as scene:
        name, ref = "build: [a/b, 100%] & more?", "feature/ä b#1"
        scene.world.finish(add(scene, JobSpec(name, archive=small("x")), ref=ref)[0])
        item = Item(kind="file", name="f", path="reports/test log.txt")
        assert b"test 0 of x" in await downloaded(scene.client, by_ref(scene, ref, name, item))
        assert (
            "/jobs/artifacts/feature/%C3%A4%20b%231/raw/reports/test%20log.txt" in list(scene.world.requests)[-1].path
        )


async def test_the_rest_of_an_archive_by_ref():
    """From where it broke, as long as the ref's newest job is the same; from the start when another one has come."""
    async with scene_of() as scene:
        source, tag = by_ref(scene, "main", "build"), f'"{scene.job.spec.archive.content.sha256}"'  # type: ignore[union-attr]  # it has one
        size = len(scene.archive)
        rest = await downloaded(scene.client, source, offset=100, etag=tag, total=size)
        assert rest == scene.archive[100:]
        newer = scene.world.finish(add(scene, JobSpec("build", archive=small("newer")))[0])
        whole = await downloaded(scene.client, source, offset=100, etag=tag, total=size)
        assert newer.spec.archive is not None
        assert whole == newer.spec.archive.content.data


async def test_recent_pipelines_are_looked_through():
    """Where the newest one has no such job; an older server ignores it, of files longer than of archives."""
    async with scene_of() as scene:
        scene.world.finish(add(scene, JobSpec("lint"))[0])
        file = Item(kind="file", name="f", path="VERSION")
        with pytest.raises(NotFound, match="404 Job Not Found"):
            await downloaded(scene.client, by_ref(scene, "main", "build"))
        assert await downloaded(scene.client, by_ref(scene, "main", "build", recent=True)) == scene.archive
        assert await downloaded(scene.client, by_ref(scene, "main", "build", file, recent=True)) == b"build\n"
        scene.world.version = "18.7.0"
        assert await downloaded(scene.client, by_ref(scene, "main", "build", recent=True)) == scene.archive
        with pytest.raises(NotFound):
            await downloaded(scene.client, by_ref(scene, "main", "build", file, recent=True))


async def test_by_ref_the_access_of_artifacts_holds_as_well():
    """`artifacts:access: none` is 403 for everybody."""
    async with scene_of(World()) as scene:
        scene.world.finish(add(scene, JobSpec("secret", archive=small("s"), access="none"), ref="v1")[0])
        with pytest.raises(Denied):
            await downloaded(scene.client, by_ref(scene, "v1", "secret"))


def test_what_only_a_number_opens():
    """A log has no address by ref."""
    trace = Item(kind="trace", name="job.log")
    with pytest.raises(ValueError, match="by its ref"):
        download_place(Source(project_id=1, job_id=0, item=trace, latest=Latest(ref="main", job="x")))


def test_where_a_download_by_ref_came_from_is_not_remembered():
    """Another ref's archive, or a newer one, would come from there."""
    targets, hop = Targets(), Hop(url="https://store.example/a?signature=x", trusted=False)
    numbered = Source(project_id=1, job_id=7, item=ARCHIVE)
    latest = Source(project_id=1, job_id=0, item=ARCHIVE, latest=Latest(ref="main", job="x"))
    for source in (numbered, latest):
        targets.learn(source, hop)
    assert (targets.of(numbered), targets.of(latest)) == (hop, None)
