"""Requests as spans, with the names of OpenTelemetry's conventions (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).

No query is in them: that of a signed URL is as good as a password.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from http import HTTPStatus
from urllib.parse import urlsplit

from artifact_sync.gitlab.address import port_of
from artifact_sync.gitlab.redirects import plain
from artifact_sync.gitlab.routes import route
from artifact_sync.ports import Priority
from artifact_sync.ports.tracing import Value, failed, noted, span

__all__ = ["answered", "requesting"]


def requesting(method: str, url: str, priority: Priority) -> AbstractContextManager[None]:
    """The block sends this request, and reads the answer's headers at the least."""
    parts = urlsplit(url)
    template = route(parts.path)
    attributes: dict[str, Value] = {
        "http.request.method": method,
        "server.address": parts.hostname,
        "server.port": port_of(parts),
        "url.template": template,
        # The address that a download was sent on to stays between GitLab and its storage.
        "url.full": plain(url) if template else None,
        "purpose": priority.name.lower(),
    }
    return span(f"{method} {template}" if template else method, client=True, **attributes)


def answered(status: int, correlation: str | None = None) -> None:
    """So was the request that is under way. ``correlation``: GitLab's own name for it."""
    attributes: dict[str, Value] = {"http.response.status_code": status, "gitlab_request": correlation}
    noted(**attributes)
    if status >= HTTPStatus.BAD_REQUEST:
        failed(str(status))
