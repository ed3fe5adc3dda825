"""What changes something in GitLab: with the token that may, and never twice where it may have been done."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from artifact_sync.errors import Throttled, Transient
from artifact_sync.gitlab.requests import Credential, Requester
from artifact_sync.ports import Priority

__all__ = ["Writes"]


class Writes:
    """Posts and deletes with one credential. Raises as ports.Remote says."""

    def __init__(self, requester: Requester, credential: Credential) -> None:
        self._requester = requester
        #: Shown with each write.
        self.credential = credential

    async def post(
        self, path: str, content: Mapping[str, object] | None = None, *, priority: Priority = Priority.POLL
    ) -> bytes:
        """The body of the answer. ``content`` is sent as JSON; empty: nothing is sent."""
        body = msgspec.json.encode(content) if content else None
        answer = await self._requester.ask(
            path, self.credential, priority=priority, method="POST", body=body, again=_was_not_done
        )
        return answer.body

    async def delete(self, path: str) -> None:
        """The answer says nothing."""
        await self._requester.ask(path, self.credential, priority=Priority.POLL, method="DELETE", again=_was_not_done)


def _was_not_done(error: Transient) -> bool:
    """Whether a write surely had no effect: a quota stands in front of it, and so does a service that is unavailable."""
    return isinstance(error, Throttled) or error.status == HTTPStatus.SERVICE_UNAVAILABLE
