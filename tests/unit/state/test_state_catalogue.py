"""What is found in the state by those who read the mirror, and how the columns for it come into an older database."""

from datetime import UTC, datetime

import msgspec
import pytest

from artifact_sync.core.model import Item, Job, Pipeline, StagedFile, Transfer
from artifact_sync.ports import Published
from artifact_sync.ports.catalogue import MirroredJob
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState, schema
from artifact_sync.state.catalogue import _CATALOGUE, SqliteCatalogue
from artifact_sync.state.queries import migrations

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def transfer(
    job_id: int,
    *,
    project: int = 1,
    pipeline: int = 10,
    ref: str = "main",
    name: str = "build",
    dest: str | None = None,
) -> Transfer:
    """To be brought over."""
    return Transfer(
        project_id=project,
        project_path=f"acme/p{project}",
        job=Job(id=job_id, name=name, status="success", ref=ref, pipeline=Pipeline(id=pipeline, status="success")),
        rules=("r",),
        items=(Item(kind="archive", name="artifacts.zip"),),
        dest=dest or f"{project}/{job_id}",
    )


async def publish(state: SqliteState, *transfers: Transfer) -> None:
    """Have them published."""
    queue = EmbeddedQueue(state)
    await state.want(transfers, now=NOW)
    while (queued := await queue.claim(NOW)) is not None:
        file = StagedFile(name="artifacts.zip", part="p", sha256="0" * 64, size=1)
        await queue.stage(queued.id, [file])
        await queue.publish(queued.id, Published(dest=queued.transfer.dest, size=1, manifest_sha256="1" * 64), NOW)


@pytest.fixture
async def state(tmp_path):
    """A new one."""
    async with SqliteState.open(tmp_path / "state.db") as opened:
        yield opened


def ids(found: tuple[MirroredJob, ...]) -> list[int]:
    """Of jobs."""
    return [mirrored.job.id for mirrored in found]


async def test_jobs_come_newest_first_and_each_once(state):
    """Also one with two publications; by page, by cursor and by status."""
    await publish(state, *(transfer(n) for n in (1, 2, 3, 5)), transfer(3, dest="other"), transfer(4, project=2))
    catalogue = SqliteCatalogue(state)
    every = await catalogue.jobs(1, before=None, statuses=(), limit=10)
    assert ids(every) == [5, 3, 2, 1]
    assert [len(mirrored.copies) for mirrored in every] == [1, 2, 1, 1]
    assert ids(await catalogue.jobs(1, before=5, statuses=(), limit=2)) == [3, 2]
    assert ids(await catalogue.jobs(1, before=None, statuses=(), limit=2, offset=2)) == [2, 1]
    assert ids(await catalogue.jobs(1, before=None, statuses=("success", "failed"), limit=9)) == [5, 3, 2, 1]
    assert ids(await catalogue.jobs(1, before=None, statuses=("failed",), limit=9)) == []


async def test_what_is_wanted_lost_or_pruned_is_not_there(state):
    """In no list, and not by its id."""
    await publish(state, transfer(1), transfer(2), transfer(3))
    await state.want([transfer(4)], now=NOW)
    queue, catalogue = EmbeddedQueue(state), SqliteCatalogue(state)
    (lost,), (pruned,) = await state.find(1, 1), await state.find(1, 2)
    await queue.lost(lost.id)
    assert await state.pruning(pruned.id, why="old", trash="t", at=NOW)
    assert ids(await catalogue.jobs(1, before=None, statuses=(), limit=9)) == [3]
    assert [await catalogue.job(1, number) is not None for number in (1, 2, 3, 4)] == [False, False, True, False]
    assert ids(await catalogue.pipeline(1, 10, limit=9)) == [3]
    assert [job.id for job in await catalogue.on_ref(1, "main", before=None, limit=9)] == [3]


async def test_what_gained_items_is_served_meanwhile(state):
    """It is wanted again, and what was published before still stands."""
    await publish(state, transfer(1))
    known = transfer(1)
    more = msgspec.structs.replace(known, items=(*known.items, Item(kind="trace", name="job.log")))
    await state.want([more], now=NOW)
    catalogue = SqliteCatalogue(state)
    found = await catalogue.job(1, 1)
    assert found is not None
    assert [file.name for file in await catalogue.files(found.copies[0])] == ["artifacts.zip"]


async def test_jobs_are_found_by_ref_and_by_pipeline(state):
    """Of their own project alone."""
    await publish(
        state,
        transfer(1, ref="main", pipeline=10),
        transfer(2, ref="feature/x", pipeline=11),
        transfer(3, ref="main", pipeline=12),
        transfer(4, ref="main", pipeline=12, project=2),
    )
    catalogue = SqliteCatalogue(state)
    assert [job.id for job in await catalogue.on_ref(1, "main", before=None, limit=9)] == [3, 1]
    assert [job.id for job in await catalogue.on_ref(1, "main", before=3, limit=9)] == [1]
    assert [job.id for job in await catalogue.on_ref(1, "MAIN", before=None, limit=9)] == []
    assert ids(await catalogue.pipeline(1, 12, limit=9)) == [3]


async def test_projects_are_those_of_which_something_is_published(state):
    """By id, and by the path that they have."""
    await publish(state, transfer(1), transfer(2, project=7), transfer(3, project=9))
    await state.want([transfer(4, project=8)], now=NOW)
    catalogue = SqliteCatalogue(state)
    assert [(p.id, p.path) for p in await catalogue.projects(limit=9)] == [
        (1, "acme/p1"),
        (7, "acme/p7"),
        (9, "acme/p9"),
    ]
    assert [p.id for p in await catalogue.projects(after=1, limit=1)] == [7]
    found = await catalogue.project_named("acme/p7")
    assert found is not None
    assert found.id == 7
    assert await catalogue.project_named("acme/p8") is None


@pytest.mark.parametrize("query", ["ref", "pipeline"])
async def test_lookups_use_their_index(state, query):
    """A project of a million jobs is not read for one of them."""

    def plan(database):
        values = {"project_id": 1, "ref": "main", "before": 9, "limit": 1, "pipeline_id": 1}
        return [row["detail"] for row in database.execute(f"EXPLAIN QUERY PLAN {_CATALOGUE[query]}", values)]

    (step,) = await state.read(plan)
    assert f"USING INDEX transfer_by_{query}" in step


@pytest.mark.parametrize("mirrored", [True, False])
async def test_projects_are_listed_by_an_index(state, mirrored):
    """Of a project with a million jobs as few rows are read as of any other."""

    def plan(database):
        values = {"mirrored": mirrored, "after": 0, "limit": 1}
        return [row["detail"] for row in database.execute(f"EXPLAIN QUERY PLAN {_CATALOGUE['projects']}", values)]

    steps = await state.read(plan)
    assert [step for step in steps if step.startswith("SEARCH transfer")]
    assert not [step for step in steps if step.startswith("SCAN transfer")], steps


async def test_an_older_database_is_found_through_as_well(tmp_path, state):
    """Its rows get the columns from what they hold."""
    await publish(state, transfer(1, ref="v1", pipeline=33))
    rows = await state.read(lambda database: [tuple(row) for row in database.execute("SELECT * FROM transfer")])
    names = await state.read(lambda database: [row["name"] for row in database.execute("PRAGMA table_info(transfer)")])
    kept = [at for at, name in enumerate(names) if name not in {"pipeline_id", "ref"}]
    old = tmp_path / "old.db"
    database = schema.connect(old, [step for step in migrations() if step.version < 8])
    columns, marks = ", ".join(names[at] for at in kept), ", ".join("?" for _ in kept)
    database.executemany(f"INSERT INTO transfer ({columns}) VALUES ({marks})", [[r[at] for at in kept] for r in rows])
    database.close()
    async with SqliteState.open(old) as migrated:
        catalogue = SqliteCatalogue(migrated)
        assert [job.id for job in await catalogue.on_ref(1, "v1", before=None, limit=9)] == [1]
        assert ids(await catalogue.pipeline(1, 33, limit=9)) == [1]
