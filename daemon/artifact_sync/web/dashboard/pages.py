"""Templates become pages. Everything that they show was written by strangers, the names of jobs and files above all."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from aiohttp import web

from artifact_sync import __version__
from artifact_sync.core import words
from artifact_sync.web.dashboard.assets import Assets

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["PAGES", "Pages", "pages_of"]

_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: Of every page: nothing of another origin, in no frame, and kept by nobody on the way.
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Pages:
    """All templates, compiled."""

    def __init__(self, assets: Assets) -> None:
        self._environment = _environment(assets)

    def compile(self) -> None:
        """Make every template ready. Blocking, for a tenth of a second."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def answer(self, name: str, *, status: int = HTTPStatus.OK, **values: Any) -> web.Response:
        """The page of a template."""
        text = self._environment.get_template(f"{name}.html").render(values)
        # Names of files that are no text have surrogates in them.
        body = text.encode("utf-8", "replace")
        return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=_HEADERS)


PAGES = web.AppKey("pages", Pages)


def pages_of(request: web.Request) -> Pages:
    """As a handler's request has them."""
    return request.config_dict[PAGES]


def _environment(assets: Assets) -> Environment:
    # It is of no use to a command that serves nothing.
    from jinja2 import DictLoader, Environment, StrictUndefined  # noqa: PLC0415

    folder = files("artifact_sync.web.dashboard") / "templates"
    sources = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".html")}
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"size": words.size, "span": words.span, "moment": words.moment, "stamp": _stamp}
    environment.globals |= {
        "asset": assets.urls.__getitem__,
        "version": __version__,
        "ago": words.ago,
        "count": words.count,
        "link": _link,
    }
    return environment


def _shown(value: object) -> object:
    """What is put into a page: marks that turn the direction of writing, or have no shape at all, are spelled out.

    A file whose name has U+202E in it and ends in ``fdp.exe`` must not be read as one that ends in exe.pdf.
    """
    if type(value) is str and not value.isprintable():
        return "\n".join(words.one_line(line) for line in value.split("\n"))
    return value


def _stamp(moment: datetime) -> str:
    """For the ``datetime`` of a ``time`` element."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _link(*parts: str | int, **query: str | int | None) -> str:
    """A path of this server, with each part and each parameter escaped."""
    path = "/".join(quote(str(part), safe="", errors="replace") for part in parts)
    asked = {key: value for key, value in query.items() if value is not None and value != ""}
    return f"/{path}" + (f"?{urlencode(asked, errors='replace')}" if asked else "")
