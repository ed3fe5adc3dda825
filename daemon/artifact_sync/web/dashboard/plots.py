"""Lines and bars as places in a drawing. No IO: values in, coordinates and labels out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["HEIGHT", "WIDTH", "Bar", "Plot", "Tick", "bars", "line", "scale"]

#: Of the drawing, in its own units, and of what is left free at its edges for labels.
WIDTH, HEIGHT = 420, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 8, 20
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, and where it stands on it."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar, and what it stands for in words."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What is drawn, and the same as a sentence for who cannot see it."""

    name: str
    title: str
    summary: str
    #: Points of the line, as SVG writes them; empty where there are less than two.
    points: str = ""
    bars: tuple[Bar, ...] = ()
    across: tuple[Tick, ...] = ()
    up: tuple[Tick, ...] = ()
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM


def scale(most: float, *, binary: bool = False) -> float:
    """The end of an axis from 0 that holds ``most``: 1, 2 or 5 times a power of ten, or a power of two."""
    if most <= 1:
        return 1.0
    if binary:
        return 2.0 ** math.ceil(math.log2(most))
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in _STEPS if step * power >= most)


def line(
    samples: Sequence[tuple[datetime, float]],
    *,
    name: str,
    title: str,
    now: datetime,
    span: timedelta,
    every: timedelta,
    words: Callable[[float], str],
    binary: bool = False,
) -> Plot:
    """A line over the time before ``now``; ``every`` so much of it has a label, and ``words`` names a value."""
    shown = [(at, value) for at, value in samples if timedelta() <= now - at <= span]
    top = scale(max((value for _, value in shown), default=0.0), binary=binary)
    points = " ".join(f"{_x(1 - (now - at) / span):.1f},{_y(value / top):.1f}" for at, value in shown if len(shown) > 1)
    if shown:
        most = max(value for _, value in shown)
        summary = f"{title}: {words(shown[-1][1])} now, {words(most)} at most."
    else:
        summary = f"{title}: nothing measured yet."
    steps = round(span / every)
    across = tuple(Tick(_x(1 - step / steps), _before(step * every)) for step in range(steps, -1, -1))
    return Plot(name=name, title=title, summary=summary, points=points, across=across, up=_up(top, words))


def bars(counts: Sequence[int], *, name: str, title: str, unit: str, every: int) -> Plot:
    """Bars over the time from now on, one for each ``unit`` (``h`` or ``d``); each ``every``-th has a label."""
    top = scale(max(counts, default=0))
    width = (WIDTH - _LEFT - _RIGHT) / max(len(counts), 1)
    drawn = tuple(
        Bar(
            x=round(_LEFT + number * width + width * 0.1, 1),
            y=round(_y(count / top), 1),
            width=round(width * 0.8, 1),
            height=round(_y(0) - _y(count / top), 1),
            label=f"in {number} to {number + 1} {unit}",
            value=count,
        )
        for number, count in enumerate(counts)
        if count
    )
    total = sum(counts)
    fullest = max(drawn, key=lambda bar: bar.value, default=None)
    most = f", most of them {fullest.label} ({fullest.value:,})" if fullest is not None else ""
    across = tuple(
        Tick(_x(number / len(counts)), f"{number} {unit}" if number else "now")
        for number in range(0, len(counts) + 1, every)
    )
    return Plot(
        name=name,
        title=title,
        summary=f"{title}: {total:,}{most}.",
        bars=drawn,
        across=across,
        up=_up(top, lambda value: f"{value:,.0f}"),
    )


def _up(top: float, words: Callable[[float], str]) -> tuple[Tick, ...]:
    parts = (0.0, 0.5, 1.0) if top > 1 else (0.0, 1.0)
    return tuple(Tick(_y(part), words(top * part)) for part in parts)


def _x(part: float) -> float:
    return round(_LEFT + part * (WIDTH - _LEFT - _RIGHT), 1)


def _y(part: float) -> float:
    return round(HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM), 1)


def _before(ago: timedelta) -> str:
    if not ago:
        return "now"
    hours = ago / timedelta(hours=1)
    return f"-{hours:g} h" if hours < 24 else f"-{hours / 24:g} d"  # noqa: PLR2004 - hours of a day
