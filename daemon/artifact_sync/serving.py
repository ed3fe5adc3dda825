"""The composition of the HTTP server: settings and a running engine become what is served, to whom, and where."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import structlog

from artifact_sync.app import secret_source
from artifact_sync.config import Settings
from artifact_sync.config.sections import Reader as ReaderSection
from artifact_sync.core.rules import ProjectSelectors
from artifact_sync.engine import Engine
from artifact_sync.engine.asked import Asked
from artifact_sync.errors import ConfigError, CredentialRefused, NoSpace
from artifact_sync.gitlab import Client, ServerClock
from artifact_sync.gitlab.hook_proof import require_usable
from artifact_sync.state import SqliteState
from artifact_sync.state.browsing import SqliteBrowsing
from artifact_sync.state.catalogue import SqliteCatalogue
from artifact_sync.state.deliveries import SqliteDeliveries
from artifact_sync.state.overview import SqliteOverview
from artifact_sync.store import StoreView
from artifact_sync.store.disk_space import DiskSpace
from artifact_sync.store.serving import ReadingRoom
from artifact_sync.web import Pulse, Reader, Readers, Replica, serve
from artifact_sync.web.dashboard import Dashboard, Gauge, Live, dashboard
from artifact_sync.web.metrics import Meter, Sources
from artifact_sync.web.server import Part
from artifact_sync.web.webhook import receiving

__all__ = ["Renewal", "metering", "pulse", "serving"]

log = structlog.get_logger()

#: Has something take over another configuration while it works.
Renewal = Callable[[Settings], None]


def pulse(settings: Settings) -> Pulse:
    """What hears whether discovery goes on. An idle project is polled once in the longest interval."""
    return Pulse(within=_longest_silence(settings))


def _longest_silence(settings: Settings) -> timedelta:
    return 3 * max(settings.poll.interval, settings.poll.max_interval)


def metering(settings: Settings) -> Meter:
    """What counts what happens, for ``serving`` to tell."""
    return Meter(rule.name for rule in settings.compiled_rules)


@asynccontextmanager
async def serving(
    settings: Settings,
    engine: Engine,
    beat: Pulse,
    meter: Meter | None = None,
    renewals: list[Renewal] | None = None,
    live: Live | None = None,
) -> AsyncIterator[str | None]:
    """What is mirrored over HTTP, at the address that is yielded; None where nothing is served.

    Where no address is written in the configuration and the usual one is taken, a daemon goes on without HTTP: to mirror is
    what it is for. ``renewals`` gets what has all of this take over another configuration, once the engine has. Raises
    ConfigError for an address that is written and cannot be had, StateError.
    """
    renewals = [] if renewals is None else renewals
    renewals.append(lambda renewed: beat.renew(_longest_silence(renewed)))
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

        readers = Readers([_reader(reader) for reader in settings.server.tokens])
        through = _ReadThrough(Asked(engine.means, engine.wake), on=settings.server.read_through)

        def renew(renewed: Settings) -> None:
            readers.renew([_reader(reader) for reader in renewed.server.tokens])
            through.renew(engine, on=renewed.server.read_through)

        renewals.append(renew)
        replica = Replica(
            catalogue=catalogue,
            room=ReadingRoom(StoreView(settings.store_path, identity=identity)),
            pins=engine.state,
            clock=clock,
            gitlab=settings.gitlab.url.rstrip("/"),
            readers=readers,
            fetches=through,
            alive=alive,
        )
        address: str | None = None
        try:
            parts = [
                *await _webhook(stack, settings, engine, state),
                *await _metrics(stack, settings, engine, meter),
                *await _dashboard(stack, settings, engine, live),
            ]
            taken = await stack.enter_async_context(serve(replica, host=host.strip("[]"), port=int(port), parts=parts))
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


async def _metrics(stack: AsyncExitStack, settings: Settings, engine: Engine, meter: Meter | None) -> tuple[Part, ...]:
    """The exposition of what ``meter`` has heard and of what there is. Raises StateError."""
    if meter is None:
        return ()
    # Its figures are about everything: whoever reads single jobs does not wait for them.
    state = await _state(stack, settings, engine)
    remote, clock = engine.means.remote, engine.means.clock

    def rules() -> tuple[str, ...]:
        return tuple(rule.name for rule in engine.means.rules)

    sources = Sources(
        overview=SqliteOverview(state, rules),
        disk=DiskSpace(settings.store_path),
        clock=clock,
        rules=rules,
        reserve=lambda: engine.means.policy.min_free,
        traffic=remote if isinstance(remote, Client) else None,
        skew=lambda: clock.skew if isinstance(clock, ServerClock) else timedelta(),
    )
    await stack.enter_async_context(meter.watching(sources))
    return (meter.part,)


async def _dashboard(stack: AsyncExitStack, settings: Settings, engine: Engine, live: Live | None) -> tuple[Part, ...]:
    """The pages about what ``live`` has heard and what there is. Raises StateError."""
    if live is None:
        return ()
    # Its figures are about everything: whoever reads single jobs does not wait for them.
    state = await _state(stack, settings, engine)
    overview = SqliteOverview(state, lambda: tuple(rule.name for rule in engine.means.rules))
    shown = Dashboard(
        browsing=SqliteBrowsing(state),
        gauge=Gauge(overview, live, engine.means.clock),
        live=live,
        explains=engine,
        remote=engine.means.remote,
    )
    return (dashboard(shown),)


async def _webhook(stack: AsyncExitStack, settings: Settings, engine: Engine, state: SqliteState) -> tuple[Part, ...]:
    """The receiver of webhooks, where there is a secret. Raises ConfigError for one that is none, StateError."""
    if settings.server.webhook_secret is None:
        return ()
    source = secret_source(settings.server.webhook_secret)
    try:
        require_usable(source.current().value)
    except CredentialRefused as error:
        raise ConfigError(f"server.webhook_secret: {error}", hint=error.hint) from error
    # Written by the daemon's own thread, where they share a commit with what it writes anyway.
    written = engine.state if isinstance(engine.state, SqliteState) else state
    receiver = receiving(
        secret=lambda: source.current().value,
        hint=engine.hint,
        deliveries=SqliteDeliveries(written),
        clock=engine.means.clock,
        emit=engine.means.emit,
    )
    return (await stack.enter_async_context(receiver),)


class _ReadThrough:
    """Implements ``web.context.Fetches``: brings nothing as long as it is off."""

    def __init__(self, asked: Asked, *, on: bool) -> None:
        self._asked = asked
        self._on = on

    def renew(self, engine: Engine, *, on: bool) -> None:
        """By the engine's present rules."""
        self._asked.renew(engine.means)
        self._on = on

    async def bring(self, project: int | str, job_id: int) -> int | None:
        return await self._asked.bring(project, job_id) if self._on else None


def _reader(section: ReaderSection) -> Reader:
    source = secret_source(section)
    scope = None if section.projects is None else ProjectSelectors.parse(list(section.projects))
    return Reader(token=lambda: source.current().value, projects=scope)
