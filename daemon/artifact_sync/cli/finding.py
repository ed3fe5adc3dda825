"""One line of `check`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from artifact_sync.errors import ArtifactSyncError

__all__ = ["Finding", "Level"]


class Level(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, what was found, and what to do about it."""

    level: Level
    subject: str
    text: str
    cure: str = ""
    #: Of the whole command, if this fails.
    exit_code: int = 1

    def facts(self) -> dict[str, object]:
        """For programs: only what this finding has."""
        facts: dict[str, object] = {"level": self.level, "subject": self.subject, "text": self.text}
        if self.cure:
            facts["cure"] = self.cure
        if self.level is Level.FAIL:
            facts["exit_code"] = self.exit_code
        return facts

    @classmethod
    def ok(cls, subject: str, text: str) -> Finding:
        """Nothing to do."""
        return cls(level=Level.OK, subject=subject, text=text)

    @classmethod
    def warn(cls, subject: str, text: str, cure: str = "") -> Finding:
        """It works, and may cease to."""
        return cls(level=Level.WARN, subject=subject, text=text, cure=cure)

    @classmethod
    def fail(cls, subject: str, error: ArtifactSyncError) -> Finding:
        """It does not work."""
        return cls(level=Level.FAIL, subject=subject, text=str(error), cure=error.hint, exit_code=error.exit_code)
