"""What a fault makes of an answer."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator import faults
from artifact_sync.simulator.content import Content
from artifact_sync.simulator.delivery import HungUp, Served

__all__ = ["SIGN_IN_PAGE", "harmed"]

SIGN_IN_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Sign in - GitLab</title></head>"
    '<body><form action="/users/sign_in" method="post"><input name="user[login]"></form></body></html>\n'
)


async def harmed(
    action: faults.Action | None, answer: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The answer after ``action``; the real one is not even made where it is replaced."""
    replaced = _replaced(action)
    if replaced is not None:
        return replaced
    if isinstance(action, faults.Stall) and action.after is None:
        await asyncio.sleep(action.seconds)
        return await answer()
    response = await answer()
    return response if action is None else _spoiled(action, _as_served(response))


def _replaced(action: faults.Action | None) -> web.StreamResponse | None:
    match action:
        case faults.Answer():
            body = action.body.encode() if isinstance(action.body, str) else action.body
            headers = {"Content-Type": action.content_type, **action.headers}
            return web.Response(status=action.status, body=body, headers=headers)
        case faults.Redirect():
            return web.Response(status=action.status, headers={"Location": action.to})
        case faults.SignIn():
            return web.Response(status=HTTPStatus.FOUND, headers={"Location": "/users/sign_in"})
        case faults.SignInPage():
            return web.Response(text=SIGN_IN_PAGE, content_type="text/html")
        case faults.Hangup():
            return HungUp(reset=action.reset)
        case _:
            return None


def _spoiled(action: faults.Action, served: Served) -> Served:
    match action:
        case faults.Truncate():
            served.count = min(served.count, action.after)
        case faults.Empty():
            served.count = 0
        case faults.Gzip():
            packed = gzip.compress(served.content.read(served.offset, served.count), mtime=0)
            served.content, served.offset, served.count = Content.of(packed), 0, len(packed)
            served.headers["Content-Encoding"] = "gzip"
        case faults.IgnoreRange():
            served.set_status(HTTPStatus.OK)
            served.headers.pop("Content-Range", None)
            served.offset, served.count = 0, served.content.size
        case faults.WrongRange():
            served.offset = min(served.offset + action.shift, served.content.size - 1)
            served.count = served.content.size - served.offset
            last = served.offset + served.count - 1
            served.headers["Content-Range"] = f"bytes {served.offset}-{last}/{served.content.size}"
        case faults.OtherETag():
            served.headers["ETag"] = action.etag
        case _:
            served.harm = action
    return served


def _as_served(response: web.StreamResponse) -> Served:
    if isinstance(response, Served):
        return response
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    headers = {key: value for key, value in response.headers.items() if key != "Content-Length"}
    return Served(Content.of(body), status=response.status, headers=headers)
