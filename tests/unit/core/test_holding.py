"""Which present rules a publication is held for, whatever happened to its job and its project since."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace as with_changes

from artifact_sync.core.holding import held
from artifact_sync.core.model import Job, Pipeline, Transfer
from artifact_sync.core.paths import Template
from artifact_sync.core.patterns import PatternList
from artifact_sync.core.rules import ProjectSelectors, Publish, Rule, When

ENDED = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TRANSFER = Transfer(
    project_id=4,
    project_path="group/app",
    job=Job(
        id=7,
        name="package",
        status="success",
        ref="v1.0",
        tag=True,
        finished_at=ENDED,
        pipeline=Pipeline(id=9, source="push"),
    ),
    rules=("releases",),
    items=(),
    dest="group/app/v1.0/package/7",
)


def rule(name="releases", *, projects=("group/app",), path=None, refs=(), **when) -> Rule:
    """One rule."""
    return Rule(
        name=name,
        projects=ProjectSelectors.parse(projects),
        when=When(refs=PatternList.parse(list(refs), separator=False), **when),
        publish=Publish(path=Template.parse(path)) if path else Publish(),
    )


def rules_of(*rules: Rule, transfer: Transfer = TRANSFER, path: str | None = None) -> tuple[str, ...]:
    """Names of the rules that hold it, long after it was published."""
    found = held(transfer, rules, number=1, size=1, published_at=ENDED + DAY, path=path, pinned=False)
    return found.rules


def test_it_is_held_by_the_rule_that_took_it():
    """And by none that does not select it."""
    assert rules_of(rule(), rule("other", refs=["main"])) == ("releases",)


@pytest.mark.parametrize(
    "present",
    [
        rule("new", projects=["group/other"]),
        rule(refs=["main"]),
        rule(statuses=frozenset({"failed"})),
        rule(projects=["group/**", "!group/app"]),
    ],
    ids=["gone", "other refs", "other statuses", "excluded"],
)
def test_it_is_an_orphan_when_the_rules_were_changed(present):
    """The rule's name is gone, or its conditions never held."""
    assert rules_of(present) == ()


def test_an_end_that_cannot_be_gives_it_no_age():
    """Retention would keep it for ever as the newest, or take it at once as the oldest."""
    for end in (datetime(9000, 12, 31, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)):
        job = with_changes(TRANSFER.job, started_at=ENDED, finished_at=end)
        odd = with_changes(TRANSFER, job=job)
        assert held(odd, (), number=1, size=1, published_at=ENDED + DAY, path=None, pinned=False).at == ENDED


def test_time_makes_no_orphan():
    """A job that was young enough when it was found, also where it waited for its turn."""
    assert rules_of(rule(max_age=DAY / 2)) == ("releases",)


def test_a_retry_makes_no_orphan():
    """Superseded or not: that is GitLab's affair since."""
    assert rules_of(rule(retried=False)) == ("releases",)


def test_a_renamed_project_makes_no_orphan():
    """Neither for who writes its old path, nor for who writes the new one."""
    for written in ("group/app", "group/*", "elsewhere/app", "elsewhere/**", 4):
        assert rules_of(rule(projects=[written]), path="elsewhere/app") == ("releases",)
    assert rules_of(rule(projects=["third/app"]), path="elsewhere/app") == ()


def test_a_pipeline_of_another_project_makes_no_orphan():
    """It was followed from a project that the rule names, as long as the rule follows."""
    assert rules_of(rule(projects=["group/parent"], downstream=True)) == ("releases",)
    assert rules_of(rule(projects=["group/parent"], downstream=False)) == ()
    assert rules_of(rule("other", projects=["group/parent"], downstream=True)) == ()


def test_a_renamed_rule_holds_what_it_would_publish_there():
    """Also where a suffix told two destinations apart."""
    renamed = rule("renamed")
    assert rules_of(renamed) == ("renamed",)
    suffixed = with_changes(TRANSFER, dest=f"{TRANSFER.dest}%~7")
    assert rules_of(renamed, transfer=suffixed) == ("renamed",)


def test_a_rule_does_not_hold_what_another_publishes():
    """Two rules with paths of their own take the same job: each holds its own."""
    other = rule("other", path="nightly/{job_id}")
    assert rules_of(rule(), other) == ("releases",)
    theirs = with_changes(TRANSFER, dest="nightly/7", rules=("other",))
    assert rules_of(rule(), other, transfer=theirs) == ("other",)


def test_a_moved_path_leaves_no_orphan():
    """The rule publishes elsewhere now, or is another one: what it selects is held for it all the same."""
    assert rules_of(rule(path="new/{job_id}")) == ("releases",)
    assert rules_of(rule("renamed", path="new/{job_id}")) == ("renamed",)


def test_rules_that_share_a_destination_both_hold():
    """As they are named in the manifest."""
    both = with_changes(TRANSFER, rules=("releases", "logs"))
    assert rules_of(rule(), rule("logs"), transfer=both) == ("releases", "logs")


def test_the_time_is_that_of_the_job():
    """Or of the publication, where the job has none."""
    made = held(TRANSFER, [rule()], number=3, size=5, published_at=ENDED + DAY, path="x/y", pinned=True)
    assert (made.at, made.project, made.size, made.id, made.pinned, made.tag) == (ENDED, "x/y", 5, 3, True, True)
    untimed = with_changes(TRANSFER, job=with_changes(TRANSFER.job, finished_at=None))
    made = held(untimed, [rule()], number=3, size=5, published_at=ENDED + DAY, path=None, pinned=False)
    assert (made.at, made.project) == (ENDED + DAY, "group/app")
    assert replace(made, at=ENDED) != made
