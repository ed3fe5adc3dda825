"""Style, script and icon, each under a name that has its content's hash in it, so that browsers may keep them for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from aiohttp import web

__all__ = ["Assets"]

_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HASH = 16


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    kind: str


class Assets:
    """The files of ``static``, read once."""

    def __init__(self) -> None:
        self._by_url: dict[str, _Asset] = {}
        urls: dict[str, str] = {}
        for entry in (files("artifact_sync.web.dashboard") / "static").iterdir():
            stem, _, ending = entry.name.rpartition(".")
            if ending in _KINDS:
                body = entry.read_bytes()
                urls[entry.name] = f"/static/{stem}.{sha256(body).hexdigest()[:_HASH]}.{ending}"
                self._by_url[urls[entry.name]] = _Asset(body, _KINDS[ending])
        #: Where each is, by its file's name.
        self.urls: Mapping[str, str] = urls

    async def answer(self, request: web.Request) -> web.Response:
        """One of them; 404 for another hash: what links to it comes with the right one."""
        asset = self._by_url.get(request.path)
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=asset.body, content_type=asset.kind, charset="utf-8", headers=headers)
