"""Whether an archive's bytes are its members and nothing else, judged before any of them is unpacked."""

from __future__ import annotations

from array import array

from artifact_sync.core.archive_end import End
from artifact_sync.core.archive_local import check_flags
from artifact_sync.core.archive_place import Place, Read, place
from artifact_sync.core.unpack_plan import Planned, UnpackPlan
from artifact_sync.core.unpacking import Refused, Rule
from artifact_sync.errors import Corrupt

__all__ = ["layout"]


def layout(read: Read, plan: UnpackPlan, end: End) -> array[int]:
    """Where the packed bytes of each entry begin.

    Each member must begin where the one before it ends, and the directory where the last one does. So a reader that goes from
    header to header finds the same members as one that goes by the directory. Raises Refused.
    """
    begins = array("Q")
    behind = 0
    for entry in plan.entries:
        _require_at(entry.member.header_offset, behind, f"member {entry.name!r:.200}", entry.name)
        found = _found(read, entry, end)
        begins.append(found.begins)
        behind = found.behind
    _require_at(end.directory_offset, behind, "the directory", None)
    return begins


def _found(read: Read, entry: Planned, end: End) -> Place:
    try:
        found = place(read, entry.member, end)
        check_flags(found.header, entry.member)
    except Corrupt as error:
        raise Refused(Rule.CONTENT, str(error), member=entry.name) from error
    return found


def _require_at(at: int, behind: int, what: str, member: str | None) -> None:
    if at < behind:
        raise Refused(Rule.STRUCTURE, f"{what} at {at} shares bytes with the member before it", member=member)
    if at > behind:
        raise Refused(Rule.GAP, f"the {at - behind} bytes before {what} at {at} belong to no member", member=member)
