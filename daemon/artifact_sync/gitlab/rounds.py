"""Whether a list ever ends: its places and its entries are watched for going round, and its pages are counted.

GitLab's lists end, and show nothing over and over. What answers in its place need not: a cache serves old pages, a proxy
rewrites links, a broken or hostile server makes up another one for every page.
"""

from __future__ import annotations

from collections.abc import Iterable

from artifact_sync.errors import Refused

__all__ = ["MOST_PAGES", "Rounds"]

#: No list is longer: a thousand million entries by a hundred, a hundred million by ten.
MOST_PAGES = 10_000_000
#: Pages with nothing but the entries of one page. One may be: a list that is paged by number moves on while it is read.
_MOST_STALE = 3
#: Pages in a row with nothing on them.
_MOST_EMPTY = 100
_HINT = "Something between here and GitLab serves old pages: let it not cache the API."


class Rounds:
    """One walk through one list, page after page.

    Brent's cycle detection: one page remembered, at distances of powers of two, finds any circle in bounded memory.
    """

    def __init__(self, *, most: int = MOST_PAGES) -> None:
        self._most = most
        self._place = ""
        self._entries: frozenset[object] = frozenset()
        self._pages, self._distance, self._stale, self._empty = 0, 1, 0, 0

    def meet(self, place: str, entries: Iterable[object], *, asked: str) -> None:
        """The next page: where it is, and what tells its entries apart. Raises Refused when the list will not end."""
        met = frozenset(entries)
        if place == self._place:
            raise Refused(asked, "pages that go round in a circle", hint=_HINT)
        self._pages += 1
        self._empty = 0 if met else self._empty + 1
        if self._empty >= _MOST_EMPTY:
            raise Refused(asked, f"{self._empty} pages in a row with nothing on them", hint=_HINT)
        self._stale += bool(met) and met <= self._entries
        if self._stale >= _MOST_STALE:
            raise Refused(asked, "pages that show the same entries again and again", hint=_HINT)
        if self._pages >= self._most:
            hint = (
                "Something that is not GitLab's API may answer at gitlab.url, or name ever more pages: check what does."
            )
            raise Refused(asked, f"a list that does not end after {self._most} pages", hint=hint)
        if self._pages == self._distance:
            if met != self._entries:
                self._stale = 0
            self._place, self._entries, self._distance = place, met, self._distance * 2
