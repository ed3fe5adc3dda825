"""From decisions to transfers and keeps, and the times they are due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.backoff import delay
from artifact_sync.core.deadlines import keep_due
from artifact_sync.core.model import Artifact, Candidate, Job, Project
from artifact_sync.core.paths import Template
from artifact_sync.core.planning import keeps, plan
from artifact_sync.core.rules import Fetch, Keep, KeepPolicy, ProjectSelectors, Publish, Rule, explain

NOW = datetime(2024, 6, 1, tzinfo=UTC)
EVERYTHING = ProjectSelectors.parse(["**"])
MINUTE = timedelta(minutes=1)


def candidate(*, archive=True, expire_in: timedelta | None = timedelta(days=30), **job) -> Candidate:
    listed = (Artifact(file_type="archive", size=10),) if archive else (Artifact(file_type="junit", size=1),)
    values = {
        "id": 7,
        "name": "package",
        "status": "success",
        "ref": "main",
        "finished_at": NOW,
        "artifacts": listed,
        "artifacts_expire_at": NOW + expire_in if expire_in else None,
        **job,
    }
    return Candidate(project=Project(id=3, path_with_namespace="group/app"), job=Job(**values), retried=False)


def rule(name: str, *, path="{project}/{job_id}", **parts) -> Rule:
    return Rule(name=name, projects=EVERYTHING, publish=Publish(path=Template.parse(path)), **parts)


def planned(subject: Candidate, *rules: Rule, backfill=False):
    return plan(subject, explain(subject, rules, NOW), backfill=backfill)


def test_a_transfer_carries_what_the_job_says() -> None:
    """Items, deadline, priority and destination come from the job and its rule."""
    (transfer,) = planned(candidate(), rule("r", priority=4, fetch=Fetch(max_size=99)), backfill=True)
    assert (transfer.dest, transfer.rules, transfer.priority) == ("group/app/7", ("r",), 4)
    assert (transfer.deadline, transfer.backfill, transfer.max_size) == (NOW + timedelta(days=30), True, 99)
    (item,) = transfer.items
    assert (item.kind, item.name, item.size) == ("archive", "artifacts.zip", 10)


def test_rules_that_meet_share_one_transfer() -> None:
    """The union of their files, each once, for both, at the higher priority and the smaller limit."""
    first = rule("a", priority=1, fetch=Fetch(files=("x/sbom.json",), max_size=5))
    second = rule("b", priority=2, fetch=Fetch(archive=True, trace=True, max_size=9))
    (transfer,) = planned(candidate(), first, second)
    assert transfer.rules == ("a", "b")
    assert [i.name for i in transfer.items] == ["artifacts.zip", "files/x/sbom.json", "job.log"]
    assert (transfer.priority, transfer.max_size) == (2, 5)


def test_rules_with_other_destinations_publish_on_their_own() -> None:
    """Two paths, two transfers."""
    transfers = planned(candidate(), rule("a"), rule("b", path="{rule}/{job_id}"))
    assert [t.dest for t in transfers] == ["group/app/7", "b/7"]


def test_nothing_is_made_of_a_job_without_what_is_wanted() -> None:
    """A job that declared no artifacts is normal; its log is still there for who wants it."""
    assert planned(candidate(archive=False), rule("a")) == ()
    (transfer,) = planned(candidate(archive=False), rule("a"), rule("b", fetch=Fetch(trace=True)))
    assert transfer.rules == ("b",)
    assert [i.kind for i in transfer.items] == ["trace"]


def test_file_names_are_encoded() -> None:
    """What a path inside an archive is called cannot leave the publication."""
    (transfer,) = planned(candidate(), rule("a", fetch=Fetch(archive=False, files=("../x/con",))))
    assert transfer.items[0].name == "files/%2E%2E/x/%63on"
    assert transfer.items[0].path == "../x/con"


@pytest.mark.parametrize(
    ("policy", "subject", "expected"),
    [
        (KeepPolicy.NEVER, candidate(), []),
        (KeepPolicy.BEFORE_EXPIRY, candidate(), [False]),
        (KeepPolicy.ALWAYS, candidate(), [True]),
        (KeepPolicy.ALWAYS, candidate(expire_in=None), []),
        (KeepPolicy.ALWAYS, candidate(archive=False), []),
        (KeepPolicy.ALWAYS, candidate(status="failed"), []),
    ],
)
def test_keeps_follow_the_policy(policy: KeepPolicy, subject: Candidate, expected: list[bool]) -> None:
    """A keep is due for a selected job with an archive that expires, unless the rule says never."""
    decisions = explain(subject, [rule("r", keep=Keep(policy=policy))], NOW)
    assert [k.always for k in keeps(subject, decisions, now=NOW, poll_interval=MINUTE)] == expected


@pytest.mark.parametrize(
    ("lifetime", "lead", "poll", "before"),
    [
        (timedelta(days=30), timedelta(days=2), MINUTE, timedelta(days=3)),
        (timedelta(days=10), timedelta(days=2), MINUTE, timedelta(days=2)),
        (timedelta(days=1), timedelta(0), MINUTE, timedelta(hours=2.4)),
        (timedelta(hours=5), timedelta(0), MINUTE, timedelta(hours=1)),
        (timedelta(hours=5), timedelta(0), timedelta(minutes=30), timedelta(hours=1.5)),
        (timedelta(days=1), timedelta(days=2), MINUTE, timedelta(hours=12)),
        (timedelta(hours=1), timedelta(days=2), MINUTE, timedelta(minutes=30)),
        (timedelta(seconds=-5), timedelta(days=2), MINUTE, timedelta(0)),
    ],
)
def test_keeps_are_due_by_lead_and_margin(
    lifetime: timedelta, lead: timedelta, poll: timedelta, before: timedelta
) -> None:
    """The lead, never less than an hour, a tenth of the lifetime and three polls, never more than half the lifetime."""
    due = keep_due(now=NOW, expire_at=NOW + lifetime, finished_at=NOW, lead=lead, poll_interval=poll)
    assert NOW + lifetime - due == before


def test_an_end_that_cannot_be_puts_off_no_keep() -> None:
    """Artifacts would seem to have lived for no time at all, and the keep come with their expiry."""
    began = NOW - timedelta(days=1)
    subject = candidate(expire_in=timedelta(days=3), started_at=began, finished_at=NOW.replace(year=9000))
    decisions = explain(subject, [rule("r", keep=Keep(lead=timedelta(days=2)))], NOW)
    (keep,) = keeps(subject, decisions, now=NOW, poll_interval=MINUTE)
    assert keep.due_at == NOW + timedelta(days=1)


def test_without_an_end_the_lead_alone_counts() -> None:
    """An old server may leave out when a job ended."""
    due = keep_due(
        now=NOW - timedelta(days=30), expire_at=NOW, finished_at=None, lead=timedelta(days=2), poll_interval=MINUTE
    )
    assert NOW - due == timedelta(days=2)


@pytest.mark.parametrize(
    ("left", "after"),
    [
        (timedelta(days=4), timedelta(days=2)),
        (timedelta(days=2, hours=8), timedelta(hours=14)),
        (timedelta(hours=12), timedelta(hours=3)),
        (timedelta(hours=3.5), timedelta(hours=0.5)),
        (timedelta(hours=1), timedelta(hours=-2)),
    ],
)
def test_what_is_found_late_is_given_a_while_to_be_downloaded(left: timedelta, after: timedelta) -> None:
    """A quarter of the time that is left, as long as the margin is kept: here a tenth of thirty hours, or of ten days."""
    finished_at = NOW + left - timedelta(days=10 if left > timedelta(hours=12) else 1.25)
    lead = timedelta(days=2) if left > timedelta(hours=12) else timedelta(hours=15)
    due = keep_due(now=NOW, expire_at=NOW + left, finished_at=finished_at, lead=lead, poll_interval=MINUTE)
    assert due - NOW == after


@given(st.integers(1, 10_000), st.floats(0, 0.999), st.one_of(st.none(), st.floats(-5, 1e6)))
def test_backoff_stays_within_its_bounds(attempt: int, jitter: float, retry_after: float | None) -> None:
    """Never negative, never far beyond the cap, never less than what the server asked for up to the cap."""
    wait = delay(attempt, base=1, cap=60, jitter=jitter, retry_after=retry_after)
    assert 0 <= wait <= 61
    if retry_after is not None:
        assert wait >= min(retry_after, 60)


def test_backoff_grows_with_full_jitter() -> None:
    """The ceiling doubles; the random number takes any part of it."""
    assert [delay(n, base=1, cap=60, jitter=0.5) for n in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert delay(9, base=1, cap=60, jitter=0) == 0
