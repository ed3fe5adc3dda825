"""Whether an archive is wanted as a file, as the files in it, or as both, and whether that has come."""

import itertools

import pytest

from artifact_sync.core.file_patterns import items_of, united
from artifact_sync.core.model import Artifact, Candidate, Item, Job, Project, StagedFile
from artifact_sync.core.paths import Template
from artifact_sync.core.planning import plan
from artifact_sync.core.rules import Fetch, ProjectSelectors, Publish, Rule, explain
from artifact_sync.core.selection import arrived, owed
from artifact_sync.core.unpacking import Contents, Rejected, SkippedLink, Unpack, Unpacked
from artifact_sync.core.unpacking import Rule as Broken
from tests.storage import NOW

DONE = Contents()
REJECTED = Contents(rejected=Rejected(rule=Broken.TRAVERSAL, reason="it leads out"))


def rule(name: str, unpack: Unpack, *, archive: bool = True) -> Rule:
    publish = Publish(path=Template.parse("{job_id}"), unpack=unpack)
    fetch = Fetch(archive=archive, files=() if archive else ("a",), trace=True)
    return Rule(name=name, projects=ProjectSelectors.parse(["**"]), publish=publish, fetch=fetch)


def planned(*rules: Rule) -> tuple[Item, ...]:
    job = Job(id=7, name="b", status="success", finished_at=NOW, artifacts=(Artifact(file_type="archive", size=10),))
    subject = Candidate(project=Project(id=3, path_with_namespace="g/a"), job=job, retried=False)
    (transfer,) = plan(subject, explain(subject, rules, NOW))
    return transfer.items


def archive(unpack: Unpack) -> Item:
    return Item(kind="archive", name="artifacts.zip", unpack=unpack)


def came(*, published: bool = True, contents: Contents | None = None) -> StagedFile:
    return StagedFile(name="artifacts.zip", part="", sha256="", size=1, published=published, contents=contents)


@pytest.mark.parametrize("unpack", list(Unpack))
def test_the_archive_carries_what_its_rule_says(unpack):
    """And nothing else that is fetched does."""
    assert {item.kind: item.unpack for item in planned(rule("a", unpack))} == {"archive": unpack, "trace": Unpack.NO}


def test_rules_that_share_a_destination_both_have_theirs():
    """Where two differ, the archive stands beside its files, in either order; where they agree, so it is."""
    for one, other in itertools.product(Unpack, Unpack):
        items = planned(rule("a", one), rule("b", other))
        assert items[0].unpack is (one if one is other else Unpack.ALSO)


def test_a_rule_without_the_archive_says_nothing_about_it():
    """Single files beside a rule that wants the unpacked archive change nothing for it."""
    items = planned(rule("a", Unpack.ONLY), rule("b", Unpack.NO, archive=False))
    assert {item.name: item.unpack for item in items}["artifacts.zip"] is Unpack.ONLY
    assert [item.name for item in items] == ["artifacts.zip", "job.log", "files/a"]


def test_one_item_alone_stays_as_it_is():
    """Also when three meet."""
    assert united([archive(Unpack.ONLY)]) == (archive(Unpack.ONLY),)
    assert united(map(archive, (Unpack.ONLY, Unpack.ONLY, Unpack.NO))) == (archive(Unpack.ALSO),)


@pytest.mark.parametrize(
    ("file", "here"),
    [
        (came(), {Unpack.NO}),
        (came(contents=DONE), {Unpack.NO, Unpack.ALSO, Unpack.ONLY}),
        (came(contents=REJECTED), {Unpack.NO, Unpack.ALSO, Unpack.ONLY}),
        (came(published=False, contents=DONE), {Unpack.ONLY}),
    ],
)
def test_an_archive_is_owed_until_it_is_there_as_it_is_wanted(file, here):
    """A rejected archive is done with; one that was published otherwise than is wanted now is not."""
    for unpack in Unpack:
        items = (archive(unpack),)
        assert bool(arrived(items, [file])) is (unpack in here)
        assert (owed(items, [file], asked=items) == ()) is (unpack in here)
        assert owed(items, []) == items


def test_files_out_of_the_archive_do_not_stand_for_those_in_content():
    """A pattern of fetch.files is brought by what lies below files/, not by the unpacked archive."""
    items = items_of(["dist/*"])
    inside = StagedFile(name="content/dist/a", part="", sha256="", size=1, path="dist/a")
    assert arrived(items, [inside]) == frozenset()
    assert owed(items, [inside]) == items


def test_links_are_counted_and_the_first_recorded():
    """An archive of nothing but links leaves no manifest without end."""
    links = tuple(SkippedLink(member=f"{n}", target="x" * 4096) for n in range(100_000))
    kept = Contents.of(Unpacked(files=(), skipped=links))
    assert kept.links == 100_000
    assert kept.skipped == links[:1000]
