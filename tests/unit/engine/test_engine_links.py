"""When links move, as far as the workers are concerned."""

from dataclasses import dataclass, field

import anyio

from artifact_sync.core.model import Transfer
from artifact_sync.engine import EnginePolicy
from artifact_sync.engine.workers import Workers
from artifact_sync.ports import State, Store, TransferState
from tests.unit.engine.engine_doubles import bench

POLICY = EnginePolicy(downloads=1, attempts=2)


@dataclass
class Follower:
    """Notes what is true when a publication is followed."""

    state: State
    store: Store
    seen: list[tuple[TransferState, bool]] = field(default_factory=list)

    async def published(self, transfer: Transfer) -> None:
        """As ``Follows``."""
        (queued,) = await self.state.find(transfer.project_id, transfer.job.id)
        self.seen.append((queued.state, await self.store.has(transfer.dest, queued.files)))


async def test_links_move_between_the_publication_and_its_record(tmp_path):
    """It stands by then; and whoever is told of it, by the state or an event, finds the link moved."""
    async with bench(tmp_path, POLICY) as made:
        follower = Follower(made.state, made.store)
        workers = Workers(
            queue=made.queue,
            store=made.store,
            fetcher=made.fetcher,
            clock=made.clock,
            policy=POLICY,
            emit=made.events.append,
            latest=follower,
        )
        await made.add(7)
        finish = anyio.Event()
        finish.set()
        with anyio.fail_after(10):
            await workers.run(finish)
        assert follower.seen == [(TransferState.STAGED, True)]
        assert (await made.transfer(7)).state is TransferState.PUBLISHED
