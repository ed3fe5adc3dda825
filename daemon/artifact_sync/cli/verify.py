"""`artifact-sync verify`: hash again what is published, and bring back what is damaged."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack

import click

from artifact_sync import app
from artifact_sync.cli.choosing import Choice, choice_options
from artifact_sync.cli.gauge import gauge
from artifact_sync.cli.holder import alone, ended_first
from artifact_sync.cli.jsonl import JsonLines
from artifact_sync.cli.options import json_option, verbose_option
from artifact_sync.cli.plain import Plain
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.reporter import Reporter, reporter
from artifact_sync.cli.words import count, size
from artifact_sync.core.events import Event
from artifact_sync.core.inspection import Inspection
from artifact_sync.core.subset import Subset
from artifact_sync.engine.repair import Repaired
from artifact_sync.engine.verifying import WORKERS, Gauge, Verified, verify
from artifact_sync.errors import Outcome, UsageError
from artifact_sync.ports import QueuedTransfer, State
from artifact_sync.store.layout import LOCK

__all__ = ["command"]

_UNREPAIRED, _DAMAGED = 1, 4
#: Publications that are not whole and are told of.
_TOLD = 20
_CURE = (
    "GitLab does not give it out any more: put the file back from a backup under the name and checksum that"
    " SHA256SUMS has, and verify again."
)
_WHY_ALONE = (
    "Without --repair this may run beside it; and a daemon reads everything by itself, a little at a time, and brings back what"
    " is damaged."
)


@click.command("verify")
@choice_options
@click.option(
    "--subset", metavar="N/T", help="Only the N-th of T parts, the same each time: 3/30 on the 3rd of the month."
)
@click.option("--repair", is_flag=True, help="Set aside what is damaged, and fetch it again.")
@json_option
@verbose_option
def command(*, choice: Choice, subset: str | None, repair: bool, as_json: bool, verbose: bool) -> int:
    """Read every published file again, and compare it with what was published.

    Without --repair nothing is changed, and it may run beside the daemon. With --repair no daemon may run: damaged files
    move into .quarantine in the store, and come back from good copies, or from GitLab. PATTERN is a folder below tree/, or
    a glob over them. Ends with 4 where something is damaged, with 1 where it could not be repaired.
    """
    part = _subset(subset)
    if repair and choice.stored:
        raise UsageError(
            "--repair and --store exclude each other",
            hint="What is damaged is fetched again: write a configuration, or --url, --project and --into as for `sync`.",
        )

    def meant(queued: QueuedTransfer) -> bool:
        return choice.has(queued) and (part is None or part.has(queued.transfer))

    async def work() -> int:
        if repair:
            return await _repair(
                choice, meant, whole=part is None and choice.everything, as_json=as_json, verbose=verbose
            )
        return await _verify(choice, meant, whole=part is None and choice.everything, as_json=as_json, verbose=verbose)

    return finish(supervise(work))


def _subset(text: str | None) -> Subset | None:
    try:
        return None if text is None else Subset.parse(text)
    except ValueError as error:
        raise UsageError(f"--subset: {error}", hint="As a daily job: --subset $(date +%-d)/31") from error


async def _chosen(state: State, meant: Callable[[QueuedTransfer], bool]) -> AsyncIterator[QueuedTransfer]:
    async for queued in state.mirrored():
        if meant(queued):
            yield queued


async def _total(state: State, *, whole: bool) -> int | None:
    return (await state.published_figures())[1] if whole else None


async def _verify(
    choice: Choice, meant: Callable[[QueuedTransfer], bool], *, whole: bool, as_json: bool, verbose: bool
) -> int:
    tell = JsonLines(sys.stdout) if as_json else Plain(sys.stdout, verbose=verbose)
    async with app.read(choice.settings) as reading:
        state = reading.state
        with gauge(await _total(state, whole=whole), as_json=as_json) as shown:
            verified = await verify(
                _chosen(state, meant),
                inspector=reading.copies.inspector(threads=WORKERS, progress=shown.read),
                state=state,
                emit=tell,
                gauge=shown,
            )
    _conclude(tell, _facts(verified), _words(verified))
    return _DAMAGED if verified.damaged else 0


async def _repair(
    choice: Choice, meant: Callable[[QueuedTransfer], bool], *, whole: bool, as_json: bool, verbose: bool
) -> int:
    with ExitStack() as stack, alone(choice.settings.store_path / LOCK, ended_first(_WHY_ALONE)):
        tell = _Switched(as_json=as_json, verbose=verbose)
        async with app.build(choice.settings, emit=tell) as engine:
            shown = stack.enter_context(gauge(await _total(engine.state, whole=whole), as_json=as_json))
            done = await engine.repair(_chosen(engine.state, meant), gauge=_Phases(shown, lambda: tell.fetch(stack)))
    told = tell.telling
    if not as_json:
        for queued in done.unrepaired[:_TOLD]:
            told.say(f"lost      {queued.transfer.dest}: {queued.error or queued.state} (hint: {_cure(queued)})")
        for dest in done.disagreeing[:_TOLD]:
            told.say(f"state     {dest}: the state is wrong, not the store (hint: artifact-sync rebuild-state)")
    facts = {
        **_facts(done.verified),
        "mended": done.mended,
        "fetched": done.fetched,
        "unrepaired": [_unrepaired(queued) for queued in done.unrepaired],
        "disagreeing": done.disagreeing,
    }
    _conclude(told, facts, f"{_words(done.verified)}{_repair_words(done)}")
    return _UNREPAIRED if done.unrepaired or done.disagreeing else 0


class _Phases(Gauge):
    """Two phases that draw differently."""

    def __init__(self, first: Gauge, then: Callable[[], None]) -> None:
        self._first = first
        self._then = then

    def read(self, count: int) -> None:
        self._first.read(count)

    def looked(self, inspection: Inspection) -> None:
        self._first.looked(inspection)

    def fetching(self) -> None:
        self._first.fetching()
        self._then()


class _Switched:
    """Plain lines, or JSON, as long as the store is looked at; what the terminal is made for once something is fetched."""

    def __init__(self, *, as_json: bool, verbose: bool) -> None:
        self._as_json = as_json
        self._verbose = verbose
        self.telling: Reporter = JsonLines(sys.stdout) if as_json else Plain(sys.stdout, verbose=verbose)

    def fetch(self, stack: ExitStack) -> None:
        """From here on."""
        if not self._as_json and sys.stdout.isatty():
            self.telling = stack.enter_context(reporter(as_json=False, verbose=self._verbose))

    def __call__(self, event: Event) -> None:
        """Tell it."""
        self.telling(event)


def _conclude(tell: Reporter, facts: dict[str, object], words: str) -> None:
    if isinstance(tell, JsonLines):
        tell.write("summary", facts)
    else:
        tell.say(words)


def _facts(verified: Verified) -> dict[str, object]:
    return {
        "publications": verified.publications,
        "files": verified.files,
        "bytes": verified.size,
        "damaged": verified.damaged,
        "damaged_names": verified.names,
        "foreign": verified.foreign,
    }


def _words(verified: Verified) -> str:
    looked = f"{count(verified.publications, 'publication')}, {count(verified.files, 'file')}, {size(verified.size)}"
    found = f"{verified.damaged:,} damaged" if verified.damaged else "all as they were published"
    foreign = f"; {count(verified.foreign, 'foreign file')} left alone" if verified.foreign else ""
    return f"Verified {looked}: {found}{foreign}."


def _repair_words(done: Repaired) -> str:
    if not done.verified.damaged:
        return ""
    words = [
        f"{done.mended:,} mended from good copies" if done.mended else "",
        f"{done.fetched:,} fetched again" if done.fetched else "",
        f"{len(done.unrepaired):,} not repaired" if done.unrepaired else "",
        f"{len(done.disagreeing):,} where the state is wrong" if done.disagreeing else "",
    ]
    return f" {', '.join(word for word in words if word)}.".capitalize()


def _cure(queued: QueuedTransfer) -> str:
    if queued.outcome is Outcome.GONE:
        return _CURE
    return "The next pass, or the daemon, tries again; `artifact-sync status` shows why it failed."


def _unrepaired(queued: QueuedTransfer) -> dict[str, object]:
    return {
        "dest": queued.transfer.dest,
        "state": queued.state,
        "outcome": queued.outcome,
        "error": queued.error,
        "cure": _cure(queued),
    }
