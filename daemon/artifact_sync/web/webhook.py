"""`POST /webhook`: what GitLab tells by itself. A hint that hastens a look, and never trusted.

GitLab gives up on a receiver after a few failures (app/models/concerns/web_hooks/auto_disabling.rb), so whoever has shown
that he knows the secret is answered with success, also for what is ignored, and at once: nothing is waited for but the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from anyio import CancelScope, fail_after

from artifact_sync.core.events import Emit, WebhookReceived
from artifact_sync.core.hints import Hint, Receipt
from artifact_sync.errors import CredentialRefused
from artifact_sync.gitlab.hook_events import hint_in
from artifact_sync.gitlab.hook_proof import Doubt, Proof, delivery_key, proof
from artifact_sync.ports import Clock
from artifact_sync.ports.deliveries import Deliveries
from artifact_sync.web.answers import ApiError, reply
from artifact_sync.web.bodies import OWN_BODIES
from artifact_sync.web.remembered import Remembered
from artifact_sync.web.server import Part

__all__ = ["PATH", "receiving"]

log = structlog.get_logger()

PATH = "/webhook"
#: Bytes of a body that is read as an event.
_LARGEST = 1 << 20
#: Bytes that are taken in before nothing more is; GitLab sends no more than 25 MB (app/services/web_hook_service.rb).
_MOST = 32 << 20
#: Seconds for a body: GitLab itself waits no longer for an answer.
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Receiver:
    secret: Callable[[], str] = field(repr=False)
    hint: Callable[[Hint], Receipt]
    remembered: Remembered
    clock: Clock
    emit: Emit
    patience: float

    def begun(self, request: web.Request) -> Proof:
        """What the headers prove. Raises _Refusal."""
        try:
            begun = proof(self.secret(), request.headers, self.clock.now())
        except CredentialRefused as error:
            log.warning("webhook.secret_unreadable", error=str(error), hint=error.hint)
            raise _Refusal("the secret cannot be read") from None
        if isinstance(begun, Doubt):
            raise _Refusal(begun.value)
        return begun

    def accept(self, request: web.Request, body: bytes) -> Receipt:
        """What a proved webhook comes to."""
        key = delivery_key(request.headers)
        if key is not None and key in self.remembered:
            return Receipt.DUPLICATE
        hint = hint_in(body)
        receipt = Receipt.IGNORED if hint is None else self.hint(hint)
        # One that was too many may come again, and of the rest it does not matter: most tell of what has not ended.
        if key is not None and receipt is Receipt.ACCEPTED:
            self.remembered.add(key)
        return receipt


_RECEIVER = web.AppKey("receiver", _Receiver)


@asynccontextmanager
async def receiving(
    *,
    secret: Callable[[], str],
    hint: Callable[[Hint], Receipt],
    deliveries: Deliveries,
    clock: Clock,
    emit: Emit,
    patience: float = _PATIENCE,
) -> AsyncIterator[Part]:
    """A receiver as a part of the server. ``secret`` gives the secret as it is now, or raises CredentialRefused.

    ``hint`` is called for what is to be looked at, and must return at once. Raises StateError.
    """
    remembered = Remembered(deliveries, clock)
    await remembered.load()
    receiver = _Receiver(secret=secret, hint=hint, remembered=remembered, clock=clock, emit=emit, patience=patience)

    def part(application: web.Application) -> None:
        application[_RECEIVER] = receiver
        resource = application.router.add_resource(PATH)
        resource.add_route("POST", _come)
        application[OWN_BODIES].add(resource)

    # No task group: nothing that could go wrong in it is a reason to end the daemon.
    writing = asyncio.create_task(remembered.run())
    try:
        yield part
    finally:
        writing.cancel()
        with CancelScope(shield=True), suppress(asyncio.CancelledError):
            await writing


class _Refusal(ApiError):
    """A request that is no webhook, or not proved to be one. Whoever sent it is not told why."""

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.UNAUTHORIZED) -> None:
        super().__init__(status, {"message": f"{status.value} {status.phrase}"})
        self.reason = reason


async def _come(request: web.Request) -> web.StreamResponse:
    receiver = request.config_dict[_RECEIVER]
    try:
        receipt = await _received(request, receiver)
    except _Refusal as refusal:
        log.info("webhook.refused", address=request.remote, reason=refusal.reason)
        receipt, response = Receipt.REFUSED, reply(refusal.payload, status=refusal.status)
        # Who knows what else comes on that connection.
        response.force_close()
    else:
        response = reply({"result": receipt.value})
    receiver.emit(WebhookReceived(result=receipt.value))
    return response


async def _received(request: web.Request, receiver: _Receiver) -> Receipt:
    """Raises _Refusal."""
    begun = receiver.begun(request)
    # GitLab compresses nothing. What is signed are the bytes before, and what they unpack to could be anything.
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise _Refusal("compressed", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        with fail_after(receiver.patience):
            size, body = await _body(request, begun)
    except TimeoutError:
        raise _Refusal("slow", HTTPStatus.REQUEST_TIMEOUT) from None
    except (HttpProcessingError, web.RequestPayloadError):
        raise _Refusal("no whole body", HTTPStatus.BAD_REQUEST) from None
    if not begun.holds:
        large = size > _LARGEST
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if large else HTTPStatus.UNAUTHORIZED
        raise _Refusal(Doubt.WRONG_SIGNATURE.value, status)
    return Receipt.OVERFLOW if size > _LARGEST else receiver.accept(request, body)


async def _body(request: web.Request, begun: Proof) -> tuple[int, bytes]:
    """How many bytes came, and they themselves where an event may have as many. Raises _Refusal above all limits."""
    size, body = request.content_length or 0, bytearray()
    if size <= _MOST:
        size = 0
        while size <= _MOST and (chunk := await request.content.readany()):
            begun.feed(chunk)
            size += len(chunk)
            body += chunk if size <= _LARGEST else b""
    if size > _MOST:
        raise _Refusal("too large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return size, bytes(body)
