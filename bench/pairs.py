"""Ours and theirs in turn, and what comes of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.processes import Run, folder

__all__ = ["Act", "Pair", "Pairs", "against", "alone", "in_turn", "middle", "paired"]

#: Does something in a folder of its own.
Act = Callable[[Path], Run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One run of each, one right after the other."""

    ours: Run
    theirs: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """All pairs of two competitors."""

    pairs: tuple[Pair, ...]

    @property
    def ours(self) -> Run:
        """The middle."""
        return middle([pair.ours for pair in self.pairs])

    @property
    def theirs(self) -> Run:
        """The middle."""
        return middle([pair.theirs for pair in self.pairs])

    @property
    def ratios(self) -> list[float]:
        """Our time to theirs in each pair, in order of size."""
        return sorted(pair.ours.seconds / pair.theirs.seconds for pair in self.pairs)

    @property
    def ratio(self) -> float:
        """The middle of them."""
        return median(self.ratios)


def against(ours: Act, theirs: Act, rounds: int) -> Pairs:
    """So many pairs; who goes first changes, so that what one leaves behind falls on both."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            second = alone(theirs)
            pairs.append(Pair(ours=alone(ours), theirs=second))
        else:
            first = alone(ours)
            pairs.append(Pair(ours=first, theirs=alone(theirs)))
    return Pairs(pairs=tuple(pairs))


def in_turn(acts: Mapping[str, Act], rounds: int) -> dict[str, list[Run]]:
    """So many rounds of all; each begins with another one."""
    names = list(acts)
    runs: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            print(f"  {name}, round {number + 1} of {rounds} ...", flush=True)
            runs[name].append(alone(acts[name]))
    return runs


def paired(ours: Sequence[Run], theirs: Sequence[Run]) -> Pairs:
    """Round by round."""
    return Pairs(pairs=tuple(Pair(ours=one, theirs=other) for one, other in zip(ours, theirs, strict=True)))


def alone(act: Act) -> Run:
    """In a new folder. What others wrote is on the disk before it starts, and does not get there while it runs."""
    with folder() as here:
        (here / "files").mkdir()
        os.sync()
        return act(here)


def middle(runs: Sequence[Run]) -> Run:
    """The medians of seconds and of CPU seconds, and the highest peak."""
    return Run(
        seconds=median(run.seconds for run in runs),
        cpu=median(run.cpu for run in runs),
        peak=max(run.peak for run in runs),
    )
