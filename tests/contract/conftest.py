"""The adapters that every contract suite runs on. A new one is one line here."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from artifact_sync.ports import Queue, State, Store
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore

#: Opens, and opens again, what lies at a path.
OpenStore = Callable[[Path], AbstractAsyncContextManager[Store]]
OpenState = Callable[[Path], AbstractAsyncContextManager[State]]

STORES: dict[str, OpenStore] = {
    "local": lambda path: LocalStore.open(path / "mirror", min_free=0),
}
STATES: dict[str, tuple[OpenState, Callable[..., Queue]]] = {
    "sqlite": (lambda path: SqliteState.open(path / "state.db"), EmbeddedQueue),
}


@pytest.fixture(params=STORES)
def open_store(request, tmp_path) -> Callable[[], AbstractAsyncContextManager[Store]]:
    """Opens the store under test; again after it was closed."""
    return lambda: STORES[request.param](tmp_path)


@pytest.fixture
async def store(open_store) -> AsyncIterator[Store]:
    """The store under test."""
    async with open_store() as opened:
        yield opened


@pytest.fixture(params=STATES)
def state_kind(request) -> str:
    """The state and queue under test."""
    return str(request.param)


@pytest.fixture
def open_state(state_kind, tmp_path) -> Callable[[], AbstractAsyncContextManager[State]]:
    """Opens the state under test; again after it was closed."""
    return lambda: STATES[state_kind][0](tmp_path)


@pytest.fixture
async def state(open_state) -> AsyncIterator[State]:
    """The state under test."""
    async with open_state() as opened:
        yield opened


@pytest.fixture
def queue(state_kind, state) -> Queue:
    """The queue under test, over the state under test."""
    return STATES[state_kind][1](state)
