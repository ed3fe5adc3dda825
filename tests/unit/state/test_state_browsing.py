"""What a person looks for in the state: found by its scope, in its order, and by an index."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from artifact_sync.core.model import Item, Job, Pipeline, Transfer
from artifact_sync.errors import Outcome
from artifact_sync.ports import TransferState, Trouble
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.state.browsing import _BROWSING, SqliteBrowsing
from tests.unit.state.test_state_catalogue import publish

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def transfer(number: int, *, project: int = 1, ref: str = "main", name: str = "build", **options: object) -> Transfer:
    """To be brought over; its job ended ``number`` hours after the beginning."""
    made = Transfer(
        project_id=project,
        project_path=f"acme/p{project}",
        job=Job(
            id=number,
            name=name,
            status="success",
            ref=ref,
            finished_at=NOW + number * HOUR,
            pipeline=Pipeline(id=number),
        ),
        rules=("r",),
        items=(Item(kind="archive", name="artifacts.zip"),),
        dest=f"acme/p{project}/{ref.replace('/', '%2F')}/{name}/{number}",
    )
    return msgspec.structs.replace(made, **options)


@pytest.fixture
async def state(tmp_path):
    """A new one."""
    async with SqliteState.open(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def browsing(state):
    """Looks into it."""
    return SqliteBrowsing(state)


def jobs(found) -> list[int]:
    """Ids."""
    return [one.transfer.job.id for one in found]


async def fail(state: SqliteState, error: str) -> int:
    """The next transfer fails for good; its job."""
    queue = EmbeddedQueue(state)
    claimed = await queue.claim(NOW)
    assert claimed is not None
    await queue.fail(claimed.id, Outcome.CORRUPT, error, retry_at=None)
    return claimed.transfer.job.id


async def test_every_project_is_named_also_one_of_which_nothing_is_mirrored(state, browsing):
    """By the path that its newest transfer has."""
    await publish(state, transfer(1), transfer(2, project=7))
    await state.want([transfer(3, project=3), transfer(4, project=7, project_path="acme/renamed")], now=NOW)
    found = await browsing.projects()
    assert [(one.id, one.path) for one in found] == [(1, "acme/p1"), (3, "acme/p3"), (7, "acme/renamed")]


async def test_what_is_at_risk_comes_soonest_first(state, browsing):
    """Of the scope alone; what is published or has no deadline is in no danger."""
    await publish(state, transfer(1, deadline=NOW + HOUR))
    waiting = [transfer(n, project=1 + n % 2, deadline=NOW + (10 - n) * HOUR) for n in range(2, 6)]
    await state.want([*waiting, transfer(9)], now=NOW)
    assert jobs(await browsing.at_risk(None, limit=9)) == [5, 4, 3, 2]
    assert jobs(await browsing.at_risk([2], limit=9)) == [5, 3]
    assert jobs(await browsing.at_risk(None, limit=1)) == [5]
    assert jobs(await browsing.at_risk([], limit=9)) == []


async def test_what_expires_is_counted_between_two_moments(state, browsing):
    """The first included, the second not; by scope."""
    await state.want([transfer(n, project=1 + n % 2, deadline=NOW + n * HOUR) for n in range(1, 7)], now=NOW)
    bounds = [NOW + n * HOUR for n in (0, 1, 3, 6, 9)]
    assert list(await browsing.expiring(None, bounds)) == [0, 2, 3, 1]
    assert list(await browsing.expiring([1], bounds)) == [0, 1, 1, 1]


async def test_what_runs_and_what_failed(state, browsing):
    """Failures newest first, with their reason; by scope."""
    await state.want([transfer(n, project=n) for n in (1, 2, 3)], now=NOW)
    failed = [await fail(state, f"error {number}") for number in range(2)]
    claimed = await EmbeddedQueue(state).claim(NOW)
    assert claimed is not None
    (running,) = await browsing.running(None, limit=9)
    assert (running.id, running.state, running.mirrored) == (claimed.id, TransferState.DOWNLOADING, False)
    assert await browsing.running([99], limit=9) == ()
    found = await browsing.failed(None, limit=9)
    assert jobs(found) == failed[::-1]
    assert (found[0].error, found[0].outcome, found[0].attempts) == ("error 1", Outcome.CORRUPT, 1)
    assert jobs(await browsing.failed(failed[:1], limit=9)) == failed[:1]


async def test_the_last_publications_are_of_the_newest_jobs_and_of_those_that_were_heard_of(state, browsing):
    """An old job that was published just now is among them; none twice, and none that is gone."""
    await publish(state, *(transfer(n, project=1 + n % 2) for n in range(2, 9)))
    await publish(state, transfer(1, project=2))
    (late,) = await state.find(2, 1)
    assert jobs(await browsing.recent(None, limit=2)) == [8, 7]
    assert sorted(jobs(await browsing.recent(None, limit=3, also=[late.id, late.id, 999]))) == [1, 7, 8]
    assert jobs(await browsing.recent([1], limit=9, also=[late.id])) == [8, 6, 4, 2]
    assert sorted(jobs(await browsing.recent([2], limit=9))) == [1, 3, 5, 7]
    await EmbeddedQueue(state).lost(late.id)
    assert 1 not in jobs(await browsing.recent(None, limit=99, also=[late.id]))


async def test_refs_come_in_order_each_with_its_newest_job(state, browsing):
    """From one on; without those whose publications are all gone, and of this project alone."""
    await publish(
        state,
        *(transfer(n, ref=ref) for n, ref in enumerate(("main", "a/b", "v1", "main", "z"), start=1)),
        transfer(9, ref="other", project=2),
    )
    (gone,) = await state.find(1, 5)
    await EmbeddedQueue(state).lost(gone.id)
    found = await browsing.refs(1, after="", limit=9)
    assert [(one.transfer.job.ref, one.transfer.job.id) for one in found] == [("a/b", 2), ("main", 4), ("v1", 3)]
    assert jobs(await browsing.refs(1, after="a/b", limit=1)) == [4]
    assert await browsing.refs(3, after="", limit=9) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12", [12]),
        ("#2", [2]),
        ("P1 build", [3, 2, 1]),
        ("feature/x", [3]),
        ("ture/", [3]),
        ("acme/p2", [12]),
        ("-rc", [2]),
        ("acme nothing", []),
        ("%", []),
        ("_", []),
        ("build main acme p1 ignored-fifth", [1]),
        ("", []),
    ],
)
async def test_search_finds_all_words_or_a_number(state, browsing, text, found):
    """In whatever case, with slashes as people write them; no wildcard."""
    names = [transfer(1), transfer(2, ref="v1-rc2"), transfer(3, ref="feature/x"), transfer(12, project=2)]
    await publish(state, *names[:3])
    await state.want(names[3:], now=NOW)
    shown = jobs(await browsing.search(text, None, limit=9))
    assert sorted(shown) == sorted(found)
    assert shown[:1] == found[:1]
    if 12 in found:
        assert 12 not in jobs(await browsing.search(text, [1], limit=9))


async def test_a_search_in_some_projects_is_not_crowded_out_by_others(state, browsing):
    """However many newer matches there are elsewhere."""
    await state.want([transfer(1, project=2)], now=NOW)
    await state.want([transfer(n) for n in range(2, 2600)], now=NOW)
    assert jobs(await browsing.search("build", [2], limit=9)) == [1]
    assert jobs(await browsing.search("build", None, limit=3)) == [2599, 2598, 2597]


async def test_troubles_stand_longest_first(state, browsing):
    """So many at most."""
    for number in range(3):
        await state.note_trouble(Trouble(subject=f"p{number}", error="e", hint="h", since=NOW - number * HOUR))
    assert [one.subject for one in await browsing.troubles(limit=2)] == ["p2", "p1"]


@pytest.mark.parametrize("query", sorted(_BROWSING))
async def test_no_list_reads_the_whole_table(state, query):
    """Each goes by an index; the search for words goes through that of the destinations, which is small."""
    parameters = dict.fromkeys(
        ("scope", "limit", "project_id", "after", "since", "until", "ids", "id", "job_id", "matches"), 1
    ) | {f"{kind}_{number}": "x" for kind in ("word", "place") for number in range(4)}
    named = {key: value for key, value in parameters.items() if f":{key}" in _BROWSING[query]}
    plan = await state.read(
        lambda database: [row["detail"] for row in database.execute(f"EXPLAIN QUERY PLAN {_BROWSING[query]}", named)]
    )
    assert not [step for step in plan if step in {"SCAN transfer", "SCAN t"}], plan
    if query not in {"placed", "recent_of"}:
        assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step and query != "running"], plan
