"""Receive one item, taking up a broken connection where it broke."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from artifact_sync.core.model import Artifact
from artifact_sync.errors import Corrupt, Transient
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.echo import address
from artifact_sync.fetch.line import Line
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.reports import refuse_archive
from artifact_sync.fetch.resume import Entity, ResumablePart
from artifact_sync.fetch.segments import Segments
from artifact_sync.fetch.sniff import refuse_page, require_gzip, require_zip
from artifact_sync.fetch.space import Claim, DiskReserve
from artifact_sync.fetch.stream import Reception
from artifact_sync.ports import Body, Clock, Remote, Source

__all__ = ["Arrival", "Download"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How an item came: the ETag of the last answer, and its address as it may be written down."""

    etag: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One item on its way into one part."""

    remote: Remote
    clock: Clock
    policy: FetchPolicy
    reserve: DiskReserve
    report: ProgressReport
    line: Line
    source: Source
    bounds: Bounds
    #: The job's archive as listed: what an older server sends in a report's place.
    archive: Artifact | None = None

    async def run(self, into: ResumablePart) -> Arrival:
        """Receive everything, going on at once after a broken connection that had brought something.

        Raises what Remote.open and Reception.run raise, and Corrupt for a size other than the announced one.
        """
        if self.bounds.announced is not None:
            self.bounds.check(self.bounds.announced)
        resumes = 0
        # Once: where ranges are not given, or stop being given, one connection brings the rest.
        alone = False
        while True:
            begun = into.part.size
            try:
                arrival = await self._receive(into, alone=alone)
                if arrival is not None:
                    return arrival
                alone = True
            except Transient as error:
                if into.entity is None or into.part.size == begun or resumes == self.policy.resumes:
                    raise
                resumes += 1
                log.info("download.resumed", part=into.part.name, at=into.part.size, after=str(error))

    async def _receive(self, into: ResumablePart, *, alone: bool) -> Arrival | None:
        """None: several connections brought a part of it, and one is to bring the rest."""
        known = into.entity
        opening = self.remote.open(
            self.source,
            offset=into.part.size if known else 0,
            etag=known.etag if known else None,
            total=known.total if known else None,
        )
        async with AsyncExitStack() as connection:
            body = await connection.enter_async_context(opening)
            if not body.offset:
                await into.start_over(Entity.of(body, self.source.item))
            elif body.offset == into.part.size:
                self._check_total(body)
            else:
                raise Corrupt(
                    f"asked for the bytes from {into.part.size} on, got those from {body.offset} on",
                    hint="The server or a proxy ignores ranges; the next attempt starts over.",
                )
            expected = body.total if body.total is not None else self.bounds.announced
            needed = None if expected is None else max(0, self.bounds.most(expected) - into.part.size)
            with await self.reserve.claim(needed) as claim:
                segments = None if alone else self._segments(into, claim)
                if segments is not None:
                    connection.push_async_callback(segments.aclose)
                reception = Reception(
                    body=self.line.limited(body),
                    into=into,
                    clock=self.line,
                    policy=self.policy,
                    claim=claim,
                    bounds=self.bounds,
                    inspect=None if body.offset else lambda head: self._inspect(head, body),
                    report=self.report.received,
                    leave=segments.begin if segments else None,
                )
                await reception.run()
                if segments is not None and segments.begun:
                    await segments.run(connection)
            size = into.part.size
            if size < (body.total or 0) and segments is not None and segments.ran:
                return None
            if body.total is not None and size != body.total:
                raise Transient(
                    f"GET {address(body.source)}",
                    f"{size} bytes of {body.total} came",
                    hint="The connection ended early; it is tried again.",
                )
            self.bounds.check_whole(size)
            return Arrival(etag=body.etag, source=address(body.source))

    def _segments(self, into: ResumablePart, claim: Claim) -> Segments | None:
        """Further connections for what is worth them; None where one is all there can be."""
        if self.policy.segments == 1 or into.entity is None or into.entity.total < self.policy.segment_above:
            return None
        return Segments(
            remote=self.remote,
            clock=self.clock,
            policy=self.policy,
            source=self.source,
            entity=into.entity,
            into=into,
            claim=claim,
            line=self.line,
            report=self.report.received,
        )

    def _inspect(self, head: bytes, body: Body) -> None:
        """Judge the first bytes, then the size that was promised: a login page is not called a wrong size."""
        item = self.source.item
        if item.kind == "report":
            asked = f"GET {address(body.source)}"
            refuse_archive(head, item, self.archive, total=body.total, asked=asked)
            if item.file_format == "gzip":
                require_gzip(head, content_type=body.content_type, path=item.name)
        if item.kind != "archive":
            refuse_page(head, content_type=body.content_type, path=item.path or item.name)
        elif head or self.bounds.announced != 0:
            require_zip(head, content_type=body.content_type)
        self._check_total(body)

    def _check_total(self, body: Body) -> None:
        if body.total is not None:
            self.bounds.check_whole(body.total)
