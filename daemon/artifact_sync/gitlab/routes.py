"""Routes of GitLab's API, in place of the paths that are asked for: a few names, whatever there is to ask about."""

from __future__ import annotations

import re

__all__ = ["route"]

#: As GitLab's pages write them. A field takes one segment, and with a star the rest, or up to the next word. Of two that
#: match, the first one is meant.
_ROUTES = (
    "version",
    "personal_access_tokens/self",
    "job",
    "job/allowed_agents",
    "projects",
    "groups/:id/projects",
    "projects/:id",
    "projects/:id/artifacts",
    "projects/:id/pipelines",
    "projects/:id/pipelines/:pipeline_id/jobs",
    "projects/:id/pipelines/:pipeline_id/trigger_jobs",
    "projects/:id/pipelines/:pipeline_id/bridges",
    "projects/:id/jobs",
    "projects/:id/jobs/artifacts/*ref_name/download",
    "projects/:id/jobs/artifacts/*ref_name/raw/*artifact_path",
    "projects/:id/jobs/:job_id",
    "projects/:id/jobs/:job_id/trace",
    "projects/:id/jobs/:job_id/cancel",
    "projects/:id/jobs/:job_id/retry",
    "projects/:id/jobs/:job_id/play",
    "projects/:id/jobs/:job_id/erase",
    "projects/:id/jobs/:job_id/artifacts",
    "projects/:id/jobs/:job_id/artifacts/keep",
    "projects/:id/jobs/:job_id/artifacts/tree",
    "projects/:id/jobs/:job_id/artifacts/*artifact_path",
)
_API = "/api/v4/"


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\*\w+", ".+", re.sub(r":\w+", "[^/]+", template)))


_PATTERNS = tuple((_API + template, _pattern(template)) for template in _ROUTES)


def route(path: str) -> str | None:
    """The route that a URL's path belongs to, such as ``/api/v4/projects/:id``; None for what is not of the API, or unknown."""
    _, api, place = path.partition(_API)
    if not api:
        return None
    return next((template for template, pattern in _PATTERNS if pattern.fullmatch(place)), None)
