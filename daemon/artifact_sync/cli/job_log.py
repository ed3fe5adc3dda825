"""A job's log, or another text that strangers wrote, on a terminal.

Whoever writes into a job's log could otherwise move the cursor, set the title, or make the terminal answer (ECMA-48, and the
OSC and DCS strings of xterm: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html). Colours stay.
"""

from __future__ import annotations

import re

__all__ = ["shown"]

#: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
_SECTION = re.compile(r"section_(?:start|end):[0-9]+:[^\r\n]*\r(?:\x1b\[0K)?")
_STRING = re.compile(r"\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)", re.DOTALL)
_COLOUR = r"\x1b\[[0-9;:]*m"
_SEQUENCE = re.compile(rf"({_COLOUR})|\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?")
_CONTROL = re.compile(rf"({_COLOUR})|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """The text with its lines, tabs and colours, and without anything else that acts on a terminal."""
    text = _STRING.sub("", _SECTION.sub("", text.replace("\r\n", "\n")))
    return _CONTROL.sub(_kept, _SEQUENCE.sub(_kept, text))


def _kept(found: re.Match[str]) -> str:
    return found[1] or ""
