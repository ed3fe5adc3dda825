"""What the log warns of, in plain words for a person before a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from artifact_sync.cli.words import one_line, span

__all__ = ["notice"]


def notice(event: Mapping[str, Any]) -> str | None:
    """The sentence for a line of the log; None for one that has no words here."""
    match event:
        case {"event": "request.retried", "asked": asked, "answer": answer, "wait": wait}:
            # An answer has a status before it; everything else is the network's.
            told = f"GitLab answered {answer} to {asked}" if str(answer)[:3].isdigit() else f"{asked}: {answer}"
            text = f"{told}; trying again in {span(float(wait))}"
        case {"event": "part.lost", "part": part, "error": error}:
            text = f"the part {part} of a download cannot be continued and begins again: {error}"
        case {"event": "archive.untested", "job": job, "untested": untested, "members": members}:
            text = f"the archive of job #{job} is whole, but {untested} of its {members} members are packed in a way that cannot be tested"
        case {"event": "archive.rejected", "job": job, "reason": reason}:
            text = f"the archive of job #{job} is not unpacked: {reason}; it is published as a file"
        case {"event": "tracing.off", "reason": reason, "hint": hint}:
            text = f"nothing is traced: {reason}. {hint}"
        case {"event": "tracing.failed", "error": error}:
            text = f"spans did not reach their collector: {error}"
        case _:
            return None
    return one_line(text)
