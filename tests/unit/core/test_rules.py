"""Which jobs a rule takes, and what it says about those it does not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_sync.core.model import Artifact, Candidate, Job, Origin, Pipeline, Project, RefType
from artifact_sync.core.patterns import PatternList
from artifact_sync.core.planning import plan
from artifact_sync.core.rules import Decision, ProjectSelectors, Rule, When, explain
from artifact_sync.core.semver import SemverRange

NOW = datetime(2024, 6, 1, tzinfo=UTC)
CONDITIONS = {
    "project",
    "ref",
    "ref_type",
    "semver",
    "job",
    "stage",
    "status",
    "source",
    "max_age",
    "retried",
    "child_pipelines",
    "downstream",
}


def names(*texts: str) -> PatternList:
    return PatternList.parse(texts, separator=False)


def candidate(*, project="group/app", retried=False, origin=Origin.DIRECT, source="push", **job) -> Candidate:
    values = {
        "id": 7,
        "name": "package",
        "status": "success",
        "stage": "build",
        "ref": "main",
        "finished_at": NOW - timedelta(hours=1),
        "artifacts": (Artifact(file_type="archive", size=10),),
        "pipeline": Pipeline(id=70, source=source),
        **job,
    }
    return Candidate(
        project=Project(id=3, path_with_namespace=project), job=Job(**values), retried=retried, origin=origin
    )


def decide(when: When, subject: Candidate, *, projects=("group/app",)) -> Decision:
    rule = Rule(name="r", projects=ProjectSelectors.parse(projects), when=when)
    (decision,) = explain(subject, [rule], NOW)
    return decision


TABLE = [
    (When(), candidate(), True, None),
    (When(), candidate(project="group/other"), False, "project"),
    (When(refs=names("v*")), candidate(), False, "ref"),
    (When(refs=names("ma*")), candidate(), True, None),
    (When(ref_types=frozenset({RefType.TAG})), candidate(), False, "ref_type"),
    (When(ref_types=frozenset({RefType.TAG})), candidate(tag=True, ref="v1"), True, None),
    (When(ref_types=frozenset({RefType.MERGE_REQUEST})), candidate(source="merge_request_event"), True, None),
    (When(ref_types=frozenset({RefType.MERGE_REQUEST})), candidate(ref="refs/merge-requests/1/head"), True, None),
    (When(ref_types=frozenset({RefType.BRANCH})), candidate(ref="refs/merge-requests/1/head"), False, "ref_type"),
    (When(semver=SemverRange.parse(">=1")), candidate(tag=True, ref="v1.2.0"), True, None),
    (When(semver=SemverRange.parse(">=1")), candidate(tag=True, ref="v0.2.0"), False, "semver"),
    (When(semver=SemverRange.parse(">=1")), candidate(tag=True, ref="nightly"), False, "semver"),
    (When(semver=SemverRange.parse(">=1")), candidate(ref="v1.2.0"), False, "semver"),
    (When(jobs=names("pack*")), candidate(), True, None),
    (When(jobs=names("/^test/")), candidate(), False, "job"),
    (When(stages=names("test")), candidate(), False, "stage"),
    (When(), candidate(status="failed"), False, "status"),
    (When(), candidate(status="running", finished_at=None), False, "status"),
    (When(statuses=frozenset({"failed"})), candidate(status="failed"), True, None),
    (When(sources=names("schedule")), candidate(), False, "source"),
    (When(sources=names("push")), candidate(), True, None),
    (When(max_age=timedelta(minutes=30)), candidate(), False, "max_age"),
    (When(max_age=timedelta(hours=1)), candidate(), True, None),
    (When(), candidate(retried=True), False, "retried"),
    (When(retried=True), candidate(retried=True), True, None),
    (When(retried=True), candidate(retried=None), True, None),
    (When(child_pipelines=False), candidate(source="parent_pipeline"), False, "child_pipelines"),
    (When(child_pipelines=False), candidate(origin=Origin.CHILD), False, "child_pipelines"),
    (When(), candidate(source="parent_pipeline"), True, None),
    (When(), candidate(origin=Origin.DOWNSTREAM), False, "downstream"),
    (When(downstream=True), candidate(origin=Origin.DOWNSTREAM), True, None),
]


@pytest.mark.parametrize(("when", "subject", "selected", "failing"), TABLE)
def test_each_condition_decides_alone(when: When, subject: Candidate, selected: bool, failing: str | None) -> None:
    """One condition at a time: selected where it holds, and named as the only one that fails where it does not."""
    decision = decide(when, subject)
    assert {v.condition for v in decision.verdicts} == CONDITIONS
    assert decision.selected is selected
    assert [v.condition for v in decision.verdicts if not v.holds] == ([failing] if failing else [])
    assert all(v.wanted and v.found for v in decision.verdicts)


def test_what_is_not_known_is_undecided() -> None:
    """The project's job list does not mark retried jobs, so such a job is neither taken nor refused."""
    decision = decide(When(), candidate(retried=None))
    assert (decision.selected, decision.undecided) == (False, True)
    assert not decide(When(), candidate(retried=None, status="failed")).undecided


def test_a_running_job_is_hopeful_where_nothing_fixed_speaks_against_it() -> None:
    """Status, age and retries may change; name and ref do not."""
    running = candidate(status="running", finished_at=None, retried=None)
    assert decide(When(max_age=timedelta(hours=1)), running).hopeful
    assert not decide(When(jobs=names("other")), running).hopeful


@pytest.mark.parametrize(
    ("selectors", "path", "identity", "expected"),
    [
        (["group/app"], "group/app", 1, True),
        (["group/app"], "group/app2", 1, False),
        (["group/**"], "group/a/b", 1, True),
        ([42], "any/thing", 42, True),
        ([42], "any/thing", 1, False),
        ([42, "group/*"], "group/x", 1, True),
        ([42, "!any/*"], "any/thing", 42, False),
        ([42, "!other/*"], "any/thing", 1, False),
        (["group/**", "!group/old/**"], "group/old/x", 1, False),
    ],
)
def test_projects_by_path_glob_and_id(selectors: list[str | int], path: str, identity: int, expected: bool) -> None:
    """Paths, globs and ids are alternatives, and an exclusion beats all of them."""
    chosen = ProjectSelectors.parse(selectors)
    assert chosen.matches(Project(id=identity, path_with_namespace=path)) is expected


def test_groups_to_list_are_the_literal_beginning_of_a_glob() -> None:
    """Listing starts at the innermost group that a glob names; a regular expression names none."""
    chosen = ProjectSelectors.parse(["a/b", "a/**", "a/b/c*/d", "x/y*", "**", "/^z/", "!q/**", 5])
    assert chosen.exact_paths == ("a/b",)
    assert chosen.group_prefixes == ("a", "a/b", "x", "")
    assert chosen.ids == {5}


jobs = st.builds(
    candidate,
    ref=st.sampled_from(["main", "v1.0.0", "v2.0.0-rc1"]),
    tag=st.booleans(),
    status=st.sampled_from(["success", "failed", "running", "odd"]),
    name=st.sampled_from(["package", "test"]),
    retried=st.sampled_from([None, True, False]),
    source=st.sampled_from(["push", "schedule", "parent_pipeline"]),
    origin=st.sampled_from(list(Origin)),
    finished_at=st.sampled_from([None, NOW - timedelta(hours=1), NOW - timedelta(days=9)]),
)
whens = st.builds(
    When,
    refs=st.sampled_from([names(), names("v*"), names("!main")]),
    ref_types=st.sampled_from([frozenset(), frozenset({RefType.TAG})]),
    semver=st.sampled_from([None, SemverRange.parse("^1")]),
    jobs=st.sampled_from([names(), names("pack*")]),
    statuses=st.sampled_from([frozenset({"success"}), frozenset({"success", "failed"})]),
    sources=st.sampled_from([names(), names("push")]),
    max_age=st.sampled_from([None, timedelta(days=1)]),
    retried=st.booleans(),
    child_pipelines=st.booleans(),
    downstream=st.booleans(),
)


@given(jobs, st.lists(whens, max_size=3))
@settings(max_examples=300)
def test_selection_is_the_explanation(subject: Candidate, conditions: list[When]) -> None:
    """A job is planned for exactly the rules whose every explained condition holds."""
    rules = [
        Rule(name=str(i), projects=ProjectSelectors.parse(["group/*"]), when=when) for i, when in enumerate(conditions)
    ]
    decisions = explain(subject, rules, NOW)
    holding = {d.rule.name for d in decisions if all(v.holds is True for v in d.verdicts)}
    planned = {name for transfer in plan(subject, decisions) for name in transfer.rules}
    assert planned == holding
