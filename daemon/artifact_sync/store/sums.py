"""``SHA256SUMS`` as ``sha256sum`` of GNU coreutils writes and checks it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["sums"]


def sums(digests: Mapping[str, str]) -> bytes:
    """The file for these (name, sha256 in hex), sorted by name.

    A name with a backslash or a line break is escaped and its line begins with a backslash:
    https://www.gnu.org/software/coreutils/manual/html_node/md5sum-invocation.html
    """
    return "".join(_line(name, digests[name]) for name in sorted(digests)).encode()


def _line(name: str, digest: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "" if escaped == name else "\\"
    return f"{mark}{digest}  {escaped}\n"
