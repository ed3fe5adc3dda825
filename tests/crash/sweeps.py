"""T1, T2, T5: kills and errors at every changing call, and crashes while the daemon recovers from one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.crash.daemon_process import Fault, Outcome
from tests.crash.scene import Scene

__all__ = ["ENOUGH", "Found", "at_once", "compound", "errors", "kills", "manners", "spread"]

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EMFILE", "EROFS", "EACCES")
_KINDS = ("change", "close", "read")
#: Violations after which a sweep of a mutant ends: it is caught.
ENOUGH = 3


@dataclass(kw_only=True)
class Found:
    """What a sweep has injected and seen."""

    faults: int = 0
    violations: list[str] = field(default_factory=list)
    #: What is worth telling beside them.
    notes: dict[str, int] = field(default_factory=dict)

    def add(self, what: object, wrong: Sequence[str]) -> None:
        """One fault and what was wrong because of it."""
        self.faults += 1
        self.violations += [f"{what}: {one}" for one in wrong]

    def note(self, name: str, count: int = 1) -> None:
        """Count something."""
        self.notes[name] = self.notes.get(name, 0) + count


def at_once(number: int) -> int:
    """Transfers at the same time, in turns: one, so that every call is met, or all, which are published together."""
    return (1, 3)[number % 2]


def spread(count: int, most: int | None) -> list[int]:
    """Numbers of calls from 1 on: all, or so many of them, evenly."""
    some = min(count, most or count)
    return [1 + number * count // some for number in range(some)]


def kills(scene: Scene, *, most: int | None = None, enough: int | None = None) -> Found:
    """T1: SIGKILL at the entry of every changing call; looked at, recovered, looked at again."""
    found = Found()
    for number, at in enumerate(spread(len(scene.calls()), most)):
        place = scene.place(transfers=at_once(number))
        ran = scene.sync(place, Fault(at=at, how="kill"))
        wrong = scene.auditor(place).look(told=ran.told)
        if not ran.hits:
            found.note("ran through")
        found.add(f"kill at {_hit(ran, at)}", wrong + scene.recovered(place))
        if enough is not None and len(found.violations) >= enough:
            break
    return found


def errors(scene: Scene, *, most: int | None = None) -> Found:
    """T2: every call fails, once with one errno, and then from then on with another; in turns with each of them."""
    found = Found()
    calls = scene.calls(kinds=_KINDS)
    for number, fault in enumerate(_error_faults(len(calls), most)):
        place = scene.place(transfers=at_once(number // 2))
        ran = scene.sync(place, fault, kinds=_KINDS)
        wrong = manners(ran) + _fsync_again(ran, str(place.store)) + scene.auditor(place).look(told=ran.told)
        if ran.code == 0:
            found.note("ended well nevertheless")
            wrong += scene.auditor(place).look_complete(tidy=False)
        found.add(f"{fault}, {_hit(ran, fault.at)}", wrong + scene.recovered(place))
    return found


def _error_faults(count: int, most: int | None) -> Iterator[Fault]:
    for number, at in enumerate(spread(count, most // 2 if most else None)):
        # One apart, so that each errno meets calls both ways.
        yield Fault(at=at, how=ERRORS[number % len(ERRORS)])
        yield Fault(at=at, how=ERRORS[(number + 1) % len(ERRORS)], sticky=True)


def compound(scene: Scene, *, pairs: int = 120, seed: int = 5) -> Found:
    """T5: a kill anywhere, a second one while the next start recovers or goes on, then a clean pass. Seeded pairs."""
    found, luck = Found(), random.Random(seed)
    count = len(scene.calls())
    for pair in range(pairs):
        place = scene.place(transfers=at_once(pair // 2))
        first = luck.randint(1, count)
        ran = scene.sync(place, Fault(at=first, how="kill"))
        # Recovery itself makes few calls; every other second kill falls into them.
        second = luck.randint(1, 60 if pair % 2 else max(1, count - first))
        again = scene.sync(place, Fault(at=second, how="kill"))
        found.note("died again", bool(again.hits))
        wrong = scene.auditor(place).look(told=ran.told | again.told)
        found.add(f"kills at {_hit(ran, first)} and {_hit(again, second)}", wrong + scene.recovered(place))
    return found


def _hit(ran: Outcome, at: int) -> str:
    return f"{at} ({ran.hits[0]})" if ran.hits else f"{at} (not reached)"


def manners(ran: Outcome) -> list[str]:
    """A daemon that meets an error ends, in time, and says what was wrong without a traceback."""
    wrong = ["it did not end"] if ran.code is None else []
    if ran.code is not None and ran.code < 0:
        wrong.append(f"it was ended by signal {-ran.code}")
    if "Traceback" in ran.err or "transfer.crashed" in ran.err:
        wrong.append(f"an error of its own: {ran.err.strip()[-600:]}")
    return wrong


def _fsync_again(ran: Outcome, store: str) -> list[str]:
    """An fsync of the same file or directory of the store that succeeds after one has failed: that success is a lie."""
    failed: set[str] = set()
    wrong = []
    struck = frozenset(ran.struck)
    for position, call in enumerate(ran.calls):
        if not call.startswith(f"fsync {store}"):
            continue
        if position in struck:
            failed.add(call)
        elif call in failed:
            wrong.append(f"{call} succeeded after it had failed")
    return wrong
