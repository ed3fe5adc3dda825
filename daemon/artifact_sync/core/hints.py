"""What somebody says may have happened in GitLab. A hint hastens a look and decides nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Hint", "Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """By numbers alone: a pipeline of a project moved, because this job of it ended or by itself."""

    project_id: int
    pipeline_id: int
    job_id: int | None = None


class Receipt(StrEnum):
    """What became of a webhook that came."""

    #: The pipeline will be looked at.
    ACCEPTED = "accepted"
    #: It has come before.
    DUPLICATE = "duplicate"
    #: It is about nothing that is followed, or about nothing that has ended.
    IGNORED = "ignored"
    #: Whoever sent it has not shown that he knows the secret, or it is no webhook.
    REFUSED = "refused"
    #: It is one too many, or too large: polling finds what it was about.
    OVERFLOW = "overflow"
