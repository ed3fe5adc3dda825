"""GitLab's small answers: JSON, and its errors in their wording."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from artifact_sync.simulator.state import SimProject
from artifact_sync.simulator.world import World

__all__ = ["WORLD", "ApiError", "flag", "forbidden", "invalid", "missing", "refreshing", "reply", "since", "world_of"]

WORLD = web.AppKey("world", World)


class ApiError(Exception):
    """An answer other than success, to be sent as JSON."""

    def __init__(self, status: int, payload: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(payload))
        self.status = status
        self.payload = payload
        self.headers = headers or {}


def world_of(request: web.Request) -> World:
    """The world behind this server."""
    return request.app[WORLD]


def reply(data: object, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON."""
    body = msgspec.json.encode(data)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def flag(request: web.Request, field: str, *, default: bool = False) -> bool:
    """A boolean parameter in any spelling that Grape accepts (dry-types, ``Params::Bool``)."""
    text = request.query.get(field)
    return default if text is None else text.lower() in {"1", "on", "t", "true", "y", "yes"}


def missing(what: str = "") -> ApiError:
    """404: ``404 Project Not Found`` for an object that is named, ``404 Not found`` for a record (lib/api/helpers.rb)."""
    return ApiError(HTTPStatus.NOT_FOUND, {"message": f"404 {what} Not Found" if what else "404 Not found"})


def forbidden(reason: str = "") -> ApiError:
    """403 with ``403 Forbidden``."""
    return ApiError(HTTPStatus.FORBIDDEN, {"message": "403 Forbidden" + (f" - {reason}" if reason else "")})


def invalid(field: str) -> ApiError:
    """400 from Grape's validation of a declared parameter."""
    return ApiError(HTTPStatus.BAD_REQUEST, {"error": f"{field} does not have a valid value"})


def refreshing(project: SimProject) -> None:
    """409 while the sizes of the project's artifacts are counted (lib/api/helpers/project_stats_refresh_conflicts_helpers.rb)."""
    if project.refreshing:
        why = "Action temporarily disabled. The project this pipeline belongs to is undergoing stats refresh."
        raise ApiError(HTTPStatus.CONFLICT, {"message": why})


def since(world: World, version: str) -> bool:
    """Whether this GitLab is as new as ``18.7``."""
    return _release(world.version) >= _release(version)


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
