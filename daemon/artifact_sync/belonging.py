"""Whose a state is: of one GitLab and of one store, which must not be mixed up with others (ADR 8)."""

from __future__ import annotations

from collections.abc import Mapping

from anyio import to_thread

from artifact_sync.config import Settings, default_state_path, state_of_its_own
from artifact_sync.errors import StateError
from artifact_sync.ports import State
from artifact_sync.store.surveying import holds_something

__all__ = ["address", "lost_state", "own", "require_gitlab", "require_no_lost_state"]


def address(settings: Settings) -> str:
    """GitLab's, as it is written down."""
    return settings.gitlab.url.rstrip("/")


async def require_no_lost_state(settings: Settings) -> None:
    """What is mirrored is in the state, too. Raises StateError where there is none beside a store with publications."""
    if (lost := await to_thread.run_sync(lost_state, settings)) is not None:
        raise lost


def lost_state(settings: Settings) -> StateError | None:
    """What is wrong where there is no state beside a store with publications."""
    store = settings.store_path
    if settings.state_path.exists() or not holds_something(store):
        return None
    others = [path for path in (state_of_its_own(store), default_state_path(store)) if path.exists()]
    return StateError(
        f"there is no state at {settings.state_path}, but the store {store} has publications",
        hint=f"Is {others[0]} its state, from another configuration or a line without any? Then use that, or say"
        f" `state: {{path: {others[0]}}}`."
        if others
        else "`artifact-sync rebuild-state` makes it again from the store, and nothing is downloaded twice. To begin without"
        " it, start once with --moved: then what is mirrored is known again as far as GitLab still lists it.",
    )


async def own(state: State, settings: Settings, store: str, *, moved: bool) -> None:
    """Make sure that the state is this GitLab's and this store's, and say so in a new one. Raises StateError."""
    owners = {"gitlab": address(settings), "store": store}
    known = await state.belongs_to()
    if not moved and not await _unused(state):
        for kind, name in owners.items():
            _require(kind, known, name, settings)
    if known != owners:
        await state.belong_to(owners)


async def require_gitlab(state: State, settings: Settings) -> None:
    """Make sure that the state is this GitLab's, or nobody's yet. Raises StateError."""
    if not await _unused(state):
        _require("gitlab", await state.belongs_to(), address(settings), settings)


async def _unused(state: State) -> bool:
    """Whether no GitLab has ever told it anything: one that was given a wrong address is nobody's."""
    summary = await state.summary()
    return not summary.projects and not any(summary.by_state.values())


def _require(kind: str, known: Mapping[str, str], name: str, settings: Settings) -> None:
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
