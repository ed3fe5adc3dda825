"""Which publication is the newest, and which links it is a candidate for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.model import Item, Job, Transfer
from artifact_sync.core.newest import LatestBy, Link, Linkable
from artifact_sync.core.paths import Template, TemplateError
from artifact_sync.core.planning import links
from artifact_sync.core.rules import ProjectSelectors, Publish, Rule

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def candidate(
    job_id: int, ref: str = "main", *, tag: bool = False, ended: int | None = 0, created: int | None = None
) -> Linkable:
    """A publication of a job that ended so many minutes after noon."""
    job = Job(
        id=job_id,
        name="build",
        status="success",
        ref=ref,
        tag=tag,
        finished_at=None if ended is None else NOON + timedelta(minutes=ended),
        created_at=None if created is None else NOON + timedelta(minutes=created),
    )
    return Linkable(f"acme/app/{job_id}", job)


def newest(by: LatestBy, *candidates: Linkable) -> int:
    """The job that a link would point at."""
    return max(candidates, key=lambda each: each.rank(by)).job.id


@pytest.mark.parametrize(
    ("candidates", "by_finished", "by_version"),
    [
        pytest.param([candidate(9, ended=1), candidate(3, ended=2)], 3, 3, id="a late end beats a high id"),
        pytest.param([candidate(3, ended=1), candidate(9, ended=1)], 9, 9, id="of one end the higher id"),
        pytest.param(
            [candidate(1, "v1.9.0", tag=True, ended=9), candidate(2, "v1.10.0", tag=True)], 1, 2, id="numbers"
        ),
        pytest.param([candidate(1, "v2.0.0-rc.1", tag=True, ended=9), candidate(2, "v2.0.0", tag=True)], 1, 2, id="rc"),
        pytest.param(
            [candidate(1, "nightly", tag=True, ended=9), candidate(2, "v0.1", tag=True)], 1, 2, id="no version"
        ),
        pytest.param([candidate(1, "v9.0.0", ended=9), candidate(2, "v0.1.0", tag=True)], 1, 2, id="a branch is none"),
        pytest.param(
            [candidate(1, "v1.0.0", tag=True, ended=9), candidate(2, "1.0.0", tag=True)], 1, 1, id="the same one"
        ),
        pytest.param([candidate(9, ended=None), candidate(3, ended=0)], 3, 3, id="no end known"),
        pytest.param([candidate(9, ended=None, created=1), candidate(3, ended=0)], 9, 9, id="created instead"),
    ],
)
def test_the_newest_is_by_end_or_by_version(candidates, by_finished, by_version):
    """Whatever order they are in."""
    for several in (candidates, candidates[::-1]):
        assert newest(LatestBy.FINISHED, *several) == by_finished
        assert newest(LatestBy.VERSION, *several) == by_version


def test_one_job_at_two_places_has_an_order_too():
    """Otherwise the one that came first would stay, and the end would depend on the order."""
    here, there = candidate(1), Linkable("elsewhere/1", candidate(1).job)
    for by in LatestBy:
        assert here.rank(by) != there.rank(by)


def transfer(*rules: str, ref: str = "v1.2.0", tag: bool = True, path: str = "acme/app") -> Transfer:
    """A transfer of one job for these rules."""
    return Transfer(
        project_id=1,
        project_path=path,
        job=Job(id=7, name="build", status="success", ref=ref, tag=tag, finished_at=NOON),
        rules=rules,
        items=(Item(kind="trace", name="job.log"),),
        dest="d",
    )


def rule(name: str, latest: str | None, by: LatestBy = LatestBy.FINISHED) -> Rule:
    """A rule with a link."""
    template = Template.parse(latest, needs_id=False) if latest else None
    return Rule(name=name, projects=ProjectSelectors.parse(["**"]), publish=Publish(latest=template, latest_by=by))


def test_links_follow_from_the_rules_that_a_transfer_names():
    """Each once; those of others and of none are not among them."""
    rules = [
        rule("a", "{project}/{ref}/latest"),
        rule("b", "{project}/{ref}/latest"),
        rule("c", "{rule}/{date}/{sha}"),
        rule("other", "other"),
        rule("none", None),
    ]
    found = links(transfer("a", "b", "c", "none", "gone"), rules)
    assert [link.path for link in found] == ["acme/app/v1.2.0/latest", "c/2026-03-01/%"]


def test_names_in_a_link_are_encoded():
    """A ref leads nowhere else."""
    (link,) = links(transfer("a", ref="../../x", tag=False), [rule("a", "{project}/{ref}/latest")])
    assert link == Link("acme/app/%2E.%2F..%2Fx/latest")


def test_where_two_rules_differ_at_one_link_versions_decide():
    """Whichever of them comes first."""
    one, two = rule("a", "{ref}/latest"), rule("b", "v1.2.0/latest", LatestBy.VERSION)
    for rules in ([one, two], [two, one]):
        assert links(transfer("a", "b"), rules) == (Link("v1.2.0/latest", LatestBy.VERSION),)


def test_a_link_for_each_job_is_none():
    """Two jobs must be able to meet at it."""
    with pytest.raises(TemplateError, match=r"leave \{job_id\} out"):
        Template.parse("{project}/{job_id}", needs_id=False)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 50),
            st.sampled_from(["v1.0.0", "v1.0", "v2.0.0-rc.1", "2.0.0", "main"]),
            st.booleans(),
            st.none() | st.integers(0, 3),
        ),
        min_size=2,
    )
)
def test_the_order_is_total(jobs):
    """No two candidates are equal, and every way to compare them ends at the same one."""
    several = [
        candidate(number, ref, tag=tag, ended=ended) for number, (_, ref, tag, ended) in enumerate(jobs, start=1)
    ]
    for by in LatestBy:
        ranks = sorted(each.rank(by) for each in several)
        assert len(set(ranks)) == len(ranks)
        assert all(one < other for one, other in pairwise(ranks))
