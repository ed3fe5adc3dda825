"""Who may see a page: a token as the replica takes it, or a session that was begun with one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from aiohttp import web

from artifact_sync.errors import ArtifactSyncError
from artifact_sync.web.access import Grant, digest_of, presented
from artifact_sync.web.answers import ApiError, forbidden
from artifact_sync.web.context import replica_of
from artifact_sync.web.dashboard.context import dashboard_of
from artifact_sync.web.dashboard.pages import pages_of
from artifact_sync.web.finding import GRANT

__all__ = ["granted", "page", "routes", "session_of", "token_of"]

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_COOKIE = "artifact_sync_session"
_SCHEMES = {"http", "https"}
_FIELDS = 10


def granted(request: web.Request) -> Grant:
    """What the request may see. Raises ApiError: 401 where it has to log in, 403 for a foreign page in a browser."""
    readers = replica_of(request).readers
    if readers.needed and session_of(request) and presented(request) is None:
        token = token_of(request)
        # A token that was changed or withdrawn takes its sessions along.
        grant = readers.opened_by(token) if token is not None else None
        if grant is not None:
            return grant
        raise ApiError(HTTPStatus.UNAUTHORIZED, {"message": "401 Unauthorized"})
    return readers.grant(request)


def token_of(request: web.Request) -> bytes | None:
    """The digest of the token that the request carries, or of that whose session it is; None without any."""
    shown = presented(request)
    return digest_of(shown) if shown is not None else dashboard_of(request).sessions.token(session_of(request))


def session_of(request: web.Request) -> str:
    """The name of the session; empty without one."""
    return request.cookies.get(_COOKIE, "")


def page(handler: Handler) -> Handler:
    """The handler for who may see it; others are led to the login. Errors become pages."""

    @wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            _require_no_part_of_another_site(request)
            request[GRANT] = granted(request)
            return await handler(request)
        except ApiError as error:
            if error.status == HTTPStatus.UNAUTHORIZED and request.method in {"GET", "HEAD"}:
                return _led(f"/login?{urlencode({'next': request.rel_url.raw_path_qs})}")
            return _failed(request, error.status, str(next(iter(error.payload.values()), "")), "", error.headers)
        except ArtifactSyncError as error:
            log.exception("dashboard.failed", error=str(error), hint=error.hint)
            return _failed(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), error.hint)

    return answered


def _require_no_part_of_another_site(request: web.Request) -> None:
    """A link from there may be followed; its images and scripts must not have pages made here, which takes time and memory.

    https://www.w3.org/TR/fetch-metadata/. Raises ApiError 403.
    """
    asked = request.headers
    if asked.get("Sec-Fetch-Site") == "cross-site" and asked.get("Sec-Fetch-Mode", "navigate") != "navigate":
        raise forbidden()


def _failed(
    request: web.Request, status: int, why: str, hint: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    response = pages_of(request).answer(
        "error", status=status, phrase=f"{status} {HTTPStatus(status).phrase}", why=why, hint=hint
    )
    response.headers.update(headers or {})
    return response


def _led(place: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": place, "Cache-Control": "no-store"})


async def _ask(request: web.Request) -> web.StreamResponse:
    """GET /login: the form, where tokens are configured."""
    if not replica_of(request).readers.needed:
        return _led("/")
    return pages_of(request).answer("login", next=_place(request.query.get("next", "")), wrong=False)


async def _begin(request: web.Request) -> web.StreamResponse:
    """POST /login with ``token``: a session, and back to the page that was asked for."""
    _require_own(request)
    readers, sessions = replica_of(request).readers, dashboard_of(request).sessions
    if not readers.needed:
        return _led("/")
    form = await _form(request)
    token, place = form.get("token", "").strip(), _place(form.get("next", ""))
    digest = digest_of(token)
    if readers.opened_by(digest) is None:
        log.info("dashboard.login_refused")
        return pages_of(request).answer("login", status=HTTPStatus.FORBIDDEN, next=place, wrong=True)
    response = _led(place)
    response.set_cookie(
        _COOKIE,
        sessions.begin(digest),
        max_age=int(sessions.seconds),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=_scheme(request) == "https",
    )
    return response


async def _end(request: web.Request) -> web.StreamResponse:
    """POST /logout."""
    _require_own(request)
    dashboard_of(request).sessions.end(session_of(request))
    response = _led("/login" if replica_of(request).readers.needed else "/")
    response.del_cookie(_COOKIE, path="/", httponly=True, samesite="Strict", secure=_scheme(request) == "https")
    return response


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form as browsers send one. Raises ApiError 400 for anything else."""
    try:
        fields = parse_qsl((await request.read()).decode("ascii"), max_num_fields=_FIELDS, errors="surrogateescape")
    except ValueError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, {"message": "400 Bad Request"}) from error
    return dict(fields)


def _require_own(request: web.Request) -> None:
    """Raise ApiError 403 for a form of another site. Browsers say where one comes from (Fetch Metadata; RFC 6454 section 7)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        own = site in {"same-origin", "none"}
    else:
        origin = request.headers.get("Origin")
        own = origin is None or urlsplit(origin).netloc in {request.host, request.headers.get("X-Forwarded-Host")}
    if not own:
        raise forbidden()


def _scheme(request: web.Request) -> str:
    told = request.headers.get("X-Forwarded-Proto", request.scheme)
    return told if told in _SCHEMES else request.scheme


def _place(asked: str) -> str:
    """A path of this server, or else its first page: a login must not lead to another site."""
    local = asked.startswith("/") and not asked.startswith(("//", "/\\")) and asked.isascii() and asked.isprintable()
    return asked if local and not asked.startswith(("/login", "/logout", "/events")) else "/"


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    return [web.get("/login", _ask), web.post("/login", _begin), web.post("/logout", _end)]
