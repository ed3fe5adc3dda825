"""The composition root: settings become adapters, and adapters an engine. What is served of one is composed in ``serving``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from artifact_sync.after import HttpWebhooks, LocalCommands
from artifact_sync.belonging import address, own, require_gitlab, require_no_lost_state
from artifact_sync.config import Settings, Token
from artifact_sync.config.rule_sections import After
from artifact_sync.config.sections import Secret
from artifact_sync.core.events import Emit
from artifact_sync.core.hooks import wanted_hooks
from artifact_sync.core.rules import Rule
from artifact_sync.engine import Engine, EnginePolicy, Means
from artifact_sync.engine.holdings import Linked
from artifact_sync.engine.rebuilding import Rebuilt
from artifact_sync.engine.rebuilding import rebuild as rebuilt
from artifact_sync.errors import CredentialRefused, NoSpace, StoreError
from artifact_sync.fetch import Bandwidth, Fetcher, FetchPolicy, SingleFetcher
from artifact_sync.gitlab import (
    Client,
    ClientOptions,
    CredentialToken,
    EnvToken,
    FileToken,
    NoToken,
    ServerClock,
    TokenKind,
    TokenSource,
)
from artifact_sync.observe import Masking
from artifact_sync.ports import Clock, Operator, OwnFile, Remote, Shelf, State
from artifact_sync.ports.overview import Overview
from artifact_sync.proxies import proxy_of_environment
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteBuilder, SqliteState
from artifact_sync.state.overview import SqliteOverview
from artifact_sync.store import Access, LocalStore, StoreView
from artifact_sync.store import OwnFile as LocalFile

__all__ = [
    "Daemon",
    "Operating",
    "Reading",
    "build",
    "daemon",
    "masking",
    "operate",
    "own_file",
    "owners_of",
    "read",
    "rebuild",
    "secret_source",
    "token_source",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What commands need that do not work on the store. The state is empty where there is none yet."""

    remote: Remote
    state: State
    overview: Overview
    #: Whether there is a state: what is written into an empty one is gone with it.
    recorded: bool
    copies: Shelf
    #: Destinations that links in the tree point at.
    linked: Linked
    clock: Clock
    rules: tuple[Rule, ...]
    policy: EnginePolicy

    def means(self, emit: Emit) -> Means:
        """What the engine's parts work with, telling ``emit``."""
        return Means(
            remote=self.remote, state=self.state, clock=self.clock, rules=self.rules, policy=self.policy, emit=emit
        )


@dataclass(slots=True, kw_only=True)
class Daemon:
    """An engine, and those of its adapters that take over another configuration while they work."""

    engine: Engine
    #: What is in effect.
    settings: Settings
    #: Of everything that is known.
    overview: Overview
    remote: Client
    bandwidth: Bandwidth
    fetcher: Fetcher
    queue: EmbeddedQueue
    webhooks: HttpWebhooks

    async def renew(self, settings: Settings) -> None:
        """Go on by these, which differ only in what ``config.changes`` says a running daemon takes over. Raises StateError."""
        before, self.settings = self.settings, settings
        self.remote.renew(_options(settings))
        self.bandwidth.renew(settings.downloads.timetable)
        self.fetcher.renew(_fetch_policy(settings))
        self.queue.renew(wanted_hooks(settings.compiled_rules))
        hooks = settings.hooks
        self.webhooks.renew(timeout=hooks.timeout.total_seconds(), secret=_signing(settings), mask=masking(settings))
        await self.engine.renew(
            rules=settings.compiled_rules,
            policy=_policy(settings),
            commands=_commands(settings),
            relink=_linking(settings) != _linking(before),
            relook=settings.gitlab.token != before.gitlab.token,
        )


@asynccontextmanager
async def build(settings: Settings, *, emit: Emit, moved: bool = False) -> AsyncIterator[Engine]:
    """An engine on the configured store, recovered and ready; everything is closed behind it.

    ``moved``: take over a state that was made for another address or another store. Raises StoreLocked, StoreError,
    StateError, NoSpace.
    """
    async with daemon(settings, emit=emit, moved=moved, renewable=False) as built:
        yield built.engine


@asynccontextmanager
async def daemon(
    settings: Settings, *, emit: Emit, moved: bool = False, renewable: bool = True
) -> AsyncIterator[Daemon]:
    """The same with what takes over another configuration, if it is ``renewable``."""
    clock = ServerClock()
    async with AsyncExitStack() as stack:
        min_free = settings.store.min_free
        access = Access.of(settings.store.mode, settings.store.group)
        store = await stack.enter_async_context(LocalStore.open(settings.store_path, min_free=min_free, access=access))
        if not moved:
            await require_no_lost_state(settings)
        state = await stack.enter_async_context(SqliteState.open(settings.state_path, ballast=True))
        await own(state, settings, store.identity, moved=moved)
        remote = await stack.enter_async_context(Client(_options(settings), clock=clock))
        # The machine's own clock: the timetable is about its line, and not about GitLab's time.
        bandwidth = Bandwidth(settings.downloads.timetable, clock=clock.local, renewable=renewable)
        policy = _fetch_policy(settings)
        fetcher = Fetcher(remote, store, state, clock=clock, policy=policy, emit=emit, bandwidth=bandwidth)
        queue = EmbeddedQueue(state, after=wanted_hooks(settings.compiled_rules))
        webhooks = await stack.enter_async_context(_webhooks(settings))
        engine = Engine(
            remote=remote,
            store=store,
            state=state,
            queue=queue,
            fetcher=fetcher,
            clock=clock,
            rules=settings.compiled_rules,
            policy=_policy(settings),
            emit=emit,
            commands=_commands(settings),
            webhooks=webhooks,
        )
        await engine.recover()
        figures = state
        if renewable:
            # What looks at everything has a connection of its own: no step of the daemon waits for it.
            with suppress(NoSpace):
                figures = await stack.enter_async_context(SqliteState.open(settings.state_path))
        yield Daemon(
            engine=engine,
            settings=settings,
            overview=SqliteOverview(figures, lambda: [rule.name for rule in engine.means.rules]),
            remote=remote,
            bandwidth=bandwidth,
            fetcher=fetcher,
            queue=queue,
            webhooks=webhooks,
        )


@asynccontextmanager
async def read(settings: Settings) -> AsyncIterator[Reading]:
    """GitLab and the state, beside a daemon that may be running. Raises StateError."""
    clock = ServerClock()
    async with AsyncExitStack() as stack:
        path = settings.state_path
        recorded = path.exists()
        if not recorded:
            await require_no_lost_state(settings)
            # Looking must not make anything where the user will put it.
            path = Path(stack.enter_context(TemporaryDirectory(prefix="artifact-sync-"))) / "empty.db"
        state = await stack.enter_async_context(SqliteState.open(path))
        owners = await state.belongs_to()
        await require_gitlab(state, settings)
        remote = await stack.enter_async_context(Client(_options(settings), clock=clock))
        view = StoreView(settings.store_path, identity=owners.get("store"))
        yield Reading(
            remote=remote,
            state=state,
            overview=SqliteOverview(state, lambda: [rule.name for rule in settings.compiled_rules]),
            recorded=recorded,
            copies=view,
            linked=view.linked,
            clock=clock,
            rules=settings.compiled_rules,
            policy=_policy(settings),
        )


async def owners_of(path: Path) -> Mapping[str, str]:
    """Whose the state at this path is, which must be there: addresses by kind, ``gitlab`` and ``store``. Raises StateError."""
    async with SqliteState.open(path) as state:
        return await state.belongs_to()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """What commands need that look at single jobs in GitLab, and act on them: neither store nor state."""

    remote: Remote
    operator: Operator
    fetcher: SingleFetcher
    clock: Clock


@asynccontextmanager
async def operate(settings: Settings) -> AsyncIterator[Operating]:
    """GitLab alone, by the configured budget."""
    clock = ServerClock()
    async with Client(_options(settings), clock=clock) as remote:
        policy = FetchPolicy(min_rate=settings.downloads.min_rate, min_free=0)
        bandwidth = Bandwidth(settings.downloads.timetable, clock=clock.local)
        fetcher = SingleFetcher(remote, clock=clock, policy=policy, bandwidth=bandwidth)
        yield Operating(remote=remote, operator=remote.operator, fetcher=fetcher, clock=clock)


def own_file(path: Path, *, what: str, force: bool) -> AbstractAsyncContextManager[OwnFile]:
    """A file to download into, outside of the store. Raises UsageError, StoreError when it is entered."""
    return LocalFile.open(path, what=what, force=force)


async def rebuild(settings: Settings, *, verify: bool) -> Rebuilt:
    """The state again from the store, which must be there. Raises StoreLocked, StoreError, StateError, NoSpace."""
    if not (settings.store_path / "tree").is_dir():
        raise StoreError(
            f"there is no store at {settings.store_path}",
            hint="Is its disk mounted? A state is rebuilt from what is mirrored; without any, start with a new one.",
        )
    async with LocalStore.open(settings.store_path) as store, SqliteBuilder.open(settings.state_path) as builder:
        owners = {"gitlab": address(settings), "store": store.identity}
        inspector = store.inspector() if verify else None
        return await rebuilt(store, builder, owners=owners, inspector=inspector)


def _options(settings: Settings) -> ClientOptions:
    gitlab = settings.gitlab
    return ClientOptions(
        base_url=gitlab.url,
        token=token_source(gitlab.token),
        keep_token=token_source(gitlab.keep_token) if gitlab.keep_token else None,
        ca_file=gitlab.ca_file,
        proxy=gitlab.proxy or proxy_of_environment(gitlab.url),
        per_minute=gitlab.requests.per_minute,
        keep_share=gitlab.requests.keep_share,
        concurrency=gitlab.requests.concurrency,
        timeout=gitlab.requests.timeout.total_seconds(),
        redirect_hosts=gitlab.redirect_hosts,
    )


def token_source(token: Token) -> TokenSource:
    """Where a token is read from."""
    kind = TokenKind(token.kind)
    return NoToken() if kind is TokenKind.NONE else secret_source(token, kind)


def secret_source(secret: Secret, kind: TokenKind = TokenKind.PRIVATE) -> TokenSource:
    """Where a secret is read from."""
    if secret.file is not None:
        return FileToken(secret.file, kind)
    if secret.credential is not None:
        return CredentialToken(secret.credential, kind)
    return EnvToken(secret.env or "GITLAB_TOKEN", kind)


def _commands(settings: Settings) -> LocalCommands:
    withheld = {secret.env for secret in _secrets(settings) if secret.env is not None}
    return LocalCommands(
        timeout=settings.hooks.timeout.total_seconds(), mask=masking(settings), withheld=withheld | {"GITLAB_TOKEN"}
    )


def _webhooks(settings: Settings) -> HttpWebhooks:
    return HttpWebhooks(
        timeout=settings.hooks.timeout.total_seconds(),
        secret=_signing(settings),
        proxy=settings.gitlab.proxy,
        ca_file=settings.gitlab.ca_file,
        mask=masking(settings),
    )


def _signing(settings: Settings) -> Callable[[], str] | None:
    if settings.hooks.secret is None:
        return None
    source = secret_source(settings.hooks.secret)
    return lambda: source.current().value


def _linking(settings: Settings) -> tuple[object, ...]:
    """What decides which links are asked for, and where they point."""
    return tuple((rule.name, rule.publish) for rule in settings.rules)


def _secrets(settings: Settings) -> tuple[Secret, ...]:
    """Every secret that the configuration names."""
    named = (settings.gitlab.token, settings.gitlab.keep_token, settings.hooks.secret, settings.server.webhook_secret)
    return (*(secret for secret in named if secret is not None), *settings.server.tokens)


def masking(settings: Settings) -> Masking:
    """What takes the configured secrets out of a text, as they are when it is called, and what looks like one."""
    sources = [secret_source(secret) for secret in _secrets(settings) if secret.sources]

    def known() -> Iterator[str]:
        for source in sources:
            with suppress(CredentialRefused):
                yield source.current().value

    return Masking(known)


def _fetch_policy(settings: Settings) -> FetchPolicy:
    downloads = settings.downloads
    return FetchPolicy(
        min_rate=downloads.min_rate,
        min_free=settings.store.min_free,
        segments=downloads.segments,
        segment_above=downloads.segment_above,
    )


def _policy(settings: Settings) -> EnginePolicy:
    poll, downloads = settings.poll, settings.downloads
    # How long publications stay says nothing about which jobs are wanted: history is not walked again for it.
    # The same is true of what happens after a publication.
    nothing = After().model_dump(mode="json")
    selecting = [
        rule | {"retain": dict.fromkeys(rule["retain"]), "after": nothing} for rule in settings.effective()["rules"]
    ]
    rules = json.dumps(selecting, sort_keys=True)
    return EnginePolicy(
        rules=hashlib.sha256(rules.encode()).hexdigest()[:16],
        interval=poll.interval,
        max_interval=max(poll.interval, poll.max_interval),
        audit=poll.audit,
        backfill=poll.horizon,
        settle=poll.settle,
        downloads=downloads.concurrency,
        attempts=downloads.attempts,
        hook_retries=settings.hooks.retries,
        hook_timeout=settings.hooks.timeout.total_seconds(),
        polls=max(1, settings.gitlab.requests.concurrency // 2),
        hinted=settings.gitlab.requests.per_minute / 3,
        max_delete=settings.retention.max_delete,
        trash=settings.retention.trash,
        min_free=settings.store.min_free,
    )
