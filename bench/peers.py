"""The commands of the others. Each asks GitLab's API for each archive, with the token, and follows its redirect.

A curl that is to write 5,000 files and a wget that is to name them need a list; they get theirs for nothing, while
artifact-sync and the python-gitlab script find the jobs in GitLab.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.origin import Origin

__all__ = ["MANY", "ONE", "Peer"]

_AT_ONCE = 16
_SCRIPT = Path(__file__).with_name("with_python_gitlab.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A tool as it is used for something. ``command`` writes what it downloads into the folder ``files`` of its folder."""

    name: str
    #: Programs and modules without which it cannot run.
    needs: tuple[str, ...]
    command: Callable[[Origin, Path], list[str]]


def _header(origin: Origin) -> str:
    return f"PRIVATE-TOKEN: {origin.token}"


def _curl(origin: Origin, here: Path) -> list[str]:
    trust = ["--cacert", str(origin.ca)] if origin.ca else []
    return ["curl", "-q", "-sSfL", *trust, "-H", _header(origin), "-o", str(here / "files/f"), _only(origin)]


def _curl_hashed(origin: Origin, here: Path) -> list[str]:
    return _then(_curl(origin, here), f"sha256sum {shlex.quote(str(here / 'files/f'))}")


def _aria2c(origin: Origin, here: Path) -> list[str]:
    return [*_aria2c_base(origin, here), "-x4", "-s4", "-o", "f", _only(origin)]


def _wget(origin: Origin, here: Path) -> list[str]:
    return [*_wget_base(origin), "-O", str(here / "files/f"), _only(origin)]


def _script(origin: Origin, here: Path) -> list[str]:
    trust = [str(origin.ca)] if origin.ca else []
    arguments = [origin.url, origin.token, origin.project, str(here / "files"), *trust]
    return [sys.executable, str(_SCRIPT), *arguments]


def _curl_many(origin: Origin, here: Path) -> list[str]:
    rows = [f'url = "{origin.address(job)}"\noutput = "{here}/files/{job}.zip"\n' for job in origin.archives]
    (here / "list").write_text("".join(rows))
    parallel = ["--parallel", "--parallel-max", str(_AT_ONCE), "-K", str(here / "list")]
    return ["curl", "-q", "-sSfL", "-H", _header(origin), *parallel]


def _curl_hashed_many(origin: Origin, here: Path) -> list[str]:
    return _then(_curl_many(origin, here), f"cd {shlex.quote(str(here / 'files'))} && sha256sum *.zip")


def _aria2c_many(origin: Origin, here: Path) -> list[str]:
    return _aria2c_listed(origin, here, {job: origin.address(job) for job in origin.archives})


def _aria2c_stored(origin: Origin, here: Path) -> list[str]:
    return _aria2c_listed(origin, here, origin.stored)


def _aria2c_listed(origin: Origin, here: Path, addresses: dict[int, str]) -> list[str]:
    (here / "list").write_text("".join(f"{address}\n out={job}.zip\n" for job, address in addresses.items()))
    return [*_aria2c_base(origin, here), f"-j{_AT_ONCE}", "-i", str(here / "list")]


def _wget_many(origin: Origin, here: Path) -> list[str]:
    # Its own names for files of one name are found by trying them one after another; so each gets a folder.
    (here / "list").write_text("".join(f"{origin.address(job)}\n" for job in origin.archives))
    return [*_wget_base(origin), "-x", "-nH", "-P", str(here / "files"), "-i", str(here / "list")]


def _aria2c_base(origin: Origin, here: Path) -> list[str]:
    trust = [f"--ca-certificate={origin.ca}"] if origin.ca else []
    quiet = ["--no-conf", "-q", "--file-allocation=none", "--min-split-size=1M"]
    return ["aria2c", *quiet, *trust, f"--header={_header(origin)}", "-d", str(here / "files")]


def _wget_base(origin: Origin) -> list[str]:
    trust = [f"--ca-certificate={origin.ca}"] if origin.ca else []
    return ["wget", "--no-config", "-nv", *trust, f"--header={_header(origin)}"]


def _then(command: list[str], following: str) -> list[str]:
    return ["sh", "-c", f"{shlex.join(command)} && {following}"]


def _only(origin: Origin) -> str:
    (job,) = origin.archives
    return origin.address(job)


#: One archive.
ONE = (
    Peer(name="curl", needs=("curl",), command=_curl),
    Peer(name="curl, then sha256sum", needs=("curl", "sha256sum"), command=_curl_hashed),
    Peer(name="aria2c -x4", needs=("aria2c",), command=_aria2c),
    Peer(name="wget", needs=("wget",), command=_wget),
    Peer(name="python-gitlab, 16 threads", needs=("gitlab",), command=_script),
)
#: Many of them.
MANY = (
    Peer(name=f"curl --parallel-max {_AT_ONCE}", needs=("curl",), command=_curl_many),
    Peer(name="the same, then sha256sum", needs=("curl", "sha256sum"), command=_curl_hashed_many),
    Peer(name=f"aria2c -j{_AT_ONCE}", needs=("aria2c",), command=_aria2c_many),
    Peer(name="the same, given the object store's addresses", needs=("aria2c",), command=_aria2c_stored),
    Peer(name="wget", needs=("wget",), command=_wget_many),
    Peer(name="python-gitlab, 16 threads", needs=("gitlab",), command=_script),
)
