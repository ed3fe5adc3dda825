"""The configured address of a GitLab, and what lies under it.

A credential is for this address alone: scheme, host, port, and the path that GitLab is installed under (its relative URL
root, https://docs.gitlab.com/install/relative_url/).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from artifact_sync.errors import ConfigError, UsageError

__all__ = ["Address", "dotted", "job_url_parts", "port_of"]

_PORTS = {"http": 80, "https": 443}
_API = "/api/v4/"
#: /-/jobs/ since 12.0; before it /-/ was left out, and /builds/ was the older name of jobs.
_JOB_PAGE = re.compile(r"/(?P<path>(?!-/).+?)/(?:-/)?(?:jobs|builds)/(?P<id>[0-9]+)(?:/.*)?")
_JOB_API = re.compile(r"/api/v4/projects/(?P<path>[^/]+)/jobs/(?P<id>[0-9]+)(?:/.*)?")


def port_of(url: SplitResult) -> int | None:
    """The port, the scheme's own where none is written. Raises ValueError for one that cannot be."""
    return url.port or _PORTS.get(url.scheme.lower())


def dotted(path: str) -> bool:
    """Whether a path has a segment that some program on the way would resolve: ``.`` or ``..``, however written."""
    return any(unquote(segment).split(";")[0] in {".", ".."} for segment in re.split(r"[/\\]", unquote(path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An instance's address, taken apart. ``root`` is empty or a path without a slash at its end."""

    scheme: str
    host: str
    port: int
    root: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ConfigError for anything but an absolute http or https URL."""
        hint = "Write the address alone, such as https://gitlab.example.com or https://host/gitlab."
        try:
            parts = urlsplit(url)
            port = port_of(parts)
        except ValueError:
            parts, port = SplitResult("", "", "", "", ""), None
        if parts.scheme.lower() not in _PORTS or not parts.hostname or port is None:
            raise ConfigError("gitlab.url is no http or https address with a host", hint=hint)
        return cls(scheme=parts.scheme.lower(), host=parts.hostname, port=port, root=parts.path.rstrip("/"))

    @property
    def origin(self) -> str:
        """scheme://host, with the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")

    @property
    def loopback(self) -> bool:
        """Whether it is plainly this machine, by its name or a literal address."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def api(self, place: str) -> str:
        """The URL of a path and query relative to the API."""
        return f"{self.origin}{self.root}{_API}{place}"

    def same_origin(self, url: SplitResult) -> bool:
        """Whether scheme, host and port are this address's. Raises ValueError for a port that cannot be."""
        return (url.scheme.lower(), url.hostname, port_of(url)) == (self.scheme, self.host, self.port)

    def below_root(self, path: str) -> bool:
        """Whether a path belongs to this GitLab, and to nothing else on the same host."""
        return path.startswith(f"{self.root}/") and not dotted(path)

    def below_api(self, path: str) -> str | None:
        """The path relative to the API; None when it lies elsewhere."""
        start = f"{self.root}{_API}"
        return path.removeprefix(start) if path.startswith(start) and not dotted(path) else None


def job_url_parts(url: str, base_url: str) -> tuple[str, int]:
    """(project path, job id) of a job's page, or of its API URL (then the project may be a number).

    Raises UsageError when the URL is not one of a job on the instance at ``base_url``.
    """
    base = Address.parse(base_url)
    try:
        parts = urlsplit(url.strip())
        here = parts.hostname == base.host and port_of(parts) in {base.port, *_PORTS.values()}
    except ValueError:
        parts, here = SplitResult("", "", "", "", ""), False
    if not here or not base.below_root(parts.path):
        shown = f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else "this"
        raise UsageError(
            f"{shown} is not on {base.origin}{base.root}",
            hint=f"Copy the address of the job's page: {base.origin}{base.root}/group/project/-/jobs/123",
        )
    path = parts.path.removeprefix(base.root)
    found = _JOB_API.fullmatch(path) or _JOB_PAGE.fullmatch(path)
    if found is None:
        raise UsageError(
            "not the URL of a job",
            hint=f"Copy the address of the job's page: {base.origin}{base.root}/group/project/-/jobs/123",
        )
    return unquote(found["path"]), int(found["id"])
