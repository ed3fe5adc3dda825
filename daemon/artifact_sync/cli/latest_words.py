"""Links to the newest publication, as one job is concerned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from artifact_sync.core.model import Transfer
from artifact_sync.core.planning import links
from artifact_sync.core.rules import Rule

__all__ = ["latest_facts", "latest_words", "link_paths"]


def link_paths(transfers: Iterable[Transfer], rules: Sequence[Rule]) -> dict[str, str]:
    """The paths of the links that may point at what the transfers publish, each with a destination."""
    return {link.path: transfer.dest for transfer in transfers for link in links(transfer, rules)}


def latest_facts(paths: Mapping[str, str], pointed: Mapping[str, str]) -> list[dict[str, object]]:
    """For programs: each link, what it points at, and which destination of this job is a candidate."""
    return [{"link": path, "points_at": pointed.get(path), "dest": dest} for path, dest in paths.items()]


def latest_words(paths: Mapping[str, str], pointed: Mapping[str, str]) -> Iterator[str]:
    """For people."""
    for path, dest in paths.items():
        there = pointed.get(path)
        if there is None:
            yield f"{path} is not there yet"
        elif there == dest:
            yield f"{path} points here"
        else:
            yield f"{path} points at {there}"
