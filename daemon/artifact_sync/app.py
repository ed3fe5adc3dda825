"""The composition root: settings become adapters, and adapters an engine. Nobody else builds adapters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from artifact_sync.config import Settings, Token
from artifact_sync.core.events import Emit
from artifact_sync.core.rules import Rule
from artifact_sync.engine import Engine, EnginePolicy, Means
from artifact_sync.errors import StateError
from artifact_sync.fetch import Fetcher, FetchPolicy
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
from artifact_sync.ports import Clock, Copies, Remote, State
from artifact_sync.queue import EmbeddedQueue
from artifact_sync.state import SqliteState
from artifact_sync.store import LocalStore, StoreView

__all__ = ["Reading", "build", "read", "token_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What commands need that do not work on the store. The state is empty where there is none yet."""

    remote: Remote
    state: State
    #: Whether there is a state: what is written into an empty one is gone with it.
    recorded: bool
    copies: Copies
    clock: Clock
    rules: tuple[Rule, ...]
    policy: EnginePolicy

    def means(self, emit: Emit) -> Means:
        """What the engine's parts work with, telling ``emit``."""
        return Means(
            remote=self.remote, state=self.state, clock=self.clock, rules=self.rules, policy=self.policy, emit=emit
        )


@asynccontextmanager
async def build(settings: Settings, *, emit: Emit, moved: bool = False) -> AsyncIterator[Engine]:
    """An engine on the configured store, recovered and ready; everything is closed behind it.

    ``moved``: take over a state that was made for another address or another store. Raises StoreLocked, StoreError,
    StateError, NoSpace.
    """
    clock = ServerClock()
    async with AsyncExitStack() as stack:
        min_free = settings.store.min_free
        store = await stack.enter_async_context(LocalStore.open(settings.store_path, min_free=min_free))
        state = await stack.enter_async_context(SqliteState.open(settings.state_path))
        await _own(state, settings, store.identity, moved=moved)
        remote = await stack.enter_async_context(Client(_options(settings), clock=clock))
        policy = FetchPolicy(
            min_rate=settings.downloads.min_rate,
            min_free=min_free,
            segments=settings.downloads.segments,
            segment_above=settings.downloads.segment_above,
        )
        engine = Engine(
            remote=remote,
            store=store,
            state=state,
            queue=EmbeddedQueue(state),
            fetcher=Fetcher(remote, store, state, clock=clock, policy=policy, emit=emit),
            clock=clock,
            rules=settings.compiled_rules,
            policy=_policy(settings),
            emit=emit,
        )
        await engine.recover()
        yield engine


@asynccontextmanager
async def read(settings: Settings) -> AsyncIterator[Reading]:
    """GitLab and the state, beside a daemon that may be running. Raises StateError."""
    clock = ServerClock()
    async with AsyncExitStack() as stack:
        path = settings.state_path
        recorded = path.exists()
        if not recorded:
            # Looking must not make anything where the user will put it.
            path = Path(stack.enter_context(TemporaryDirectory(prefix="artifact-sync-"))) / "empty.db"
        state = await stack.enter_async_context(SqliteState.open(path))
        owners = await state.belongs_to()
        _require_owner("gitlab", owners, _address(settings), settings)
        remote = await stack.enter_async_context(Client(_options(settings), clock=clock))
        yield Reading(
            remote=remote,
            state=state,
            recorded=recorded,
            copies=StoreView(settings.store_path, identity=owners.get("store")),
            clock=clock,
            rules=settings.compiled_rules,
            policy=_policy(settings),
        )


async def _own(state: State, settings: Settings, store: str, *, moved: bool) -> None:
    """Make sure that the state is this GitLab's and this store's, and say so in a new one. Raises StateError."""
    owners = {"gitlab": _address(settings), "store": store}
    known = await state.belongs_to()
    if not moved:
        for kind, name in owners.items():
            _require_owner(kind, known, name, settings)
    if known != owners:
        await state.belong_to(owners)


def _address(settings: Settings) -> str:
    return settings.gitlab.url.rstrip("/")


def _require_owner(kind: str, known: Mapping[str, str], name: str, settings: Settings) -> None:
    if known.get(kind, name) == name:
        return
    if kind == "gitlab":
        raise StateError(
            f"the state {settings.state_path} was made for {known[kind]}, not for {name}",
            hint="Give each GitLab a store.path and a state.path of its own. If it is the same GitLab at a new address,"
            " start once with --moved.",
        )
    raise StateError(
        f"the state {settings.state_path} was made for another store than {settings.store_path}",
        hint="Is the store's disk mounted? Give each store a state.path of its own. If the store was replaced on purpose,"
        " start once with --moved: what is not there is fetched again.",
    )


def _options(settings: Settings) -> ClientOptions:
    gitlab = settings.gitlab
    return ClientOptions(
        base_url=gitlab.url,
        token=token_source(gitlab.token),
        keep_token=token_source(gitlab.keep_token) if gitlab.keep_token else None,
        ca_file=gitlab.ca_file,
        proxy=gitlab.proxy,
        per_minute=gitlab.requests.per_minute,
        keep_share=gitlab.requests.keep_share,
        concurrency=gitlab.requests.concurrency,
        timeout=gitlab.requests.timeout.total_seconds(),
        redirect_hosts=gitlab.redirect_hosts,
    )


def token_source(token: Token) -> TokenSource:
    """Where a token is read from."""
    kind = TokenKind(token.kind)
    if kind is TokenKind.NONE:
        return NoToken()
    if token.file is not None:
        return FileToken(token.file, kind)
    if token.credential is not None:
        return CredentialToken(token.credential, kind)
    return EnvToken(token.env or "GITLAB_TOKEN", kind)


def _policy(settings: Settings) -> EnginePolicy:
    poll, downloads = settings.poll, settings.downloads
    rules = json.dumps(settings.effective()["rules"], sort_keys=True)
    return EnginePolicy(
        rules=hashlib.sha256(rules.encode()).hexdigest()[:16],
        interval=poll.interval,
        max_interval=max(poll.interval, poll.max_interval),
        audit=poll.audit,
        backfill=poll.horizon,
        settle=poll.settle,
        downloads=downloads.concurrency,
        attempts=downloads.attempts,
        polls=max(1, settings.gitlab.requests.concurrency // 2),
    )
