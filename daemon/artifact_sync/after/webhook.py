"""Webhooks: the manifest of a publication, posted to a URL that the configuration names, and nowhere else."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from artifact_sync import __version__
from artifact_sync.after.signing import signature, signing_key
from artifact_sync.errors import HookFailed
from artifact_sync.proxies import is_here, proxy_of_environment

__all__ = ["HttpWebhooks"]

#: A manifest has some 500 bytes for each file.
_MOST = 32 << 20
#: Bytes of an answer that are read, and characters of it that are told.
_READ, _TOLD = 4096, 300
#: 4xx that speak of this moment, and not of the request.
_PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_LONGEST_NUMBER = 9
_AGAIN = "Check the address in the rule's after.webhook, the receiver and the network."


class HttpWebhooks:
    """Implements ``ports.Webhooks``. Use as an async context manager.

    ``timeout`` in seconds, for a whole exchange. ``secret`` gives the text of the secret as it is now, or raises an error
    of this program. It follows no redirect and knows no credential but that secret, which it signs with and never sends.
    """

    def __init__(
        self,
        *,
        timeout: float,
        secret: Callable[[], str] | None = None,
        proxy: str | None = None,
        ca_file: Path | None = None,
        mask: Callable[[str], str] = str,
    ) -> None:
        self._timeout = timeout
        self._secret = secret
        self._proxy = proxy
        self._ca_file = ca_file
        self._mask = mask
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    def renew(self, *, timeout: float, secret: Callable[[], str] | None, mask: Callable[[str], str]) -> None:
        """Other limits and another secret for what is posted from now on."""
        self._timeout, self._secret, self._mask = timeout, secret, mask

    async def __aenter__(self) -> Self:
        """Make the session; no connection yet."""
        context = ssl.create_default_context()
        if self._ca_file is not None:
            context.load_verify_locations(cafile=self._ca_file)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"artifact-sync/{__version__}", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(sock_connect=10),
            auto_decompress=False,
            # It would look for credentials in ~/.netrc.
            trust_env=False,
        )
        self._session = await self._stack.enter_async_context(session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._stack.aclose()

    async def post(self, url: str, body: bytes, *, key: str, at: datetime) -> str:
        """As the port says."""
        where = _origin(url)
        if len(body) > _MOST:
            hint = "Use after.command, which is given the manifest as a file."
            raise HookFailed(f"the manifest has {len(body):,} bytes, more than a webhook sends", hint=hint, again=False)
        headers = {"Content-Type": "application/json", **self._signed(body, key, int(at.timestamp()))}
        try:
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy_for(url),
                timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=10),
            ) as response:
                status = response.status
                if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
                    return _phrase(status)
                words = await self._first_words(response)
                retry_after = _seconds(response.headers.get("Retry-After"), at)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The cause's own text may hold the whole URL.
            raise HookFailed(f"{where}: {self._trouble(error)}", hint=_AGAIN) from None
        raise _refused(f"{where}: {_phrase(status)}", words, status, retry_after)

    def _signed(self, body: bytes, key: str, timestamp: int) -> dict[str, str]:
        headers = {"webhook-id": key, "webhook-timestamp": str(timestamp)}
        if self._secret is None:
            return headers
        signing = signing_key(self._secret())
        return headers | {"webhook-signature": signature(signing, identity=key, timestamp=timestamp, body=body)}

    def _proxy_for(self, url: str) -> str | None:
        if is_here(urlsplit(url).hostname or ""):
            return None
        return self._proxy or proxy_of_environment(url)

    async def _first_words(self, response: aiohttp.ClientResponse) -> str:
        try:
            text = (await response.content.read(_READ)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""
        plain = " ".join("".join(letter if letter.isprintable() else " " for letter in self._mask(text)).split())
        return plain[:_TOLD]

    def _trouble(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout:g} s"
        if isinstance(error, aiohttp.ClientSSLError):
            return "no trusted TLS connection"
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        what = getattr(cause, "strerror", None) or type(cause).__name__
        return f"no connection: {what}" if isinstance(error, aiohttp.ClientConnectorError) else f"it broke off: {what}"


def _refused(answer: str, words: str, status: int, retry_after: float | None) -> HookFailed:
    said = f"{answer}: {words}" if words else answer
    if status < HTTPStatus.BAD_REQUEST:
        hint = "No redirect is followed: write the address that it leads to in the rule's after.webhook."
        return HookFailed(said, hint=hint, again=False)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING:
        hint = f"The receiver does not take it, and it is not sent again. {_AGAIN}"
        return HookFailed(said, hint=hint, again=False)
    return HookFailed(said, hint=_AGAIN, retry_after=retry_after)


def _origin(url: str) -> str:
    """scheme://host:port: a path and a query may be all that protects the receiver."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status}"


def _seconds(text: str | None, now: datetime) -> float | None:
    """What Retry-After asks for (RFC 9110 section 10.2.3); None where it says nothing."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_LONGEST_NUMBER])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError):
        return None
