"""The proxy that the environment names for an address."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

__all__ = ["is_here", "proxy_of_environment"]


def is_here(host: str) -> bool:
    """Whether it is this machine, which no proxy leads to."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def proxy_of_environment(url: str) -> str | None:
    """By the scheme's variable or ALL_PROXY, unless NO_PROXY names the host; None for this machine. curl(1), ENVIRONMENT."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_here(host) or proxy_bypass(host):
        return None
    proxies = getproxies_environment()
    return proxies.get(parts.scheme) or proxies.get("all")
