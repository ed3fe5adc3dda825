"""What goes on beside the questions: how late the event loop is, and when tokens expire."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio
import structlog

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.ports import Clock
from artifact_sync.ports.remote import TokenInfo
from artifact_sync.ports.traffic import Traffic

__all__ = ["heartbeat", "tokens"]

log = structlog.get_logger()

#: Seconds between two beats.
_BEAT = 0.5
#: Seconds between two questions about tokens, and after one that failed: who turns a token over wants to see it.
_ASK, _AGAIN = 6 * 3600.0, 600.0


async def heartbeat(clock: Clock, late: Callable[[float], None]) -> None:
    """Tell by how many seconds each beat comes late, until cancelled."""
    while True:
        due = clock.monotonic() + _BEAT
        await clock.sleep(_BEAT)
        late(max(0.0, clock.monotonic() - due))


async def tokens(
    traffic: Traffic, clock: Clock, asked: Callable[[], anyio.Event], learn: Callable[[Mapping[str, TokenInfo]], None]
) -> None:
    """Ask GitLab about its tokens now and then, for as long as somebody reads the answers; until cancelled.

    ``asked``: the event of the next reader.
    """
    while True:
        await asked().wait()
        wait = _ASK
        try:
            learn(await traffic.tokens())
        except ArtifactSyncError as error:
            wait = _AGAIN
            log.debug("tokens.unknown", error=str(error), hint=error.hint)
        await clock.sleep(wait)
