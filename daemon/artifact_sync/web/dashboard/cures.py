"""What a person can do about a failure whose own hint is not remembered any more."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from artifact_sync.errors import Outcome

__all__ = ["CURES"]

CURES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.PUBLISHED: "",
        Outcome.RETRY_LATER: "It is tried again by itself.",
        Outcome.CREDENTIAL: "`artifact-sync check` says what the token lacks.",
        Outcome.GONE: "GitLab has it no more, or hides it from this token.",
        Outcome.REFUSED: "`artifact-sync check` says what the token may not do.",
        Outcome.NOT_AN_ARCHIVE: "Look at what the address of the download gives: often it is a login page of a proxy.",
        Outcome.CORRUPT: "It is tried again by itself; if that fails too, the upload in GitLab is damaged.",
        Outcome.TOO_LARGE: "Raise fetch.max_size of the rule, or take single files.",
        Outcome.NO_SPACE: "Make room on the store's disk, or lower store.min_free.",
        Outcome.OBSTRUCTED: "Move away what stands at the destination: it is not the store's.",
        Outcome.DISABLED: "This GitLab does not have what the rule asks for.",
    }
)
