"""What the simulated GitLab serves, asked of it directly: the truth that a mirror is compared with."""

from __future__ import annotations

import hashlib
import io
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tests.acceptance.harness import TOKEN, Simulated

__all__ = ["Served", "digest", "everything"]

#: Whose members are published below these.
_FROM_ARCHIVE = ("files", "content")


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Served:
    """sha256 (hex) by published name, by job: ``artifacts.zip``, ``job.log``, ``files/...`` and ``content/...``."""

    jobs: Mapping[int, Mapping[str, str]]


def everything(gitlab: Simulated) -> Served:
    """Ask for every archive and log of the one project."""
    found = {}
    for job, facts in gitlab.ask("expected").items():
        archive = _get(gitlab, f"jobs/{job}/artifacts")
        assert digest(archive) == facts["sha256"], f"the simulator serves another archive of job {job} than it says"
        names = {"artifacts.zip": digest(archive), "job.log": digest(_get(gitlab, f"jobs/{job}/trace"))}
        with zipfile.ZipFile(io.BytesIO(archive)) as members:
            for member in members.infolist():
                if not member.is_dir():
                    content = digest(members.read(member))
                    names |= {str(PurePosixPath(above, member.filename)): content for above in _FROM_ARCHIVE}
        found[int(job)] = names
    return Served(found)


def _get(gitlab: Simulated, what: str) -> bytes:
    project: Any = gitlab.project.replace("/", "%2F")
    request = urllib.request.Request(
        f"{gitlab.url}/api/v4/projects/{project}/{what}", headers={"PRIVATE-TOKEN": TOKEN, "User-Agent": "auditor"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: bytes = answer.read()
    return content
