"""Artifact files by job id: the archive, single files, keep and delete."""

from __future__ import annotations

import mimetypes
from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator import entities
from artifact_sync.simulator.api_jobs import writable
from artifact_sync.simulator.auth import authenticated, caller, job_of, project_of
from artifact_sync.simulator.content import Content
from artifact_sync.simulator.delivery import Served, conditional
from artifact_sync.simulator.entry import entries, entry, file_etag
from artifact_sync.simulator.expiry import archive_served, expired
from artifact_sync.simulator.paging import offset_page
from artifact_sync.simulator.replies import ApiError, flag, forbidden, missing, refreshing, reply, since, world_of
from artifact_sync.simulator.reports import downloadable, report_name
from artifact_sync.simulator.signing import signed_url
from artifact_sync.simulator.state import SimJob
from artifact_sync.simulator.storage import stored
from artifact_sync.simulator.tokens import DEVELOPER, GUEST, MAINTAINER, SimToken
from artifact_sync.simulator.verbs import expire_unlocked
from artifact_sync.simulator.world import Delivery, World

__all__ = ["archive_answer", "file_answer", "readable", "routes"]

#: artifacts/tree came with 18.8 (lib/api/ci/job_artifacts.rb).
_TREE_SINCE = "18.8"


def archive_answer(request: web.Request, world: World, job: SimJob) -> web.StreamResponse:
    """The archive in the world's way of delivery (lib/api/helpers.rb, ``present_carrierwave_file!``).

    LOCAL: workhorse/internal/sendfile (ranges, HEAD, If-Range). REDIRECT: 302 (303 for HEAD) to a signed URL of the
    store, which no ETag of GitLab reaches. PROXIED: workhorse/internal/sendurl, which copies the store's status and
    headers, and Content-Length only where the store sent one.
    """
    archive = job.archive
    if archive is None:
        raise missing()
    if world.delivery == Delivery.REDIRECT:
        url = signed_url(world, job, method="HEAD" if world.signed_head and request.method == "HEAD" else "GET")
        status = HTTPStatus.FOUND if request.method == "GET" else HTTPStatus.SEE_OTHER
        text = f"This resource has been moved temporarily to {url}."
        return web.Response(status=status, text=text, headers={"Location": url})
    if world.delivery == Delivery.PROXIED:
        return stored(request, job, chunked=not world.proxied_length)
    return conditional(
        request,
        archive,
        etag=f'"{archive.sha256}"' if world.etags else None,
        modified=job.finished_at or job.created_at,
        headers=_attachment("artifacts.zip"),
        ranges=world.ranges,
    )


def file_answer(request: web.Request, world: World, job: SimJob, path: str) -> web.StreamResponse:
    """One file out of the archive (workhorse/internal/artifacts/entry.go).

    No ranges; Content-Length is the uncompressed size; a file that is not there is 404 in plain text, not JSON. A
    path with NUL or invalid UTF-8 is 400 (lib/gitlab/ci/build/artifacts/path.rb), ``..`` is simply not there.
    """
    if "\0" in path or "\ufffd" in path:
        raise ApiError(HTTPStatus.BAD_REQUEST, {"message": "400 Bad request"})
    archive = job.archive
    if archive is None:
        raise missing()
    found = entry(archive, path)
    if found is None:
        return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found\n")
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    headers = _attachment(path.rpartition("/")[2]) | {"Content-Type": kind}
    if world.etags:
        headers["ETag"] = file_etag(archive, path)
    if request.headers.get("If-None-Match") == headers.get("ETag", ""):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Served(Content.of(found), headers=headers)


def _readable(request: web.Request) -> tuple[World, SimJob]:
    token = caller(request, job_token=True)
    job = job_of(request, project_of(request, token))
    readable(job, token)
    return world_of(request), job


def readable(job: SimJob, token: SimToken | None) -> None:
    """403 unless the bearer may read its artifacts (``artifacts:access``; app/policies/ci/build_policy.rb)."""
    needed = {"all": GUEST, "developer": DEVELOPER, "maintainer": MAINTAINER}.get(job.spec.access)
    role = token.role if token else GUEST
    if needed is None or role < needed:
        raise forbidden()


async def _archive(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/:job_id/artifacts (lib/api/ci/job_artifacts.rb): as long as the file exists, expired or not.

    https://gitlab.com/gitlab-org/gitlab/-/issues/579693. ``file_type`` gives a report where the server knows the
    parameter (gitlab-org/gitlab!252518), and is ignored by the others, which then send the archive.
    400 for a type that the API does not give out, 404 for one that the job has not.
    """
    world, job = _readable(request)
    kind = request.query.get("file_type", "archive")
    if not world.report_downloads or kind == "archive":
        return archive_answer(request, world, job)
    if not downloadable(kind):
        raise ApiError(HTTPStatus.BAD_REQUEST, {"error": "file_type does not have a valid value"})
    if kind not in job.reports:
        raise missing()
    return Served(Content.of(job.report(kind)), headers=_attachment(report_name(kind)))


async def _file(request: web.Request) -> web.StreamResponse:
    """GET .../jobs/:job_id/artifacts/*path: 404 once expired and unlocked, though the archive still downloads.

    https://gitlab.com/gitlab-org/gitlab/-/issues/249132. Since 18.8 a file named ``tree`` at the root is hidden by the
    listing of the same name.
    """
    world, job = _readable(request)
    path = request.match_info["path"]
    if path == "tree" and since(world, _TREE_SINCE):
        return _tree(request, world, job)
    if not archive_served(job, world.clock.now()):
        raise missing()
    return file_answer(request, world, job, path)


def _tree(request: web.Request, world: World, job: SimJob) -> web.Response:
    """GET .../jobs/:job_id/artifacts/tree: one level below ``path``, or everything; 404 says what is not there."""
    if job.archive is None or not archive_served(job, world.clock.now()):
        raise missing("Artifacts")
    below = request.query.get("path", "")
    rows = entries(job.archive, below, recursive=flag(request, "recursive"))
    if below.strip("/") and not rows:
        raise missing("Path")
    page, headers = offset_page(request, rows)
    return reply(page, headers=headers)


async def _keep(request: web.Request) -> web.Response:
    """POST .../jobs/:job_id/artifacts/keep (lib/api/ci/job_artifacts.rb): 200 with the job, which expires no more.

    404 where ``artifacts?`` does not hold: no archive, or already past its expiry, even if locked and downloadable.
    403 on a protected ref for who may not push there.
    """
    token = authenticated(request)
    job, world = job_of(request, project_of(request, token)), world_of(request)
    writable(job, token)
    if job.archive is None or expired(job, world.clock.now()):
        raise missing(f"#<Ci::Build:0x{job.id:016x}>")
    return reply(entities.job(world, world.keep(job)))


async def _delete(request: web.Request) -> web.Response:
    """DELETE .../jobs/:job_id/artifacts: 204, everything but the trace goes (delete_service.rb)."""
    token = authenticated(request)
    project = project_of(request, token)
    if token.role < MAINTAINER:
        raise forbidden()
    job = job_of(request, project)
    refreshing(project)
    world_of(request).delete_artifacts(job)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _delete_all(request: web.Request) -> web.Response:
    """DELETE /projects/:id/artifacts: 202; what is not locked expires now, and the cron deletes it by and by.

    app/services/ci/job_artifacts/delete_project_artifacts_service.rb; https://docs.gitlab.com/api/job_artifacts/
    """
    token = authenticated(request)
    project, world = project_of(request, token), world_of(request)
    if token.role < MAINTAINER:
        raise forbidden()
    refreshing(project)
    expire_unlocked(world, project)
    return reply({"message": "202 Accepted"}, status=HTTPStatus.ACCEPTED)


def _attachment(filename: str) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename=\"{filename}\"; filename*=UTF-8''{filename}",
        "Content-Transfer-Encoding": "binary",
    }


def routes() -> list[web.AbstractRouteDef]:
    """Of this subject."""
    project = "/api/v4/projects/{id}"
    base = f"{project}/jobs/{{job_id:\\d+}}/artifacts"
    return [
        web.get(base, _archive),
        web.delete(base, _delete),
        web.delete(f"{project}/artifacts", _delete_all),
        web.post(f"{base}/keep", _keep),
        web.get(f"{base}/{{path:.+}}", _file),
    ]
