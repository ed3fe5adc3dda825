"""Who asks, and what they may see.

lib/gitlab/auth/auth_finders.rb and lib/api/helpers.rb, 18.x. A credential that is wrong is an error even where none
would do.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from artifact_sync.simulator.replies import ApiError, forbidden, missing, world_of
from artifact_sync.simulator.state import SimJob, SimPipeline, SimProject
from artifact_sync.simulator.tokens import SimToken

__all__ = ["authenticated", "caller", "job_of", "pipeline_of", "presented", "project_of", "sees"]

_READING = frozenset({"GET", "HEAD"})


def presented(request: web.Request) -> tuple[str, str] | None:
    """The credential's kind (private, job, bearer) and value, from headers or query; None without one."""
    if value := request.headers.get("PRIVATE-TOKEN") or request.query.get("private_token"):
        return "private", value
    if value := request.headers.get("JOB-TOKEN") or request.query.get("job_token"):
        return "job", value
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return "bearer", value.strip()
    if value := request.query.get("access_token"):
        return "bearer", value
    return None


def caller(request: web.Request, *, job_token: bool = False, any_scope: bool = False) -> SimToken | None:
    """The token that this request carries; None for an anonymous one.

    A job token counts only on routes that allow it (``job_token``), elsewhere it is as if nothing had been sent, and
    only while its job runs. Raises 401 for a wrong token, 403 ``insufficient_scope`` (read_api only reads).
    """
    credential = presented(request)
    if credential is None:
        return None
    way, value = credential
    world = world_of(request)
    token = world.tokens.get(value)
    if way == "job" or (token is not None and token.kind == "job"):
        if not job_token:
            return None
        job = world.jobs.get(token.job_id or 0) if token else None
        if token is None or token.kind != "job" or job is None or job.status != "running":
            raise _unauthorized()
        return token
    if token is None or (way == "private" and token.kind == "oauth"):
        raise _invalid_token("Token was revoked. You have to re-authorize from the user.")
    if token.revoked:
        raise _invalid_token("Token was revoked. You have to re-authorize from the user.")
    if token.expires_at is not None and token.expires_at <= world.clock.now():
        raise _invalid_token("Token is expired. You can either do re-authorization or token refresh.")
    enough = {"api", "read_api"} if request.method in _READING else {"api"}
    if not any_scope and not enough & set(token.scopes):
        raise ApiError(
            HTTPStatus.FORBIDDEN,
            {
                "error": "insufficient_scope",
                "error_description": "The request requires higher privileges than provided by the access token.",
                "scope": " ".join(sorted(enough)),
            },
        )
    return token


def authenticated(request: web.Request, *, job_token: bool = False) -> SimToken:
    """As ``caller``, but raises 401 for nobody (``authenticate!``), even where the project is public."""
    token = caller(request, job_token=job_token)
    if token is None:
        raise _unauthorized()
    return token


def sees(project: SimProject, token: SimToken | None) -> bool:
    """Whether the project exists for this caller."""
    return project.public or (token is not None and (project.visible or token.value in project.seen_by))


def project_of(request: web.Request, token: SimToken | None, *, builds: bool = True) -> SimProject:
    """The project by id or encoded path.

    404 both for one that is not there and one that is not to be seen. A former path is 301 to the numeric id for GET,
    405 for anything else (lib/api/helpers.rb, ``find_project!``, MovedPermanentlyError). With ``builds``, 403 where
    CI/CD is disabled for the caller.
    """
    world, name = world_of(request), request.match_info["id"]
    if name.isdecimal():
        found = world.projects.get(int(name))
    else:
        found = next((p for p in world.projects.values() if p.path == name), None)
        moved = next((p for p in world.projects.values() if name in p.former_paths), None)
        if found is None and moved is not None and sees(moved, token):
            raise _moved(request, moved)
    if found is None or not sees(found, token):
        raise missing("Project")
    if builds and not found.builds_enabled:
        raise forbidden()
    return found


def pipeline_of(request: web.Request, project: SimProject) -> SimPipeline:
    """The project's pipeline in the path, children included (``all_pipelines.find``)."""
    number = request.match_info["pipeline_id"]
    pipeline = world_of(request).pipelines.get(int(number) if number.isdecimal() else 0)
    if pipeline is None or pipeline.project is not project:
        raise missing()
    return pipeline


def job_of(request: web.Request, project: SimProject, *, bridges: bool = False) -> SimJob:
    """The project's job in the path; a trigger job is none (``find_build!``) but with ``bridges`` (``find_job!``)."""
    job = world_of(request).jobs.get(int(request.match_info["job_id"]))
    if job is None or job.project is not project or (job.spec.bridge and not bridges):
        raise missing()
    return job


def _moved(request: web.Request, project: SimProject) -> Exception:
    if request.method not in _READING:
        message = "Non GET methods are not allowed for moved projects"
        return ApiError(HTTPStatus.METHOD_NOT_ALLOWED, {"message": message})
    raw, old = request.raw_path, request.rel_url.raw_path.split("/")[4]
    world = world_of(request)
    where = (world.external_url or world.url) + raw.replace(f"/projects/{old}", f"/projects/{project.id}", 1)
    return web.HTTPMovedPermanently(where, text=f"This resource has been moved permanently to {where}.")


def _unauthorized() -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, {"message": "401 Unauthorized"})


def _invalid_token(why: str) -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, {"error": "invalid_token", "error_description": why})
