"""One request after another: budget, credential, redirects within the API, quotas, and trying again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import structlog
from structlog.contextvars import bound_contextvars
from yarl import URL

from artifact_sync.core.backoff import delay
from artifact_sync.errors import CredentialRefused, Refused, RemoteError, Throttled, Transient, Unreachable
from artifact_sync.gitlab.address import Address
from artifact_sync.gitlab.answers import error_for, sign_in_refused
from artifact_sync.gitlab.budget import Budget
from artifact_sync.gitlab.circuit import Circuit
from artifact_sync.gitlab.clock import ServerClock
from artifact_sync.gitlab.cursors import anchored
from artifact_sync.gitlab.quota import Quota
from artifact_sync.gitlab.redirects import HOPS, STATUSES, plain
from artifact_sync.gitlab.revalidation import Look
from artifact_sync.gitlab.tokens import Token, TokenSource
from artifact_sync.gitlab.traffic import Tally
from artifact_sync.gitlab.transport import Answer, Transport
from artifact_sync.ports import Priority
from artifact_sync.ports.steps import waiting

__all__ = ["Credential", "Requester", "asked_for", "refuse_encoding"]

log = structlog.get_logger()

T = TypeVar("T")

_SUCCESS = range(200, 300)
_NUMBERS = count(1)
_BASE, _CAP = 1.0, 900.0
#: Seconds to wait for an endpoint's own limit, which counts by the minute and does not say when the next one begins
#: (lib/api/helpers/rate_limiter.rb).
_ENDPOINT_WAIT = 15.0
#: Seconds behind the end of a window: the server's time is known to a second at best.
_SURELY = 1.0
_STALE = "A proxy between here and GitLab answers by itself; it is asked again. Let it not cache the API."


class Credential:
    """A source of tokens, with what GitLab said of the last one."""

    def __init__(self, source: TokenSource, clock: ServerClock) -> None:
        self._source = source
        self._circuit = Circuit(clock)

    def read_from(self, source: TokenSource) -> None:
        """From now on the token comes from there."""
        self._source = source

    def token(self) -> Token:
        """The token to show now. Raises CredentialRefused when there is none, or it was refused a moment ago."""
        token = self._source.current()
        self._circuit.check(token)
        return token

    def accepted(self, token: Token) -> None:
        """GitLab took this token."""
        self._circuit.accepted(token)

    def refused(self, token: Token, error: CredentialRefused) -> None:
        """GitLab answered 401 to this token."""
        self._circuit.refused(token, error)

    @property
    def is_refused(self) -> bool:
        """Whether GitLab refused the last token, and has not taken one since."""
        return self._circuit.is_open


class Requester:
    """Asks the API, and draws the conclusions of each answer for the budget and the credential."""

    def __init__(
        self, transport: Transport, budget: Budget, address: Address, clock: ServerClock, *, attempts: int
    ) -> None:
        self.transport = transport
        self.budget = budget
        self.address = address
        self.attempts = attempts
        self._clock = clock
        #: How many were answered with 304, and how many with 429.
        self.unchanged: Counter[Priority] = Counter()
        self.throttled: Counter[Priority] = Counter()
        self.tally = Tally()

    async def ask(
        self,
        place: str,
        credential: Credential,
        *,
        priority: Priority,
        method: str = "GET",
        body: bytes | None = None,
        again: Callable[[Transient], bool] = lambda _: True,
        verdict: bool = True,
        look: Look | None = None,
    ) -> Answer:
        """A success for a path and query relative to the API, trying again for as long as ``again`` allows it.

        ``body`` is JSON, for a write. ``verdict``: whether a 401 here tells that the token is bad everywhere. With ``look`` a 304 is a success, too, where
        its condition was sent. Raises as ports.Remote says.
        """
        once = partial(self._once, method, place, credential, priority, body=body, verdict=verdict, look=look)
        return await self.persistently(once, attempts=self.attempts, again=again)

    async def persistently(
        self,
        once: Callable[[], Awaitable[T]],
        *,
        attempts: int,
        again: Callable[[Transient], bool] = lambda _: True,
    ) -> T:
        """What ``once`` brings, tried again after what may pass. Raises what its last try raises."""
        attempt = 1
        # One name for all of its tries: lines of the log that belong together are found by it.
        with bound_contextvars(request=next(_NUMBERS)):
            while True:
                try:
                    return await once()
                except Transient as error:
                    if attempt >= attempts or isinstance(error, Unreachable) or not again(error):
                        raise
                    await self._wait(attempt, error)
                    attempt += 1

    async def _wait(self, attempt: int, error: Transient) -> None:
        seconds = delay(attempt, base=_BASE, cap=_CAP, jitter=random.random(), retry_after=error.retry_after)
        log.warning("request.retried", asked=error.asked, answer=error.answer, attempt=attempt, wait=round(seconds, 1))
        with waiting():
            await self._clock.sleep(seconds)

    def welcomed(self, headers: Mapping[str, str], credential: Credential, token: Token) -> None:
        """GitLab took the token and the request; its quota may be used up by it."""
        credential.accepted(token)
        self.budget.welcomed()
        quota = Quota.of(headers, self._clock.now())
        self.tally.told(quota)
        if quota.remaining == 0:
            self._pause(self._until(quota))

    def judged(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        credential: Credential,
        token: Token,
        *,
        asked: str,
        priority: Priority,
        verdict: bool = True,
    ) -> RemoteError:
        """The error for an answer of GitLab's that is no success."""
        quota = Quota.of(headers, self._clock.now())
        self.tally.told(quota)
        retry_after = quota.retry_after
        if status == HTTPStatus.TOO_MANY_REQUESTS and retry_after is None:
            retry_after = _ENDPOINT_WAIT if quota.endpoint_only else self._until(quota)
        error = error_for(asked, status, body, retry_after=retry_after, secrets=(token.value,))
        if isinstance(error, Throttled):
            self.throttled[priority] += 1
            self.budget.slow_down(self._until(quota) if quota.retry_after is None else quota.retry_after)
            # A limit of one endpoint is none of the others' business: only this request waits.
            if not quota.endpoint_only:
                self._pause(retry_after)
        if verdict and status == HTTPStatus.UNAUTHORIZED and isinstance(error, CredentialRefused):
            credential.refused(token, error)
        return error

    def _until(self, quota: Quota) -> float | None:
        if quota.reset is None:
            return None
        return max(0.0, quota.reset - self._clock.now().timestamp() + _SURELY)

    def _pause(self, seconds: float | None) -> None:
        if seconds is not None:
            self.budget.pause(min(_CAP, seconds))

    async def _once(
        self,
        method: str,
        place: str,
        credential: Credential,
        priority: Priority,
        *,
        body: bytes | None,
        verdict: bool,
        look: Look | None,
    ) -> Answer:
        asked = asked_for(method, place)
        token = credential.token()
        condition = look.condition(token) if look else {}
        for _ in range(HOPS + 1):
            async with self.budget.permit(priority):
                url = URL(self.address.api(place), encoded=True)
                headers = {**token.headers(), **condition}
                with self.tally.exchange(priority, asked, str(url)) as exchange:
                    answer = await self.transport.call(method, url, headers, asked=asked, body=body)
                    exchange.answered(answer.status, answer.headers)
            if answer.status in _SUCCESS:
                self.welcomed(answer.headers, credential, token)
                refuse_encoding(answer.headers, asked=asked)
                return answer
            if answer.status == HTTPStatus.NOT_MODIFIED:
                self.unchanged[priority] += 1
                self.welcomed(answer.headers, credential, token)
                if condition:
                    return answer
                raise Transient(asked, "304 to a request without a condition", status=answer.status, hint=_STALE)
            if answer.status not in STATUSES:
                raise self.judged(
                    answer.status,
                    answer.headers,
                    answer.body,
                    credential,
                    token,
                    asked=asked,
                    priority=priority,
                    verdict=verdict,
                )
            place = self._moved(method, place, answer, asked=asked)
            if look:
                look.moved()
                condition = {}
        raise Refused(asked, f"more than {HOPS} redirects", hint="Look at the proxy in front of GitLab.")

    def _moved(self, method: str, place: str, answer: Answer, *, asked: str) -> str:
        """Where a redirect within the API leads: a renamed project's names GitLab's external_url, another host perhaps."""
        here = self.address.api(place)
        try:
            url = urljoin(here, answer.headers.get("Location", here).strip())
            signing_in = urlsplit(url).path.rstrip("/").endswith("/users/sign_in")
        except ValueError:
            hint = "Look at the proxy in front of GitLab."
            raise Refused(asked, "a redirect to something that is no URL", status=answer.status, hint=hint) from None
        if signing_in:
            raise sign_in_refused(asked, status=answer.status)
        if method != "GET":
            hint = "GitLab answers at another address than the configured one: set gitlab.url to that one."
            raise Refused(asked, f"{answer.status}, moved, and only GET may follow", status=answer.status, hint=hint)
        target = anchored(url, self.address, asked=asked)
        if target == place:
            hint = "Set gitlab.url to the address that is redirected to."
            raise Refused(asked, f"{answer.status}, redirected to {plain(url)}", status=answer.status, hint=hint)
        return target


def asked_for(method: str, place: str) -> str:
    """Method and path, as errors say it."""
    return f"{method} /api/v4/{place.partition('?')[0]}"


def refuse_encoding(headers: Mapping[str, str], *, asked: str) -> None:
    """Raise Refused for a Content-Encoding: none was asked for, and a cut gzip stream can look complete."""
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        hint = "Something between here and GitLab compresses answers against the request; let it leave them alone."
        raise Refused(asked, f"an answer in the encoding {encoding[:40]}", hint=hint)
