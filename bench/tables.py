"""Rows of the tables that compare."""

from __future__ import annotations

from dataclasses import dataclass

from bench.pairs import Pairs
from bench.processes import Run

__all__ = ["Goal", "contest_row", "left_out_row", "our_row", "table"]

_MIB = 1 << 20
_COLUMNS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a figure should be."""

    bound: float
    at_least: bool = False
    unit: str = ""

    def judged(self, value: float) -> str:
        """``at most 1 (met)``, as the table shows it."""
        met = value >= self.bound if self.at_least else value <= self.bound
        words = "at least" if self.at_least else "at most"
        return f"{words} {self.bound:g}{self.unit} ({'met' if met else 'missed'})"


def table(comparison: str, rows: list[str], *, rate: str = "") -> str:
    """With its head. ``comparison`` says what the ratio is of, ``rate`` what is counted by the second."""
    head = ["", "seconds", "CPU seconds", "peak MiB", rate, comparison, "goal"]
    rule = ["---"] * _COLUMNS
    return "\n".join([_line(head), f"|{'|'.join(rule)}|", *rows])


def our_row(name: str, run: Run, *, rate: str = "", note: str = "", goal: str = "") -> str:
    """One that others are compared with."""
    return _line([name, *_figures(run), rate, note, goal])


def contest_row(
    name: str, run: Run, pairs: Pairs, *, rate: str = "", speed: bool = False, goal: Goal | None = None
) -> str:
    """One of two that were compared: the median of the pairs' ratios, and the smallest and the largest one.

    The ratio is our time to theirs, and with ``speed`` our speed to theirs.
    """
    ratios = sorted(1 / ratio for ratio in pairs.ratios) if speed else pairs.ratios
    ratio = 1 / pairs.ratio if speed else pairs.ratio
    shown = f"{ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return _line([name, *_figures(run), rate, shown, goal.judged(ratio) if goal else ""])


def left_out_row(name: str, why: str) -> str:
    """One that could not be measured."""
    return _line([name, f"left out: {why}", *[""] * (_COLUMNS - 2)])


def _figures(run: Run) -> list[str]:
    return [f"{run.seconds:.2f}", f"{run.cpu:.2f}", f"{run.peak / _MIB:.0f}"]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
