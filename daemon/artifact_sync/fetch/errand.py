"""The files of one transfer on their way, whichever that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.selection import Chosen, Selection
from artifact_sync.core.ways import Choice
from artifact_sync.errors import Corrupt, TooLarge
from artifact_sync.fetch.line import Line
from artifact_sync.fetch.missing import no_such_file
from artifact_sync.fetch.progress import ProgressReport
from artifact_sync.fetch.resume import ResumablePart
from artifact_sync.ports import QueuedTransfer, Source

__all__ = ["Closed", "Errand", "Haul", "too_large"]

log = structlog.get_logger()

T = TypeVar("T")


class Closed(Exception):
    """This way does not lead there; another one may. No error: nobody but the choice of ways sees it.

    ``whole``: only the whole archive will do, because its parts do not fit together or cost more.
    """

    def __init__(self, reason: str, *, whole: bool = False) -> None:
        super().__init__(reason)
        self.whole = whole


@dataclass(slots=True)
class Haul:
    """What an attempt has brought into staging so far."""

    files: list[StagedFile] = field(default_factory=list)
    _parts: list[ResumablePart] = field(default_factory=list)

    def add(self, file: StagedFile, part: ResumablePart) -> None:
        """One more, finished."""
        self.files.append(file)
        self._parts.append(part)

    def replace(self, earlier: StagedFile, *files: StagedFile) -> None:
        """Put these in the place of a file. Nothing more is brought or cut then: they have no parts that can be continued."""
        at = self.files.index(earlier)
        self.files[at : at + 1] = files

    async def cut(self, length: int) -> None:
        """Remove what came behind the first ``length`` files."""
        while len(self.files) > length:
            self.files.pop()
            await self._parts.pop().part.discard()

    async def abandon(self, error: BaseException) -> None:
        """Leave what another attempt can use."""
        for part in self._parts:
            await part.abandon(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What files to bring, of which transfer, and where they go. ``members``: the most files of one archive."""

    queued: QueuedTransfer
    items: tuple[Item, ...]
    report: ProgressReport
    haul: Haul
    members: int
    #: For ranges of the archive, which come one after another.
    line: Line

    @property
    def archive(self) -> Item:
        """The archive that they are in, as an item that is not published."""
        listed = self.queued.transfer.job.archive
        return Item(kind="archive", name="artifacts.zip", size=listed.size if listed else None)

    @property
    def source(self) -> Source:
        """Where the archive is."""
        transfer = self.queued.transfer
        return Source(project_id=transfer.project_id, job_id=transfer.job.id, item=self.archive)

    def chose(self, choice: Choice, *, requests: int, size: int | None) -> None:
        """Say which way is gone, with the requests and bytes that are still to come on it."""
        log.info(
            "files.chosen",
            job=self.queued.transfer.job.id,
            way=choice.way.value,
            reason=choice.reason,
            requests=requests,
            bytes=size,
        )

    def agreed(self, selection: Selection[T]) -> Sequence[Chosen[T]]:
        """What is to be brought, now that it is known what there is.

        Raises NotFound for an exact path that is not there, TooLarge, and Corrupt for files that cannot stand together.
        """
        transfer = self.queued.transfer
        if selection.clash:
            hint = "Let fetch.files exclude one of them, or fetch the archive itself."
            raise Corrupt(f"{selection.clash}: which is meant cannot be told", hint=hint)
        if selection.missing:
            raise no_such_file(transfer, selection.missing)
        if transfer.max_size is not None and selection.size > transfer.max_size:
            raise too_large(selection.size, transfer.max_size)
        if len(selection.chosen) > self.members:
            raise TooLarge(
                f"{len(selection.chosen)} files match, more than {self.members}",
                hint="Narrow the patterns of fetch.files, or fetch the archive itself.",
            )
        for pattern in selection.unmatched:
            log.warning("files.unmatched", job=transfer.job.id, pattern=pattern)
        if selection.left_out:
            log.info("files.left_out", job=transfer.job.id, links=selection.left_out)
        return selection.chosen


def too_large(size: int, max_size: int) -> TooLarge:
    """The error for files that are too many bytes together."""
    hint = "Raise fetch.max_size of the rule if this is wanted."
    return TooLarge(f"the files have {size} bytes or more together, the rule's max_size is {max_size}", hint=hint)
