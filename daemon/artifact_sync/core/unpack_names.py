"""Where a member of an archive belongs, from its name alone.

What would lead elsewhere, or could be read in two ways, is refused. What merely cannot be a name on every system (colons,
trailing dots, control characters, device names, other forms of Unicode) is encoded by ``core.paths``.
"""

from __future__ import annotations

import re
import unicodedata

from artifact_sync.core.archive import Member
from artifact_sync.core.unpacking import Refused, Rule, UnpackLimits

__all__ = ["folded", "parts_of", "text_of"]

#: What GitLab Runner writes for the job's directory itself (``artifacts: paths: ["."]``).
_ROOT = "./"
_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:([/\\].*)?", re.DOTALL)


def text_of(member: Member) -> str:
    """The name as text. Raises Refused when it is flagged as UTF-8 and is not: readers would differ in what they see."""
    if not member.is_utf8:
        return member.name
    try:
        return member.raw_name.decode()
    except UnicodeDecodeError:
        raise Refused(
            Rule.NAME_TEXT, f"the name of member {member.name!r} is flagged as UTF-8 and is not", member=member.name
        ) from None


def parts_of(member: Member, name: str, limits: UnpackLimits) -> tuple[str, ...]:
    """The components of a member's name, not encoded yet; none for the directory that is unpacked into. Raises Refused.

    Lengths are those of the bytes that the archive has; encoded components have a bound of their own.
    """
    _refuse_foreign(name)
    if name == _ROOT:
        return ()
    parts = tuple(name.removesuffix("/").split("/"))
    path = member.raw_name.removesuffix(b"/")
    if "" in parts or "." in parts:
        raise _refused(Rule.ALIAS, name, "has an empty or a '.' component: two names could mean one place")
    if len(parts) > limits.depth:
        raise _refused(Rule.DEPTH, name, f"is {len(parts)} levels deep, more than {limits.depth}")
    if len(path) > limits.path:
        raise _refused(Rule.PATH_TOO_LONG, name, f"has a path of {len(path)} bytes, more than {limits.path}")
    if (longest := max(map(len, path.split(b"/")))) > limits.name:
        raise _refused(Rule.NAME_TOO_LONG, name, f"has a component of {longest} bytes, more than {limits.name}")
    return parts


def folded(part: str) -> str:
    """The same for all names that are one name where case or the form of Unicode does not count (UAX #15, caseless match)."""
    if part.isascii():
        return part.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", part).casefold())


def _refuse_foreign(name: str) -> None:
    """Backslashes separate on Windows, so what leads out by them there is refused here too."""
    if not name:
        raise _refused(Rule.NAME_EMPTY, name, "has no name")
    if "\0" in name:
        raise _refused(Rule.NAME_NUL, name, "has a NUL in its name: readers that stop there see another name")
    if name[0] in "/\\":
        raise _refused(Rule.ABSOLUTE, name, "has an absolute path")
    if _DRIVE.fullmatch(name):
        raise _refused(Rule.DRIVE, name, "has a path that begins with a drive")
    if ".." in _SEPARATORS.split(name):
        raise _refused(Rule.TRAVERSAL, name, "leads out of the directory by '..'")


def _refused(rule: Rule, name: str, what: str) -> Refused:
    return Refused(rule, f"member {name!r:.200} {what}", member=name)
