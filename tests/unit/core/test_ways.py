"""The cheapest way to files of an archive, from what is known."""

from __future__ import annotations

import pytest

from artifact_sync.core.file_patterns import items_of
from artifact_sync.core.model import Item
from artifact_sync.core.ways import REQUEST, Known, Way, dearer_than_archive, requests_for, ways

SINGLE, TREE, DIRECTORY, ARCHIVE = Way.SINGLE, Way.TREE, Way.DIRECTORY, Way.ARCHIVE
GIB = 1 << 30
MANY = [f"dist/{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("files", "size", "known", "expected"),
    [
        (["a"], GIB, Known(), [SINGLE, DIRECTORY, ARCHIVE]),
        (["a", "b", "c"], GIB, Known(), [SINGLE, DIRECTORY, ARCHIVE]),
        (MANY, GIB, Known(), [DIRECTORY, SINGLE, ARCHIVE]),
        (MANY, GIB, Known(ranges=False), [SINGLE, ARCHIVE]),
        (MANY, 10_000, Known(), [ARCHIVE, DIRECTORY, SINGLE]),
        (["a"], 10_000, Known(), [SINGLE, ARCHIVE, DIRECTORY]),
        (["**"], GIB, Known(), [DIRECTORY, TREE, ARCHIVE]),
        (["**"], None, Known(), [DIRECTORY, TREE, ARCHIVE]),
        (["a", "**"], GIB, Known(ranges=True, tree=True), [DIRECTORY, TREE, ARCHIVE]),
        (["**"], GIB, Known(ranges=False), [TREE, ARCHIVE]),
        (["**"], GIB, Known(tree=False), [DIRECTORY, ARCHIVE]),
        (["**"], GIB, Known(ranges=False, tree=False), [ARCHIVE]),
        (["**"], 10_000, Known(), [ARCHIVE, DIRECTORY, TREE]),
    ],
)
def test_the_order_of_the_ways(files, size, known, expected):
    """Few exact paths alone, patterns by the directory, a small archive as a whole; closed ways are left out."""
    choices = ways(items_of(files), size=size, held=False, known=known)

    assert [choice.way for choice in choices] == expected
    assert all(choice.reason for choice in choices)


def test_an_archive_that_comes_anyway_is_asked_for_nothing_more():
    """Whatever else would be cheap."""
    (choice,) = ways(items_of(["a"]), size=10, held=True, known=Known(ranges=True))

    assert choice.way is Way.HELD


def test_what_costs_more_than_the_archive():
    """Requests count as bytes, and an archive of unknown size is never the cheaper."""
    assert dearer_than_archive(requests=10, size=0, archive=8 * REQUEST)
    assert not dearer_than_archive(requests=10, size=0, archive=9 * REQUEST)
    assert not dearer_than_archive(requests=10**6, size=10**12, archive=None)


def test_requests_that_a_plan_counts():
    """One for each item; files of an archive that comes anyway cost none, and many cost what its directory does."""
    archive, trace = Item(kind="archive", name="artifacts.zip"), Item(kind="trace", name="job.log")

    assert requests_for([archive, trace]) == 2
    assert requests_for([archive, *items_of(MANY)]) == 1
    assert requests_for(items_of(["a", "b"])) == 2
    assert requests_for([trace, *items_of(MANY)]) == 4
    assert requests_for(items_of(["**"])) == 3
    assert requests_for([]) == 0
