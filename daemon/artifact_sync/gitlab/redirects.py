"""Where a redirect may lead, and with what.

HTTP clients send custom headers such as PRIVATE-TOKEN on to whatever host a redirect names (aiohttp does), and GitLab
redirects downloads to object storage: https://docs.gitlab.com/administration/object_storage/#proxy-download
So each hop is judged here, and nothing but the configured address ever gets a credential.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from artifact_sync.errors import Refused
from artifact_sync.gitlab.address import Address
from artifact_sync.gitlab.answers import sign_in_refused

__all__ = ["HOPS", "STATUSES", "Hop", "RedirectPolicy", "plain"]

STATUSES = frozenset({301, 302, 303, 307, 308})
HOPS = 5
_URL = re.compile(r"[!-~]{1,16384}")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    # Instance metadata over IPv6: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    ipaddress.ip_network("fd00:ec2::254/128"),
    # The same at Oracle and Alibaba.
    ipaddress.ip_network("192.0.0.192/32"),
    ipaddress.ip_network("100.100.100.200/32"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """The next URL. ``trusted``: it is the configured address, and may see the credential."""

    url: str
    trusted: bool


def plain(url: str) -> str:
    """scheme://host/path, without what may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectPolicy:
    """What is allowed from the address ``base``. With ``hosts`` (names, ``*.suffix``) no other host is."""

    base: Address
    hosts: tuple[str, ...] = ()

    def follow(self, came: Hop, location: str | None, *, asked: str, status: int) -> Hop:
        """The next hop. Raises Refused, or CredentialRefused for the sign-in page."""
        location = (location or "").strip()
        try:
            url = urljoin(came.url, location)
            parts = urlsplit(url)._replace(fragment="")
            same = self.base.same_origin(parts)
        except ValueError:
            raise _refused(asked, status, "to something that is no URL") from None
        if not location or not _URL.fullmatch(url) or not parts.hostname:
            raise _refused(asked, status, "to something that is no URL")
        # It stands at GitLab's external_url, which may be another origin than the configured one.
        if (came.trusted or same) and parts.path.rstrip("/").endswith("/users/sign_in"):
            raise sign_in_refused(asked, status=status)
        self._judge(came, parts, asked=asked, status=status)
        # Once off, always off: a stranger must not choose what is asked for with the credential.
        trusted = came.trusted and same and self.base.below_root(parts.path)
        if not trusted and not same:
            self._judge_stranger(parts, asked=asked, status=status)
        return Hop(url=parts.geturl(), trusted=trusted)

    def listed(self, host: str) -> bool:
        """Whether somebody wrote this host down."""
        name = host.lower().rstrip(".")
        for entry in self.hosts:
            wanted = entry.lower().rstrip(".")
            if name == wanted or (wanted.startswith("*.") and name.endswith(wanted[1:]) and name != wanted[2:]):
                return True
        return False

    def forbidden(self, host: str, address: str) -> str:
        """Why this address of this host must not be talked to; empty when it may. ``host`` is the name in the URL."""
        if self.listed(host):
            return ""
        found = _bare(address)
        if found is None:
            return "no IP address"
        if any(found.version == net.version and found in net for net in _METADATA):
            return "a link-local address, where clouds keep their secrets"
        if (found.is_loopback or found.is_unspecified) and not self.base.loopback:
            return "this machine itself"
        return ""

    def _judge(self, came: Hop, parts: SplitResult, *, asked: str, status: int) -> None:
        scheme = parts.scheme.lower()
        if scheme not in {"http", "https"}:
            raise _refused(asked, status, f"to a {scheme[:20] or 'nameless'} address")
        if "@" in parts.netloc:
            raise _refused(asked, status, "to an address with a user name in it")
        if scheme == "http" and "https" in {urlsplit(came.url).scheme.lower(), self.base.scheme}:
            raise _refused(asked, status, f"from https to http ({parts.hostname})")
        if came.trusted and parts.hostname == self.base.host and not self.base.same_origin(parts):
            if self.base.below_api(parts.path) is None:
                return
            hint = f"GitLab answers at another address than the configured one: set gitlab.url to {scheme}://..."
            raise _refused(asked, status, f"of the API itself, to {scheme}://{parts.netloc}", hint=hint)

    def _judge_stranger(self, parts: SplitResult, *, asked: str, status: int) -> None:
        host = parts.hostname or ""
        if self.hosts and not self.listed(host):
            hint = f"Add {host} to gitlab.redirect_hosts if this is where GitLab keeps its artifacts."
            raise _refused(asked, status, f"to {host}, which gitlab.redirect_hosts does not list", hint=hint)
        if _bare(host) is not None and (why := self.forbidden(host, host)):
            raise _refused(asked, status, f"to {host}: {why}", hint=_listing(host))


def _listing(host: str) -> str:
    return f"Nothing was asked there. If it is meant so, add {host} to gitlab.redirect_hosts."


def _refused(asked: str, status: int, where: str, *, hint: str = "") -> Refused:
    hint = hint or "Such a redirect is never followed. Check GitLab's object storage settings and proxies on the way."
    return Refused(asked, f"a redirect {where}", status=status, hint=hint)


def _bare(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that is meant in the end: IPv4 inside of IPv6 is IPv4, and a zone is left out."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found in _NAT64:
            return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found
