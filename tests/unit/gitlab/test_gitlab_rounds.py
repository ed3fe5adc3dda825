"""Lists that never end: by what is on their pages, since each place is new, and by their number in the end."""

import itertools
from collections.abc import Iterable

import pytest

from artifact_sync.errors import Refused
from artifact_sync.gitlab.rounds import Rounds

ASKED = "GET /api/v4/projects"


def pages_until_refused(pages: Iterable[Iterable[object]], *, most: int = 10_000) -> tuple[int, str]:
    """How many pages, each at a place of its own, are met before the list is refused."""
    rounds, number = Rounds(most=most), -1

    def meet_all() -> None:
        nonlocal number
        for entries in pages:
            number += 1
            rounds.meet(f"projects?page={number}", entries, asked=ASKED)

    with pytest.raises(Refused) as caught:
        meet_all()
    assert caught.value.hint
    return number, str(caught.value)


def meet(pages: Iterable[Iterable[object]]) -> bool:
    """All of them, of a list that ends."""
    rounds = Rounds()
    for number, entries in enumerate(pages):
        rounds.meet(f"projects?page={number}", entries, asked=ASKED)
    return True


@pytest.mark.parametrize("period", [1, 2, 3, 7, 64, 100])
@pytest.mark.parametrize("before", [0, 1, 50])
def test_pages_that_come_again_are_refused(period, before):
    """However many there are to a round, and however many come before it."""
    circle = ([row * 10 + column for column in range(10)] for row in itertools.cycle(range(period)))
    lead = ([-1 - number] for number in range(before))
    met, said = pages_until_refused(itertools.chain(lead, circle))
    assert "the same entries again and again" in said
    assert met <= 9 * period + 2 * before + 8


def test_entries_in_another_order_or_fewer_of_them_are_no_news():
    """A page of which all entries were on one before."""
    shuffled = ([1, 2, 3] if number % 2 else [3, 1] for number in itertools.count())
    assert pages_until_refused(shuffled)


def test_a_list_that_moves_on_while_it_is_read_is_none_of_these():
    """By number: a page may come twice, or bring little that is new, and the list ends all the same."""
    for shift in (0, 1, 99, 100):
        first = [range(100), range(100 - shift, 200 - shift), range(200 - shift, 300 - shift)]
        later = [range(row * 100, row * 100 + 100) for row in range(3, 300)]
        assert meet([*first, *later])


def test_a_page_may_come_twice_now_and_then():
    """In a long list that moves on: what counts is how often one page comes again."""
    assert meet([max(number - 1, 0)] if number in {1, 4, 8, 16, 32, 64} else [number] for number in range(100))


def test_empty_pages_end_and_a_few_do_not():
    """A server may leave out what this token does not see, a page of it at a time."""
    met, said = pages_until_refused([] for _ in itertools.count())
    assert (met, "100 pages in a row" in said) == (99, True)
    assert meet([number] if number % 90 == 0 else [] for number in range(1000))


def test_a_list_is_refused_beyond_its_bound():
    """New places and new entries for ever."""
    met, said = pages_until_refused(([number] for number in itertools.count()), most=500)
    assert met == 499
    assert "does not end after 500 pages" in said
