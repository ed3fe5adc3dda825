"""The second origin: an object store that serves signed URLs.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html and ErrorResponses.html
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator.delivery import conditional
from artifact_sync.simulator.replies import world_of
from artifact_sync.simulator.signing import BUCKET, signature, signed_at
from artifact_sync.simulator.state import SimJob

__all__ = ["routes", "store_error", "stored"]


def store_error(status: int, code: str, message: str) -> web.Response:
    """An error of the store, in XML."""
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
        "<RequestId>SIMULATED</RequestId></Error>"
    )
    return web.Response(status=status, text=text, content_type="application/xml")


def stored(request: web.Request, job: SimJob, *, chunked: bool = False) -> web.StreamResponse:
    """The archive as the store gives it: an ETag of its own (not the sha256), ranges, no Content-Disposition."""
    archive = job.archive
    if archive is None:
        return store_error(HTTPStatus.NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
    return conditional(
        request,
        archive,
        etag=f'"{archive.sha256[:32]}"',
        modified=job.finished_at or job.created_at,
        headers={"Content-Type": "application/octet-stream", "Server": "SimulatedStore"},
        chunked=chunked,
        ranges=world_of(request).ranges,
    )


async def _get(request: web.Request) -> web.StreamResponse:
    """GET and HEAD of an object with a signed URL.

    A credential in the headers beside the signature is 400 (``Only one auth mechanism allowed``), a signature that is
    wrong or for another method 403 SignatureDoesNotMatch, one that is too old 403 AccessDenied.
    """
    world, query = world_of(request), request.query
    if "Authorization" in request.headers:
        message = (
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified"
        )
        return store_error(HTTPStatus.BAD_REQUEST, "InvalidArgument", message)
    date, lifetime = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
    path, given = request.rel_url.raw_path, query.get("X-Amz-Signature", "")
    methods = {request.method, "GET"} if world.signed_head else {request.method}
    if not any(hmac.compare_digest(given, signature(method, path, date, lifetime)) for method in methods):
        message = "The request signature we calculated does not match the signature you provided."
        return store_error(HTTPStatus.FORBIDDEN, "SignatureDoesNotMatch", message)
    if signed_at(date) + timedelta(seconds=int(lifetime)) <= world.clock.now():
        return store_error(HTTPStatus.FORBIDDEN, "AccessDenied", "Request has expired")
    return stored(request, world.jobs[int(request.match_info["job_id"])])


def routes() -> list[web.AbstractRouteDef]:
    """Of the store's application."""
    return [web.get(f"/{BUCKET}/{{a}}/{{b}}/{{digest}}/{{job_id:\\d+}}/artifacts.zip", _get)]
