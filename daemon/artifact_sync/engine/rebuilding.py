"""The state again, from the store alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from artifact_sync.ports import Inspector
from artifact_sync.ports.rebuilding import FoundPublication, StateBuilder, Strange, Survey

__all__ = ["Rebuilt", "rebuild"]

#: Publications in one transaction.
_BATCH = 500
#: Strange things that are remembered.
_TOLD = 1000


@dataclass(slots=True)
class Rebuilt:
    """What was found. ``size`` is in bytes."""

    publications: int = 0
    files: int = 0
    size: int = 0
    #: Of these, destinations where something is missing or damaged; they are fetched again.
    damaged: int = 0
    #: What was left out, the first of it, and how much.
    strange: list[Strange] = field(default_factory=list)
    left_out: int = 0
    #: Where the old state went.
    kept: tuple[str, ...] = ()


async def rebuild(
    store: Survey,
    builder: StateBuilder,
    *,
    owners: Mapping[str, str],
    inspector: Inspector | None,
    progress: Callable[[Rebuilt], None] = lambda _: None,
) -> Rebuilt:
    """Do it. With an ``inspector`` every file is hashed. Raises StoreError and its kin, StateError, NoSpace."""
    done = Rebuilt()
    batch: list[FoundPublication] = []
    async for found in store.survey():
        if isinstance(found, Strange):
            _leave_out(done, found)
            continue
        if inspector is not None and found.whole and (await inspector.inspect(found.expected))[0].harmed:
            found = _damaged(found)  # noqa: PLW2901 - it is the same one, known better
        batch.append(found)
        if len(batch) >= _BATCH:
            await _add(batch, builder, done)
            progress(done)
    await _add(batch, builder, done)
    done.kept = await builder.finish(owners)
    return done


async def _add(batch: list[FoundPublication], builder: StateBuilder, done: Rebuilt) -> None:
    refused = await builder.add(batch)
    for found in batch:
        if found in refused:
            _leave_out(done, Strange(path=found.transfer.dest, reason="another publication has this place already"))
            continue
        done.publications += 1
        done.files += sum(file.published for file in found.files)
        done.size += found.size
        done.damaged += not found.whole
    batch.clear()


def _leave_out(done: Rebuilt, strange: Strange) -> None:
    done.left_out += 1
    if len(done.strange) < _TOLD:
        done.strange.append(strange)


def _damaged(found: FoundPublication) -> FoundPublication:
    return FoundPublication(
        transfer=found.transfer,
        files=found.files,
        manifest_sha256=found.manifest_sha256,
        published_at=found.published_at,
        whole=False,
    )
