"""The composition of the HTTP server: settings and a running engine become what is served, to whom, and where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from artifact_sync.app import secret_source
from artifact_sync.config import Settings
from artifact_sync.config.sections import Reader as ReaderSection
from artifact_sync.core.rules import ProjectSelectors
from artifact_sync.engine import Engine
from artifact_sync.engine.asked import Asked
from artifact_sync.errors import ConfigError, NoSpace
from artifact_sync.state import SqliteState
from artifact_sync.state.catalogue import SqliteCatalogue
from artifact_sync.store import StoreView
from artifact_sync.store.serving import ReadingRoom
from artifact_sync.web import Pulse, Reader, Readers, Replica, serve

__all__ = ["pulse", "serving"]

log = structlog.get_logger()


def pulse(settings: Settings) -> Pulse:
    """What hears whether discovery goes on. An idle project is polled once in the longest interval."""
    return Pulse(within=3 * max(settings.poll.interval, settings.poll.max_interval))


@asynccontextmanager
async def serving(settings: Settings, engine: Engine, beat: Pulse) -> AsyncIterator[str | None]:
    """What is mirrored over HTTP, at the address that is yielded; None where nothing is served.

    Where no address is written in the configuration and the usual one is taken, a daemon goes on without HTTP: to mirror is
    what it is for. Raises ConfigError for one that is written and cannot be had, StateError.
    """
    listen = settings.server.listen
    if listen is None:
        yield None
        return
    host, _, port = listen.rpartition(":")
    async with AsyncExitStack() as stack:
        state = await _state(stack, settings, engine)
        identity = (await state.belongs_to()).get("store")
        catalogue, clock = SqliteCatalogue(state), engine.means.clock

        async def alive() -> bool:
            return await beat.beats(catalogue, clock)

        replica = Replica(
            catalogue=catalogue,
            room=ReadingRoom(StoreView(settings.store_path, identity=identity)),
            pins=engine.state,
            clock=clock,
            gitlab=settings.gitlab.url.rstrip("/"),
            readers=Readers([_reader(reader) for reader in settings.server.tokens]),
            fetches=Asked(engine.means, engine.wake) if settings.server.read_through else None,
            alive=alive,
        )
        address: str | None = None
        try:
            taken = await stack.enter_async_context(serve(replica, host=host.strip("[]"), port=int(port)))
        except OSError as error:
            what = f"server.listen: {listen} cannot be listened on: {error.strerror or error}"
            if "listen" in settings.server.model_fields_set:
                raise ConfigError(what, hint="Write an address of this machine with a port that is free.") from error
            log.warning("http.off", reason=what, hint="Write server.listen with a port that is free, or null.")
        else:
            address = f"{taken[0]}:{taken[1]}"
        yield address


async def _state(stack: AsyncExitStack, settings: Settings, engine: Engine) -> SqliteState:
    """A connection of its own: whatever is asked over HTTP, no step of the daemon waits for it. Raises StateError."""
    try:
        return await stack.enter_async_context(SqliteState.open(settings.state_path))
    except NoSpace:
        # Nothing can be opened on a full disk, and reading needs no space.
        if isinstance(engine.state, SqliteState):
            return engine.state
        raise


def _reader(section: ReaderSection) -> Reader:
    source = secret_source(section)
    scope = None if section.projects is None else ProjectSelectors.parse(list(section.projects))
    return Reader(token=lambda: source.current().value, projects=scope)
