"""What was asked of GitLab, and how transfers ended, is added up and not lost on the way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from artifact_sync.core.events import Event, TransferEnded
from artifact_sync.engine import EnginePolicy, Means
from artifact_sync.engine.accounts import Accounts
from artifact_sync.errors import NoSpace, Outcome
from artifact_sync.ports import Priority
from tests.unit.engine.engine_doubles import DrivenClock


@dataclass
class Counters:
    """A state that counts, unless its disk is full."""

    counted: Counter[str] = field(default_factory=Counter)
    full: bool = False

    async def count(self, counts: Mapping[str, int]) -> None:
        """State.count."""
        if self.full:
            raise NoSpace("no space")
        self.counted.update(counts)


def accounts(remote: Any, state: Counters, told: list[Event]) -> Accounts:
    """Over these alone."""
    means = Means(
        remote=remote,
        state=cast(Any, state),
        clock=DrivenClock(),
        rules=(),
        policy=EnginePolicy(),
        emit=told.append,
    )
    return Accounts(means)


async def test_what_a_full_disk_did_not_take_is_counted_later():
    """Nothing twice, nothing lost, and nobody is disturbed."""
    remote = SimpleNamespace(requests={Priority.POLL: 3}, unchanged={Priority.POLL: 1}, throttled={})
    state = Counters()
    made = accounts(remote, state, [])
    await made.settle()
    remote.requests[Priority.POLL] = 5
    state.full = True
    await made.settle()
    state.full = False
    remote.requests[Priority.KEEP] = 1
    await made.settle()
    await made.settle()
    assert state.counted == {"requests.poll": 5, "unchanged.poll": 1, "requests.keep": 1}


async def test_every_end_is_counted_and_told_on():
    """Of each attempt, by its outcome."""
    remote = SimpleNamespace(requests={}, unchanged={}, throttled={})
    state, told = Counters(), list[Event]()
    made = accounts(remote, state, told)
    ended = [
        TransferEnded(
            transfer_id=1,
            project="acme/app",
            job_id=7,
            job="build",
            ref="main",
            dest="acme/app/7",
            outcome=outcome,
            size=0,
            seconds=0.0,
            error="",
            hint="",
            retry_at=None,
        )
        for outcome in (Outcome.CORRUPT, Outcome.CORRUPT, Outcome.PUBLISHED)
    ]
    for event in ended:
        made.counting(event)
    await made.settle()
    assert told == ended
    assert state.counted == {"outcome.corrupt": 2, "outcome.published": 1}
