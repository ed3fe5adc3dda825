"""Names of a redirect's target, resolved where the addresses can be judged, too.

A redirect's target is chosen by whoever answered, and a harmless name may stand for an address that reaches a cloud's
metadata service or what listens for this machine alone (CWE-918). So it is the address that is judged, at the moment it
is connected to.
"""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from artifact_sync.gitlab.redirects import RedirectPolicy

__all__ = ["ForbiddenAddressError", "GuardedResolver"]


class ForbiddenAddressError(OSError):
    """A name stands for an address that no redirect may lead to."""


class GuardedResolver(AbstractResolver):
    """Resolves as usual, but not to what the policy forbids. Raises ForbiddenAddressError."""

    def __init__(self, policy: RedirectPolicy) -> None:
        self._inner = DefaultResolver()
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of the host."""
        found = await self._inner.resolve(host, port, family)
        for result in found:
            if why := self._policy.forbidden(host, result["host"]):
                raise ForbiddenAddressError(f"{host} stands for {result['host']}, {why}")
        return found

    async def close(self) -> None:
        """Release what was in use."""
        await self._inner.close()
