"""Connections. Nothing here follows a redirect: aiohttp would carry PRIVATE-TOKEN and JOB-TOKEN to wherever it leads."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self

import aiohttp
import anyio
from multidict import MultiMapping
from yarl import URL

from artifact_sync import __version__
from artifact_sync.errors import ConfigError, Refused
from artifact_sync.gitlab.clock import ServerClock
from artifact_sync.gitlab.connections import Carried, Keeping
from artifact_sync.gitlab.options import ClientOptions
from artifact_sync.gitlab.redirects import STATUSES, RedirectPolicy
from artifact_sync.gitlab.resolver import GuardedResolver
from artifact_sync.gitlab.trouble import NETWORK, network

__all__ = ["Answer", "Transport"]

#: A hundred jobs are some 300 KiB.
_MOST = 32 << 20
_FIRST_WORDS = 64 << 10
#: Long signed URLs come in one header.
_HEADER = 16 << 10
_ERROR = 300
#: Times the longest silence: a peer that sends a byte now and then is not waited for without end.
_PATIENCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer of the API; of one that is no success, the first words."""

    status: int
    headers: MultiMapping[str]
    body: bytes


class Transport:
    """Three sessions: the API's, one for downloads from GitLab's origin, and one that never holds a credential.

    Credentials are given per request, and only to the first two. A connection that carried a download is used again only where
    its answer was as long as it had to be, and was read to its end: a wrong length leaves bytes for the next answer.
    """

    def __init__(self, options: ClientOptions, clock: ServerClock, redirects: RedirectPolicy) -> None:
        self._options = options
        self._clock = clock
        self._redirects = redirects
        self._stack = AsyncExitStack()
        self._api: aiohttp.ClientSession
        self._own: aiohttp.ClientSession
        self._foreign: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Make the sessions; no connection yet. Raises ConfigError for a CA file that cannot be used."""
        context = _tls(self._options)
        # Through a proxy only the proxy's own name is resolved here, and that is nobody's choice but the configuration's.
        guarded = None if self._options.proxy else GuardedResolver(self._redirects)
        # The budget bounds them.
        self._api = await self._session(aiohttp.TCPConnector(ssl=context, limit=0))
        self._own = await self._session(Keeping(ssl=context, limit=0))
        self._foreign = await self._session(Keeping(ssl=context, limit=0, resolver=guarded, ttl_dns_cache=60))
        if guarded is not None:
            self._stack.push_async_callback(guarded.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._stack.aclose()

    async def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=connector,
            response_class=Carried,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"User-Agent": f"artifact-sync/{__version__}", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self._options.timeout),
            max_field_size=_HEADER,
            max_line_size=_HEADER,
            trust_env=False,
            middlewares=(_writes_once,),
            proxy=self._options.proxy,
        )
        return await self._stack.enter_async_context(session)

    async def call(
        self, method: str, url: URL, headers: Mapping[str, str], *, asked: str, body: bytes | None = None
    ) -> Answer:
        """One exchange with the API; ``body`` is JSON. Raises Transient for trouble on the network, Refused for far too long an answer."""
        with network(asked), anyio.fail_after(_PATIENCE * self._options.timeout):
            sent = self._clock.local.now()
            given = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
            async with self._api.request(
                method, url, headers=given | dict(headers), data=body, allow_redirects=False
            ) as response:
                self._observe(response.headers, sent)
                if response.status < _ERROR:
                    came = await _read(response, _MOST + 1)
                else:
                    came = await _first_words(response)
        if len(came) > _MOST:
            raise Refused(asked, "an answer of more than 32 MiB", hint="That is no answer of GitLab's API.")
        return Answer(status=response.status, headers=response.headers, body=came)

    @asynccontextmanager
    async def stream(
        self, url: URL, headers: Mapping[str, str], *, trusted: bool, asked: str, expected: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET with the body still to come. ``trusted``: from GitLab's own address, with its credential among the headers.

        ``expected``: the bytes of a success, where that is known from elsewhere.
        """
        session = self._own if trusted else self._foreign
        with network(asked), anyio.fail_after(_PATIENCE * self._options.timeout):
            sent = self._clock.local.now()
            response = await session.get(url, headers=dict(headers), allow_redirects=False)
            assert isinstance(response, Carried)  # noqa: S101 - the sessions make no other
            if not _ends_surely(response, expected):
                response.last()
            if trusted:
                self._observe(response.headers, sent)
        try:
            if response.status in STATUSES:
                # So the connection can be used again. What a redirect says beside its target is of no use to anybody.
                await self.first_words(response)
            yield response
        finally:
            # Closed, not read to the end: what was not wanted may be 50 GiB.
            response.close()

    async def first_words(self, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of an error's body; empty if even that breaks off."""
        with anyio.move_on_after(self._options.timeout):
            return await _first_words(response)
        return b""

    def _observe(self, headers: Mapping[str, str], sent: datetime) -> None:
        # With an Age the answer comes out of a cache, and its Date is that of another moment (RFC 9111 section 5.1).
        if "Age" not in headers:
            self._clock.observe(headers.get("Date"), sent, self._clock.local.now())


async def _writes_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a write by itself.

    It sends what HTTP calls idempotent, DELETE among it, a second time when the connection breaks; whether an artifact that
    somebody made in between should go, too, is not for it to say. The errors that it does that for become another one.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == "GET":
            raise
        raise aiohttp.ClientConnectionError(type(error).__name__) from error


def _ends_surely(response: aiohttp.ClientResponse, expected: int | None) -> bool:
    """Whether the answer ends where it says: a success of the size that it must have, or the few words of a redirect."""
    length = response.content_length
    if response.status in STATUSES:
        return length is not None and length < _FIRST_WORDS
    return response.status == HTTPStatus.OK and length is not None and length == expected


def _tls(options: ClientOptions) -> ssl.SSLContext | Literal[True]:
    """How certificates are verified; True: by the system's authorities alone, which aiohttp has loaded when it was imported."""
    if options.ca_file is None:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=options.ca_file)
    except (OSError, ssl.SSLError) as error:
        what = f"gitlab.ca_file {options.ca_file}: {getattr(error, 'strerror', None) or 'no certificates'}"
        raise ConfigError(what, hint="Name a PEM file with the authority's certificate.") from error
    return context


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < most and (chunk := await response.content.readany()):
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)[:most]


async def _first_words(response: aiohttp.ClientResponse) -> bytes:
    # GitLab has sent 404s that are shorter than their Content-Length
    # (https://github.com/python-gitlab/python-gitlab/issues/2890); the status counts all the same.
    try:
        return await _read(response, _FIRST_WORDS)
    except NETWORK:
        return b""
