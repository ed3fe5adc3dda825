"""The ways to come by single files of an archive, and which of them is the cheapest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from artifact_sync.core.model import Item

__all__ = ["REQUEST", "Choice", "Known", "Way", "dearer_than_archive", "requests_for", "ways"]

#: What a request is worth in bytes: the requests of a whole instance are counted by the minute, and each waits for an
#: answer before its first byte.
REQUEST = 256 * 1024
#: The archive's end, its directory where that is longer, and what is wanted where it lies together.
_DIRECTORY_REQUESTS = 3
#: Files that a pattern is expected to match before anything is known.
_EXPECTED = 4


class Way(StrEnum):
    """Where files of an archive are taken from."""

    #: The archive that the same transfer brings.
    HELD = "archive at hand"
    #: GET /projects/:id/jobs/:job_id/artifacts/*path
    SINGLE = "single files"
    #: The same, for the paths that GET /projects/:id/jobs/:job_id/artifacts/tree lists.
    TREE = "listed files"
    #: Ranges of the archive: its directory, then the members.
    DIRECTORY = "ranges of the archive"
    #: The whole archive, which is not published.
    ARCHIVE = "whole archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a server. None: it was not tried yet."""

    #: Whether it sends ranges of archives.
    ranges: bool | None = None
    #: Whether it lists the files of archives (18.8 and later).
    tree: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A way, and why it stands where it stands."""

    way: Way
    reason: str


def ways(items: Iterable[Item], *, size: int | None, held: bool, known: Known) -> tuple[Choice, ...]:
    """The ways for these files of an archive of ``size`` bytes (None: not announced), cheapest first.

    Whoever goes them takes the next one where one turns out to be closed. ``held``: the archive comes anyway.
    """
    wanted = tuple(items)
    if held:
        return (Choice(way=Way.HELD, reason="the archive itself is fetched as well"),)
    exact = sum(item.kind == "file" for item in wanted)
    patterns = len(wanted) - exact
    whole = float("inf") if size is None else REQUEST + size
    asked = _count(exact, "exact path") if not patterns else _count(patterns, "pattern")
    rated: list[tuple[float, Choice]] = []
    if not patterns:
        rated.append((exact * REQUEST, Choice(way=Way.SINGLE, reason=f"{asked}, a request for each")))
    if known.ranges is not False:
        cost = _DIRECTORY_REQUESTS * REQUEST
        sure = "" if known.ranges else ", if the server sends ranges"
        rated.append((cost, Choice(way=Way.DIRECTORY, reason=f"{asked}: the directory and what is wanted{sure}")))
    if patterns and known.tree is not False:
        cost = REQUEST * (1 + exact + _EXPECTED * patterns)
        sure = "" if known.tree else ", if the server has the list"
        rated.append((cost, Choice(way=Way.TREE, reason=f"{asked}: a list, and a request for each file{sure}")))
    rated.append((whole, Choice(way=Way.ARCHIVE, reason=_why_whole(rated, size, whole))))
    rated.sort(key=lambda pair: pair[0])
    return tuple(choice for _, choice in rated)


def dearer_than_archive(*, requests: int, size: int, archive: int | None) -> bool:
    """Whether so many requests for so many bytes cost more than the whole archive."""
    return archive is not None and requests * REQUEST + size > REQUEST + archive


def requests_for(items: Iterable[Item]) -> int:
    """The requests that some items of one transfer take, redirects aside and before anything is known of the archive."""
    wanted = tuple(items)
    files = [item for item in wanted if item.kind in {"file", "files"}]
    others = len(wanted) - len(files)
    if any(item.kind == "archive" for item in wanted):
        return others
    single = len(files) if all(item.kind == "file" for item in files) else _DIRECTORY_REQUESTS
    return others + min(single, _DIRECTORY_REQUESTS)


def _why_whole(rated: list[tuple[float, Choice]], size: int | None, whole: float) -> str:
    if any(cost < whole for cost, _ in rated):
        return "the last way left"
    return f"an archive of {size} bytes costs less than several requests"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
