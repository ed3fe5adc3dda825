"""Several connections to one state, in one process and beside it."""

import subprocess
import sys
from datetime import UTC, datetime

from artifact_sync.ports import PruneOrder
from artifact_sync.state import SqliteState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
_ANOTHER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import anyio
from artifact_sync.ports import PruneOrder
from artifact_sync.state import SqliteState

async def main():
    async with SqliteState.open(Path(sys.argv[1])) as state:
        await state.order_prune(PruneOrder(undo=True), datetime(2026, 3, 1, tzinfo=UTC))

anyio.run(main)
"""


async def test_a_second_connection_does_not_cut_off_the_first(tmp_path):
    """What another process writes is seen by both, though that process closed the database meanwhile."""
    path = tmp_path / "state.db"
    async with SqliteState.open(path) as first:
        await first.belong_to({"store": "a"})
        async with SqliteState.open(path) as second:
            log = (tmp_path / "state.db-wal").stat().st_ino
            subprocess.run([sys.executable, "-c", _ANOTHER, str(path)], check=True, timeout=50)  # noqa: ASYNC221 - nothing else runs
            # The last one that closes it removes the log; that process is not the last.
            assert (tmp_path / "state.db-wal").stat().st_ino == log
            found = [await state.next_order(NOW) for state in (first, second)]
            assert found == [(1, PruneOrder(undo=True))] * 2
            await first.belong_to({"store": "b"})
            assert await second.belongs_to() == {"store": "b"}
    async with SqliteState.open(path) as later:
        assert await later.belongs_to() == {"store": "b"}
