"""Worlds by name, for tests and benchmarks in other processes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from artifact_sync.simulator.archives import Archive, big, many, small
from artifact_sync.simulator.demo import demo_world
from artifact_sync.simulator.living import LivingWorld
from artifact_sync.simulator.state import JobSpec
from artifact_sync.simulator.world import World

__all__ = ["PROJECT", "by_name", "parse_size", "spacing"]

_Archives = Callable[[int], Archive | None]

#: The project that all of these worlds have.
PROJECT = "acme/app"
_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MONTH = timedelta(days=30)
_JOBS = ("build", "test", "package", "docs")
_LISTED_PER_PIPELINE = 10
_ARCHIVE_EVERY = 100


def by_name(name: str, *, seed: object = 0) -> tuple[World, LivingWorld | None]:
    """The world ``jobs:N[:SIZE]``, ``big:SIZE``, ``files:N:SIZE``, ``listed:N``, ``reports:N`` or ``demo``.

    ``jobs`` has N jobs on main, each with an archive (small by default); ``big`` one job with one archive; ``files`` one
    job with one archive of N files; ``listed`` N jobs of which one in a hundred has a small archive; ``reports`` N jobs with a small archive and a
    JUnit report each. Raises ValueError for
    any other name.
    """
    kind, _, rest = name.partition(":")
    if name == "demo":
        return demo_world(seed)
    count, _, size = rest.partition(":")
    if kind == "jobs" and count.isdecimal():
        return _jobs(int(count), parse_size(size) if size else 2048, seed), None
    if kind == "listed" and count.isdecimal() and not size:
        return _listed(int(count), seed), None
    if kind == "reports" and count.isdecimal() and not size:
        return _filled(int(count), _JOBS, lambda number: small(f"{seed} {number}"), seed, reports=("junit",)), None
    if kind == "big" and rest:
        return _big(parse_size(rest), seed), None
    if kind == "files" and count.isdecimal() and int(count) and size:
        return _files(int(count), parse_size(size), seed), None
    raise ValueError(
        f"no world {name!r}; there are jobs:N, jobs:N:SIZE, big:SIZE, files:N:SIZE, listed:N, reports:N and demo"
    )


def parse_size(text: str) -> int:
    """``2GiB`` in bytes. Raises ValueError."""
    found = re.fullmatch(r"(\d+)\s*(B|KiB|MiB|GiB|)", text)
    if found is None:
        raise ValueError(f"{text!r} is no size; write for example 64KiB or 2GiB")
    return int(found[1]) * _UNITS[found[2]]


def spacing(pipelines: int) -> timedelta:
    """Between two pipelines: half a minute, or less, so that none of so many is old enough for its artifacts to expire."""
    return min(timedelta(seconds=30), _MONTH / 3 / max(1, pipelines))


def _jobs(count: int, size: int, seed: object) -> World:
    return _filled(count, _JOBS, lambda number: small(f"{seed} {number}", size=size), seed)


def _listed(count: int, seed: object) -> World:
    names = tuple(f"job {number}" for number in range(_LISTED_PER_PIPELINE))
    return _filled(count, names, lambda number: None if number % _ARCHIVE_EVERY else small(f"{seed} {number}"), seed)


def _big(size: int, seed: object) -> World:
    return _filled(1, ("build",), lambda _: big(size, seed=seed), seed)


def _files(count: int, size: int, seed: object) -> World:
    return _filled(1, ("build",), lambda _: many(count, size, seed=seed), seed)


def _filled(
    count: int, names: tuple[str, ...], archive: _Archives, seed: object, *, reports: tuple[str, ...] = ()
) -> World:
    world = World(seed=seed)
    project = world.add_project(PROJECT)
    pipelines = -(-count // len(names))
    # Jobs without an archive have their configuration in common, which saves a million of them.
    plain = {name: JobSpec(name, expire_in=_MONTH, reports=reports) for name in names}
    step = spacing(pipelines)
    start = world.clock.now() - (pipelines + 1) * step
    for index in range(pipelines):
        at = start + index * step
        numbers = range(index * len(names), min(count, (index + 1) * len(names)))
        specs = [
            plain[name] if (content := archive(number)) is None else replace(plain[name], archive=content)
            for name, number in zip(names, numbers, strict=False)
        ]
        for job in world.add_pipeline(project, project.default_branch, specs, at=at).jobs:
            world.finish(job, at=at + step * 2 / 3)
    return world
