"""What goes wrong on the network, as errors of this program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from artifact_sync.errors import Refused, RemoteError, Transient, Unreachable
from artifact_sync.gitlab.resolver import ForbiddenAddressError

__all__ = ["NETWORK", "network", "network_error"]

#: aiohttp also lets bare ValueErrors out for what a peer sent.
NETWORK = (aiohttp.ClientError, TimeoutError, OSError, ValueError)

#: OpenSSL's words for an answer that is no TLS at all.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"})

_REACH = "Check the network, gitlab.url and gitlab.proxy; it is tried again."
_AGAIN = "It is tried again; if it lasts, look at the network and at the proxies in between."


def network_error(error: Exception, asked: str) -> RemoteError:
    """The error in words of our own: aiohttp's may hold a whole URL, and that a signature."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ForbiddenAddressError):
        hint = "If GitLab keeps its artifacts there, list the host in gitlab.redirect_hosts."
        return Refused(asked, f"refused: {error.os_error}", hint=hint)
    if isinstance(error, aiohttp.InvalidURL):
        return Refused(asked, "an address that is no URL", hint="Check gitlab.url and gitlab.proxy.")
    if isinstance(error, aiohttp.ClientSSLError):
        answer, hint = _tls(error)
        return Unreachable(asked, answer, hint=hint)
    answer, hint = _words(error)
    return Transient(asked, answer, hint=hint)


def _tls(error: aiohttp.ClientSSLError) -> tuple[str, str]:
    if getattr(error.os_error, "reason", None) in _NOT_TLS:
        return "the server does not speak TLS on this port", "Write http:// in gitlab.url, or the port of https."
    trust = "Check the server's certificate; an authority of your own is trusted by gitlab.ca_file."
    return "no trusted TLS connection", trust


def _words(error: Exception) -> tuple[str, str]:
    for kinds, answer, hint in _KNOWN:
        if isinstance(error, kinds):
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
            what = getattr(cause, "strerror", None) or getattr(cause, "status", None) or type(cause).__name__
            return answer.format(what=what), hint
    return f"an answer that could not be read ({type(error).__name__})", _AGAIN


#: The first that fits; subclasses stand before their bases.
_KNOWN: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...] = (
    (
        TimeoutError,
        "no byte came for too long",
        "It is tried again; gitlab.requests.timeout says how long a silence may be.",
    ),
    (aiohttp.ClientHttpProxyError, "the proxy answered {what}", _REACH),
    (aiohttp.ClientConnectorError, "no connection: {what}", _REACH),
    (aiohttp.ClientPayloadError, "the answer broke off", _AGAIN),
    (aiohttp.ClientResponseError, "an answer that is no HTTP", _AGAIN),
    ((aiohttp.ClientConnectionError, OSError), "the connection broke", _AGAIN),
)


@contextmanager
def network(asked: str) -> Iterator[None]:
    """Raise Transient or Refused for what the network does within the block."""
    try:
        yield
    except NETWORK as error:
        found = network_error(error, asked)
        # The cause of an error is printed with it, and this kind's text holds the URL with its query.
        raise found from (None if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL) else error)
