"""Reports of a job, and the servers that do not give them out.

GET /projects/:id/jobs/:job_id/artifacts takes ``file_type`` since late 19.x (gitlab-org/gitlab!252518). An older server
ignores it and answers with the archive, status 200 and all; a newer one answers 400 for a type that it does not give out.
Neither is a reason not to mirror the rest of the job: such a report is left out of the publication with a warning, and a
transfer of nothing else ends as "disabled here". The answer holds for all jobs, so it is remembered, by each process for a
day: GitLab may have been upgraded by then. What was published without a report stays so.
"""

from __future__ import annotations

from http import HTTPStatus

from artifact_sync.core.model import Artifact, Item, Transfer
from artifact_sync.errors import Refused, Unsupported
from artifact_sync.fetch.sniff import is_zip
from artifact_sync.ports import Clock

__all__ = ["ReportsGiven", "refuse_archive"]

#: Seconds after which a server that gave out no report is asked again.
_AGAIN = 24 * 3600.0
#: Types whose reports are zips themselves (app/models/concerns/enums/ci/job_artifact.rb).
_ZIPS = frozenset({"lsif", "scip"})
_HINT = (
    "This GitLab does not give out reports over its API; late versions of 19 do. The rest of the job is mirrored without it; "
    "remove fetch.reports from the rule, or upgrade GitLab."
)


def refuse_archive(head: bytes, item: Item, archive: Artifact | None, *, total: int | None, asked: str) -> None:
    """Raise Unsupported where the job's ``archive`` came instead of the report ``item``.

    ``head`` are the first bytes of the answer, ``total`` is its size where it says one. Of a report that is a zip itself
    only the size can tell.
    """
    if not is_zip(head):
        return
    may_be_zip = item.file_format == "zip" or (item.file_format is None and item.path in _ZIPS)
    if may_be_zip and (total is None or archive is None or total != archive.size or total == item.size):
        return
    raise Unsupported(asked, "the job's archive came instead of its report", hint=_HINT)


class ReportsGiven:
    """What is known of a server's reports. Ask for none that is ``withheld``, and have every refusal ``judged``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: Until when it is not asked, by type; None: any type.
        self._withheld: dict[str | None, float] = {}

    def withheld(self, transfer: Transfer, item: Item) -> Unsupported | None:
        """The error where asking is pointless."""
        now = self._clock.monotonic()
        if any(self._withheld.get(kind, now) > now for kind in (None, item.path)):
            asked = f"{transfer.project_path} job {transfer.job.id}"
            return Unsupported(asked, f"no report {item.path}, as it was answered before", hint=_HINT)
        return None

    def judged(self, item: Item, error: Unsupported | Refused) -> Unsupported | None:
        """What the answer says of the server, remembered: 400 is about the type, an archive about all of them."""
        until = self._clock.monotonic() + _AGAIN
        if isinstance(error, Unsupported):
            self._withheld[None] = until
            return error
        if error.status == HTTPStatus.BAD_REQUEST:
            self._withheld[item.path] = until
            return Unsupported(error.asked, error.answer, status=error.status, hint=_HINT)
        return None
