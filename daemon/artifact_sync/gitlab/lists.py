"""Lists: page after page, by keyset where GitLab has it, by number where it has not.

Keyset is asked for everywhere; what the server answers with decides: https://docs.gitlab.com/api/rest/#pagination
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TypeVar

from artifact_sync.errors import Refused, Throttled, Transient
from artifact_sync.gitlab.cursors import SIZES, following, resized, size_of, without_keyset
from artifact_sync.gitlab.decoding import PageDecoder
from artifact_sync.gitlab.requests import Credential, Requester, asked_for
from artifact_sync.gitlab.revalidation import Look, PageCache
from artifact_sync.gitlab.rounds import MOST_PAGES, Rounds
from artifact_sync.gitlab.transport import Answer
from artifact_sync.ports import Page, Priority

__all__ = ["Lists"]

T = TypeVar("T")


class Lists:
    """Reads lists with one credential."""

    def __init__(self, requester: Requester, credential: Credential) -> None:
        self._requester = requester
        self._credential = credential
        self._cache = PageCache()

    async def pages(
        self, first: str, decoder: PageDecoder[T], *, priority: Priority, most: int = MOST_PAGES
    ) -> AsyncIterator[Page[T]]:
        """The pages from the place ``first`` on.

        Raises as ports.Remote says, and Refused when they go round in a circle, or there are more than ``most``.
        """
        at: str | None = first
        rounds = Rounds(most=most)
        while at is not None:
            at, answer, look = await self._page(at, priority)
            asked = asked_for("GET", at)
            items, undecodable = decoder.decode(answer.body, asked=asked)
            # What was not understood may be anything, so it is none of what was seen.
            strange = [object()] if undecodable else []
            rounds.meet(at, [*(getattr(item, "id", item) for item in items), *strange], asked=asked)
            at = following(answer.headers, at, self._requester.address, asked=asked)
            if look is not None:
                look.remember(answer, rows=len(items) + undecodable, more=at is not None)
            yield Page(items=items, next=at, undecodable=undecodable)

    async def _page(self, at: str, priority: Priority) -> tuple[str, Answer, Look | None]:
        """One page, smaller or by number if it must be: which one it became, the answer, and where it is remembered.

        Only what is polled is remembered: a backfill and an audit read each page once, and would drive the others out.
        """
        while True:
            fewer = next((size for size in SIZES if size < size_of(at)), None)
            try:
                again = _always if fewer is None else _not_heavy
                look = Look(self._cache, at) if priority is Priority.POLL else None
                answer = await self._requester.ask(at, self._credential, priority=priority, again=again, look=look)
            except Refused as error:
                if error.status != HTTPStatus.METHOD_NOT_ALLOWED or "pagination=keyset" not in at:
                    raise
                at = without_keyset(at)
            except Transient as error:
                if fewer is None or not _heavy(error):
                    raise
                at = resized(at, fewer)
            else:
                found = answer if look is None else look.resolved(answer)
                if found is not None:
                    return at, found, look


def _always(_: Transient) -> bool:
    return True


def _not_heavy(error: Transient) -> bool:
    return not _heavy(error)


def _heavy(error: Transient) -> bool:
    """Whether fewer rows may help: the database's statement timeout is a 500 (lib/api/api.rb rescues nothing else)."""
    if isinstance(error, Throttled):
        return False
    return error.status == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error.__cause__, TimeoutError)
