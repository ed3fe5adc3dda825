"""GitLab's small answers: JSON, and its errors in their wording (lib/api/helpers.rb)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["ApiError", "flag", "forbidden", "invalid", "missing", "reply", "tagged"]


class ApiError(Exception):
    """An answer other than success, to be sent as JSON."""

    def __init__(self, status: int, payload: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(status))
        self.status = status
        self.payload = payload
        self.headers = headers or {}


def reply(data: object, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON."""
    body = msgspec.json.encode(data)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def tagged(request: web.Request, response: web.Response) -> web.Response:
    """The answer with a weak ETag, or 304 for who has it, as Rack::ETag and Rack::ConditionalGet do."""
    if response.status != HTTPStatus.OK or not isinstance(response.body, bytes):
        return response
    tag = f'W/"{sha256(response.body).hexdigest()[:32]}"'
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "max-age=0, private, must-revalidate"
    if request.headers.get("If-None-Match") != tag:
        return response
    kept = {key: value for key, value in response.headers.items() if not key.startswith("Content-")}
    return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=kept)


def flag(request: web.Request, field: str) -> bool:
    """A boolean parameter in any spelling that Grape accepts (dry-types, ``Params::Bool``)."""
    return request.query.get(field, "").lower() in {"1", "on", "t", "true", "y", "yes"}


def missing(what: str = "", *, why: str = "") -> ApiError:
    """404: ``404 Project Not Found`` for what is named, ``404 Not found`` for a record, with a reason of this mirror's own."""
    message = f"404 {what} Not Found" if what else "404 Not found"
    return ApiError(HTTPStatus.NOT_FOUND, {"message": f"{message}: {why}" if why else message})


def forbidden() -> ApiError:
    """403."""
    return ApiError(HTTPStatus.FORBIDDEN, {"message": "403 Forbidden"})


def invalid(field: str) -> ApiError:
    """400 from the validation of a declared parameter."""
    return ApiError(HTTPStatus.BAD_REQUEST, {"error": f"{field} does not have a valid value"})
