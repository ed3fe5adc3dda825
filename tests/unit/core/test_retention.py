"""Retention: which publications stay and why, on histories written by hand and against a naive model."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_sync.core.retention import Held, Retain, RetentionPlan, Verdict, plan_retention

NOW = datetime(2026, 12, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
R = "r"


def held(number: int, at: datetime, *, size: int = 1, rules=(R,), job_id: int | None = None, **other) -> Held:
    """A publication of its own job."""
    values: dict[str, Any] = {
        "project_id": 1,
        "project": "group/app",
        "ref": "main",
        "tag": False,
        "job": "build",
    } | other
    return Held(id=number, job_id=job_id or number, dest=f"d/{number}", at=at, size=size, rules=tuple(rules), **values)


def planned(publications, retain=None, *, now=NOW, **other) -> RetentionPlan:
    """By one rule, or several."""
    return plan_retention(publications, {R: retain} if isinstance(retain, Retain) else retain or {}, now=now, **other)


def verdicts(plan: RetentionPlan) -> dict[int, Verdict]:
    """By number of the publication."""
    return {verdict.held.id: verdict for verdict in plan.verdicts}


def stays(plan: RetentionPlan) -> set[int]:
    """Numbers of what stays."""
    return {verdict.held.id for verdict in plan.verdicts if verdict.stays}


def on(day: date, hour: int = 12) -> datetime:
    """A moment of a day, UTC."""
    return datetime.combine(day, time(hour), UTC)


def test_nothing_is_removed_that_no_rule_limits():
    """Without retain everything stays for ever, and says so."""
    plan = planned([held(n, NOW - n * 1000 * DAY) for n in range(3)], Retain())
    assert {verdict.reasons for verdict in plan.verdicts} == {("no retain: stays for ever",)}
    assert plan.removed == ()


def test_last_keeps_the_newest_of_each_group():
    """Per project, ref and job name; each says its place."""
    groups: list[dict[str, Any]] = [{}, {"project_id": 2}, {"ref": "dev"}, {"job": "test"}, {"tag": True}]
    numbered = [held(10 * g + n, NOW - n * DAY, **group) for g, group in enumerate(groups) for n in range(4)]
    plan = planned(numbered, Retain(last=2))
    assert stays(plan) == {10 * g + n for g in range(len(groups)) for n in (0, 1)}
    assert verdicts(plan)[0].reasons == ("last 1 of 2",)
    assert verdicts(plan)[21].reasons == ("last 2 of 2",)
    assert verdicts(plan)[2].reasons == ("not among last 2",)
    assert len(plan.groups) == len(groups)


def test_every_reason_is_named():
    """One publication that everything keeps, and one that nothing does."""
    retain = Retain(last=1, daily=1, weekly=1, monthly=1, max_age=90 * DAY)
    newest = datetime(2026, 11, 3, 10, tzinfo=UTC)
    plan = planned([held(1, newest), held(2, newest - 60 * DAY), held(3, newest - 90 * DAY)], retain)
    assert verdicts(plan)[1].reasons == (
        "last 1 of 1",
        "daily 2026-11-03",
        "weekly 2026-W45",
        "monthly 2026-11",
        "younger than 90d",
    )
    assert verdicts(plan)[3].reasons == ("not among last 1, daily 1, weekly 1, monthly 1; older than 90d",)


def test_when_it_goes_is_foreseen():
    """What only its age keeps goes when it is old; what anything else keeps, nobody knows when."""
    plan = planned([held(1, NOW - DAY), held(2, NOW - 2 * DAY)], Retain(last=1, max_age=10 * DAY))
    assert verdicts(plan)[1].until is None
    assert verdicts(plan)[2].until == NOW + 8 * DAY
    both = {R: Retain(max_age=10 * DAY), "s": Retain(max_age=20 * DAY), "t": Retain(last=1)}
    plan = planned([held(1, NOW), held(2, NOW - DAY, rules=(R, "s")), held(3, NOW - DAY, rules=(R, "t"))], both)
    assert verdicts(plan)[2].until == NOW + 19 * DAY
    assert verdicts(plan)[3].until is None
    pinned = held(2, NOW - 2 * DAY, pinned=True)
    assert verdicts(planned([held(1, NOW), pinned], Retain(last=1, max_age=10 * DAY)))[2].until is None


def test_any_rule_keeps_it():
    """It goes when all of its rules let it go, and each of them says why."""
    retains = {R: Retain(last=1), "s": Retain(max_age=5 * DAY)}
    plan = planned(
        [held(1, NOW), *(held(n, NOW - n * 2 * DAY, rules=("s", R)) for n in (2, 3))],
        retains,
    )
    assert stays(plan) == {1, 2}
    assert verdicts(plan)[2].reasons == ("s: younger than 5d",)
    assert verdicts(plan)[3].reasons == ("r: not among last 1", "s: older than 5d")


def test_pins_and_the_latest_stay():
    """Whatever the rules say, also of an orphan."""
    old = NOW - 900 * DAY
    publications = [
        held(1, NOW),
        held(2, old, pinned=True),
        held(3, old),
        held(4, old),
        held(5, old, rules=(), pinned=True),
    ]
    plan = planned(publications, Retain(last=1), latest={"d/3"}, orphans=True)
    assert stays(plan) == {1, 2, 3, 5}
    assert verdicts(plan)[2].reasons == ("pinned",)
    assert verdicts(plan)[3].reasons == ("latest",)


def test_orphans_stay_unless_asked_for():
    """They are told apart either way."""
    publications = [held(1, NOW), held(2, NOW - DAY, rules=())]
    reported = planned(publications, Retain())
    assert stays(reported) == {1, 2}
    assert [verdict.held.id for verdict in reported.orphans] == [2]
    assert verdicts(reported)[2].reasons == ("orphan: no present rule selects it",)
    assert [verdict.held.id for verdict in planned(publications, Retain(), orphans=True).removed] == [2]


def test_orphans_do_not_take_the_place_of_others():
    """`last: 2` is 2 of what the rule keeps."""
    publications = [held(1, NOW, rules=()), held(2, NOW - DAY), held(3, NOW - 2 * DAY)]
    assert stays(planned(publications, Retain(last=2))) == {1, 2, 3}


def test_a_job_that_is_published_twice_counts_once():
    """Under two paths, because the rule's path was changed: they share their place."""
    publications = [
        held(1, NOW, job_id=9),
        held(2, NOW, job_id=9),
        held(3, NOW - DAY, job_id=8),
        held(4, NOW - 2 * DAY, job_id=7),
    ]
    plan = planned(publications, Retain(last=2))
    assert stays(plan) == {1, 2, 3}
    assert verdicts(plan)[1].reasons == verdicts(plan)[2].reasons == ("last 1 of 2",)


def test_days_are_those_of_utc():
    """01:00 in Tokyo is the day before; the newest of a day stays."""
    tokyo = datetime.fromisoformat("2026-11-03T01:00:00+09:00")
    publications = [held(1, datetime(2026, 11, 3, 8, tzinfo=UTC)), held(2, tokyo), held(3, tokyo - timedelta(hours=1))]
    plan = planned(publications, Retain(daily=5))
    assert stays(plan) == {1, 2}
    assert verdicts(plan)[2].reasons == ("daily 2026-11-02",)


def test_weeks_are_those_of_iso():
    """1 January 2027 belongs to the 53rd week of 2026, and 29 December 2025 to the first."""
    publications = [held(1, on(date(2027, 1, 1))), held(2, on(date(2026, 12, 28))), held(3, on(date(2025, 12, 29)))]
    plan = planned(publications, Retain(weekly=9))
    assert verdicts(plan)[1].reasons == ("weekly 2026-W53",)
    assert verdicts(plan)[3].reasons == ("weekly 2026-W01",)
    assert stays(plan) == {1, 3}


def test_a_clock_that_goes_wrong_removes_nothing_young():
    """What ended in the future is younger than anything."""
    assert stays(planned([held(1, NOW + 400 * DAY)], Retain(max_age=DAY))) == {1}


def test_the_age_ends_exactly():
    """At `max_age` it is as old as that."""
    plan = planned([held(1, NOW - DAY), held(2, NOW - DAY + timedelta(microseconds=1))], Retain(max_age=DAY))
    assert stays(plan) == {2}


def test_a_quota_takes_the_oldest_across_groups():
    """The bytes that the rule keeps, not those that it lets go anyway."""
    publications = [held(n, NOW - n * DAY, size=10, ref=f"r{n % 2}") for n in range(10)]
    plan = planned(publications, Retain(max_age=8 * DAY, quota=45))
    assert stays(plan) == {0, 1, 2, 3}
    assert verdicts(plan)[5].reasons == ("beyond the quota of 45B, oldest first",)
    assert verdicts(plan)[9].reasons == ("older than 8d",)


def test_a_quota_alone():
    """What would stay for ever is limited by it; exactly the quota fits."""
    publications = [held(n, NOW - n * DAY, size=1 << 30) for n in range(5)]
    assert stays(planned(publications, Retain(quota=3 << 30))) == {0, 1, 2}
    assert verdicts(planned(publications, Retain(quota=3 << 30)))[3].reasons == (
        "beyond the quota of 3GiB, oldest first",
    )


def test_a_quota_spares_the_last_pins_and_the_latest():
    """They count, so that more of the others goes."""
    publications = [
        held(0, NOW, size=10),
        held(1, NOW - DAY, size=10),
        held(2, NOW - 2 * DAY, size=10),
        held(3, NOW - 3 * DAY, size=10, pinned=True),
        held(4, NOW - 4 * DAY, size=10),
    ]
    plan = planned(publications, Retain(last=1, max_age=90 * DAY, quota=20), latest={"d/4"})
    assert stays(plan) == {0, 3, 4}


def test_a_quota_leaves_to_others_what_they_keep():
    """One rule's quota says nothing for another rule."""
    retains = {R: Retain(quota=0), "s": Retain()}
    plan = planned([held(1, NOW, rules=(R, "s")), held(2, NOW)], retains)
    assert stays(plan) == {1}
    assert verdicts(plan)[1].reasons == ("s: no retain: stays for ever",)


def test_removed_comes_oldest_first():
    """Whatever group it is of."""
    plan = planned(
        [held(n, NOW - (n * 7 % 5) * DAY, ref=f"r{n % 2}") for n in range(5)], Retain(max_age=timedelta(seconds=1))
    )
    gone = [verdict.held.at for verdict in plan.removed]
    assert len(gone) == 4
    assert gone == sorted(gone)


def test_a_history_of_two_years():
    """Nightly builds of 2025 and 2026, expected by hand from the published definition of kopia's policies.

    keep-latest 3, keep-daily 5, keep-weekly 4, keep-monthly 6 with the newest of each period. There was no build from
    6 to 24 December 2026, and none at all in September 2026, and periods without any do not count. On Sunday 27 December 2026
    three builds ran.
    """
    gap = {date(2026, 12, d) for d in range(6, 25)} | {date(2026, 9, d) for d in range(1, 31)}
    days = [date(2025, 1, 1) + n * DAY for n in range(730)]
    times = [on(each, 3) for each in days if each not in gap]
    times += [on(date(2026, 12, 27), hour) for hour in (9, 18)]
    publications = [held(n, at) for n, at in enumerate(sorted(times))]
    plan = planned(publications, Retain(last=3, daily=5, weekly=4, monthly=6), now=NOW)
    kept = {verdict.held.at.strftime("%Y-%m-%d %H"): verdict.reasons for verdict in plan.verdicts if verdict.stays}
    assert kept == {
        "2026-12-31 03": ("last 1 of 3", "daily 2026-12-31", "weekly 2026-W53", "monthly 2026-12"),
        "2026-12-30 03": ("last 2 of 3", "daily 2026-12-30"),
        "2026-12-29 03": ("last 3 of 3", "daily 2026-12-29"),
        "2026-12-28 03": ("daily 2026-12-28",),
        "2026-12-27 18": ("daily 2026-12-27", "weekly 2026-W52"),
        # Weeks 51 and 50 have no build: the builds ended on Saturday 5 December, in week 49.
        "2026-12-05 03": ("weekly 2026-W49",),
        "2026-11-30 03": ("monthly 2026-11",),
        "2026-11-29 03": ("weekly 2026-W48",),
        "2026-10-31 03": ("monthly 2026-10",),
        # September has no build.
        "2026-08-31 03": ("monthly 2026-08",),
        "2026-07-31 03": ("monthly 2026-07",),
        "2026-06-30 03": ("monthly 2026-06",),
    }
    assert len(plan.removed) == len(publications) - len(kept)


MOMENTS = st.integers(0, 400).map(lambda hours: NOW - hours * timedelta(hours=7))
RETAINS = st.builds(
    Retain,
    last=st.none() | st.integers(1, 4),
    daily=st.none() | st.integers(1, 4),
    weekly=st.none() | st.integers(1, 4),
    monthly=st.none() | st.integers(1, 4),
    max_age=st.none() | st.integers(1, 90).map(timedelta),
    quota=st.none() | st.integers(0, 60),
)
WORLDS = st.lists(
    st.tuples(
        MOMENTS,
        st.sampled_from(["main", "dev"]),
        st.integers(0, 9),
        st.sets(st.sampled_from(["r", "s"])),
        st.integers(0, 9).map(lambda n: n == 0),
    ),
    max_size=40,
).map(
    lambda rows: [
        held(n, at, ref=ref, size=size, rules=sorted(rules), pinned=pinned)
        for n, (at, ref, size, rules, pinned) in enumerate(rows, 1)
    ]
)


def naive(world: list[Held], retains: dict[str, Retain], latest: set[str], *, orphans: bool) -> set[int]:
    """What stays, found by asking of each period for its newest, and removing one at a time until the quota holds."""
    age = {each.id: (each.at, each.job_id, each.id) for each in world}
    keeping: Counter[int] = Counter()
    for rule, retain in retains.items():
        mine = [each for each in world if rule in each.rules]
        kept: set[int] = set()
        spared = {each.id for each in mine if each.pinned or each.dest in latest}
        for ref in {each.ref for each in mine}:
            group = sorted((each for each in mine if each.ref == ref), key=lambda each: age[each.id], reverse=True)
            newest = [each.id for each in group[: retain.last or 0]]
            kept |= set(newest)
            spared |= set(newest)
            for form, most in (("%Y-%m-%d", retain.daily), ("%G-%V", retain.weekly), ("%Y-%m", retain.monthly)):
                periods = sorted({each.at.strftime(form) for each in group}, reverse=True)[: most or 0]
                kept |= {next(each.id for each in group if each.at.strftime(form) == period) for period in periods}
        if retain.max_age is not None:
            kept |= {each.id for each in mine if NOW - each.at < retain.max_age}
        if (retain.last, retain.daily, retain.weekly, retain.monthly, retain.max_age) == (None,) * 5:
            kept |= {each.id for each in mine}
        kept |= {each.id for each in mine if each.pinned or each.dest in latest}
        size = {each.id: each.size for each in mine}
        while retain.quota is not None and sum(size[n] for n in kept) > retain.quota and kept - spared:
            kept.remove(min(kept - spared, key=lambda n: age[n]))
        keeping.update(kept)
    protected = {each.id for each in world if each.pinned or each.dest in latest or (not each.rules and not orphans)}
    return set(keeping) | protected


@settings(max_examples=400, deadline=None)
@given(WORLDS, RETAINS, RETAINS, st.sets(st.integers(1, 40), max_size=3), st.booleans())
def test_it_agrees_with_a_naive_model(world, first, second, latest, orphans):
    """On any history, with two rules, pins, links and quotas."""
    retains = {"r": first, "s": second}
    links = {f"d/{number}" for number in latest}
    plan = planned(world, retains, latest=links, orphans=orphans)
    assert stays(plan) == naive(world, retains, links, orphans=orphans)


@settings(max_examples=100, deadline=None)
@given(WORLDS, RETAINS, st.randoms(use_true_random=False))
def test_the_order_of_what_comes_is_no_matter(world, retain, random):
    """The plan is the same to the last reason."""
    retains = {"r": retain, "s": Retain(last=1)}
    shuffled = list(world)
    random.shuffle(shuffled)
    assert planned(shuffled, retains) == planned(world, retains)


@settings(max_examples=100, deadline=None)
@given(WORLDS, RETAINS)
def test_a_second_prune_removes_nothing(world, retain):
    """What stays once stays, as long as nothing comes and no time passes."""
    retains = {"r": retain, "s": retain}
    plan = planned(world, retains)
    left = [verdict.held for verdict in plan.verdicts if verdict.stays]
    assert planned(left, retains).removed == ()


@settings(max_examples=100, deadline=None)
@given(WORLDS, RETAINS)
def test_everything_has_a_reason(world, retain):
    """Both what stays and what goes, and each publication is told once."""
    plan = planned(world, {"r": retain, "s": Retain()})
    told = [verdict.held.id for verdict in plan.verdicts]
    assert sorted(told) == [each.id for each in world]
    assert all(all(verdict.reasons) and verdict.reasons for verdict in plan.verdicts)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(days=14), "14d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=5), "5m"),
        (timedelta(seconds=1.5), "1.5s"),
    ],
)
def test_an_age_in_words(age, words):
    """In the unit that a person would write."""
    plan = planned([held(1, NOW)], Retain(max_age=age))
    assert verdicts(plan)[1].reasons == (f"younger than {words}",)
