"""Receive one item, taking up a broken connection where it broke."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from artifact_sync.errors import Corrupt, Transient
from artifact_sync.fetch.bounds import Bounds
from artifact_sync.fetch.echo import address
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.resume import Entity, ResumablePart
from artifact_sync.fetch.sniff import refuse_page, require_zip
from artifact_sync.fetch.space import DiskReserve
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
    source: Source
    bounds: Bounds

    async def run(self, into: ResumablePart) -> Arrival:
        """Receive everything, going on at once after a broken connection that had brought something.

        Raises what Remote.open and Reception.run raise, and Corrupt for a size other than the announced one.
        """
        if self.bounds.announced is not None:
            self.bounds.check(self.bounds.announced)
        resumes = 0
        while True:
            begun = into.part.size
            try:
                return await self._receive(into)
            except Transient as error:
                if into.entity is None or into.part.size == begun or resumes == self.policy.resumes:
                    raise
                resumes += 1
                log.info("download.resumed", part=into.part.name, at=into.part.size, after=str(error))

    async def _receive(self, into: ResumablePart) -> Arrival:
        known = into.entity
        opening = self.remote.open(
            self.source,
            offset=into.part.size if known else 0,
            etag=known.etag if known else None,
            total=known.total if known else None,
        )
        async with opening as body:
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
            needed = None if expected is None else max(0, expected - into.part.size)
            with await self.reserve.claim(needed) as claim:
                reception = Reception(
                    body=body,
                    into=into,
                    clock=self.clock,
                    policy=self.policy,
                    claim=claim,
                    bounds=self.bounds,
                    inspect=None if body.offset else lambda head: self._inspect(head, body),
                    report=self.report.received,
                )
                await reception.run()
            size = into.part.size
            if body.total is not None and size != body.total:
                raise Transient(
                    f"GET {address(body.source)}",
                    f"{size} bytes of {body.total} came",
                    hint="The connection ended early; it is tried again.",
                )
            self.bounds.check_whole(size)
            return Arrival(etag=body.etag, source=address(body.source))

    def _inspect(self, head: bytes, body: Body) -> None:
        """Judge the first bytes, then the size that was promised: a login page is not called a wrong size."""
        item = self.source.item
        if item.kind != "archive":
            refuse_page(head, content_type=body.content_type, path=item.path or item.name)
        elif head or self.bounds.announced != 0:
            require_zip(head, content_type=body.content_type)
        self._check_total(body)

    def _check_total(self, body: Body) -> None:
        if body.total is not None:
            self.bounds.check_whole(body.total)
