"""Bring one item for somebody's own file: received, taken up where it broke, verified, and only then under its name."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from artifact_sync.core.events import Emit
from artifact_sync.core.model import Artifact, Item
from artifact_sync.core.timetable import Timetable
from artifact_sync.errors import DoesNotFit, NoSpace, StoreError, Transient
from artifact_sync.fetch.bandwidth import Bandwidth
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.download import Arrival, Download
from artifact_sync.fetch.line import Line
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.promised import require_promised
from artifact_sync.fetch.resume import ResumablePart, opened
from artifact_sync.fetch.space import DiskReserve
from artifact_sync.fetch.verify import verify_archive, verify_gzip
from artifact_sync.ports import Clock, OwnFile, Remote, Source

__all__ = ["Brought", "SingleFetcher"]

#: There is one transfer in a file of somebody's own.
_ONLY = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came: its size in bytes, and what was proved of it."""

    size: int
    sha256: str
    #: scheme://host/path that answered at last.
    source: str
    #: Files of an archive whose CRCs agree; None: it is no archive.
    members: int | None = None
    #: Whether the server's own sha256 agrees, or the size that GitLab lists.
    compared: bool = False


class SingleFetcher:
    """Brings items one at a time."""

    def __init__(
        self, remote: Remote, *, clock: Clock, policy: FetchPolicy, bandwidth: Bandwidth | None = None
    ) -> None:
        """``bandwidth`` None: as much as comes. Of the policy ``min_free`` stays free where the file goes."""
        self._remote = remote
        self._clock = clock
        self._policy = policy
        self._bandwidth = bandwidth or Bandwidth(Timetable(), clock=clock)
        self._verifiers = anyio.CapacityLimiter(policy.verifiers)

    async def bring(self, source: Source, own: OwnFile, *, emit: Emit, archive: Artifact | None = None) -> Brought:
        """Download into the file's part, prove it, and show it. ``archive``: the job's, as listed.

        A failure or a stop leaves a part that the next call goes on with where that is certain to be right, or none. Raises what
        Remote.open raises; NotAnArchive, Corrupt; UsageError for what stands in the file's place; NoSpace, StoreError.
        """
        item = source.item
        report = ProgressReport(_ONLY, emit=emit, clock=self._clock, interval=self._policy.report_interval)
        try:
            async with opened(own, own, _ONLY, item, name=own.name, grace=self._policy.grace) as into:
                download = Download(
                    remote=self._remote,
                    clock=self._clock,
                    policy=self._policy,
                    reserve=DiskReserve(own, min_free=self._policy.min_free),
                    report=report,
                    line=Line(self._bandwidth, self._clock),
                    source=source,
                    bounds=Bounds.of(item, None),
                    archive=archive,
                )
                arrival = await download.run(into)
                members = await self._verified(item, into, arrival)
                sha256, size = await into.finish()
                if item.kind == "archive":
                    require_promised(arrival.etag, sha256)
                await own.show()
        except NoSpace as error:
            hint = "Free some space there, or name another folder with --output."
            raise DoesNotFit(f"{own.name}: there is too little space where it goes", hint=hint) from error
        except StoreError as error:
            raise StoreError(str(error), hint="Look at the folder that it goes into, and at its disk.") from error
        report.item_ended(size)
        compared = item.size == size or (item.kind == "archive" and (arrival.etag or "").strip('"') == sha256)
        return Brought(size=size, sha256=sha256, source=arrival.source, members=members, compared=compared)

    async def _verified(self, item: Item, into: ResumablePart, arrival: Arrival) -> int | None:
        """How many members of an archive have the CRCs that its directory says."""
        if item.kind == "trace" and item.size is not None and into.part.size != item.size:
            raise Transient(
                f"GET {arrival.source}",
                f"a log of {into.part.size} bytes, though the job lists one of {item.size} bytes",
                hint="GitLab may be moving the log to its storage; try again in a moment.",
            )
        if item.kind == "report" and item.file_format == "gzip":
            await verify_gzip(into.part, limiter=self._verifiers)
        if (item.kind == "archive" or item.file_format == "zip") and into.part.size:
            proved = await verify_archive(into.part, limiter=self._verifiers, arrived=into.arrived)
            return proved.members - proved.untested
        return None
