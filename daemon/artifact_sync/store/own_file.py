"""A file that somebody asked for, on its way: it grows in NAME.part beside it, and gets its name when it is proved.

What is needed to go on with a part stands in NAME.part.json, which is locked meanwhile: two downloads to one name would write
into each other's bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec
from anyio import CapacityLimiter, to_thread

from artifact_sync.errors import UsageError
from artifact_sync.ports import PartRecord
from artifact_sync.store.batches import Batches, each
from artifact_sync.store.disk import Syncer, disk_errors
from artifact_sync.store.filesystem import free_bytes
from artifact_sync.store.gate import Gate
from artifact_sync.store.part import Finished, LocalPart
from artifact_sync.store.paths import is_there, opened

__all__ = ["OwnFile"]

_RECORD = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
#: A record has some hundred bytes.
_MOST = 4096
_READABLE = 0o666
_CANNOT_LINK = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    part: PartRecord


class OwnFile:
    """Implements ``ports.OwnFile`` in a folder that is anybody's."""

    def __init__(self, folder: int, path: Path, *, what: str, record: int, gate: Gate, force: bool) -> None:
        self._folder = folder
        self._path = path
        self._what = what
        self._record = record
        self._gate = gate
        self._force = force
        self._sync = Syncer()
        self._limiter = CapacityLimiter(1)
        self._batches = Batches[Callable[[], Finished], Finished](each, threads=1)
        #: Whether the part is what the file is to be.
        self._shown = False

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, what: str, force: bool = False) -> AsyncIterator[OwnFile]:
        """Begin, or go on with, the file at ``path``; its folder must be there.

        ``what`` says where it comes from: a part of anything else is not continued. Raises UsageError for what stands there
        (unless ``force``), and while another process brings it; StoreError.
        """
        with ExitStack() as stack:
            gate = Gate()
            enter = stack.enter_context
            folder, record = await to_thread.run_sync(_enter, stack, path, force)
            enter(gate.shut_after())
            own = cls(folder, path, what=what, record=record, gate=gate, force=force)
            try:
                yield own
            finally:
                await to_thread.run_sync(own._leave)

    @property
    def name(self) -> str:
        """As the port says."""
        return f"{self._path.name}.part"

    async def part(self, name: str, *, keep: int = 0, expected: int | None = None) -> LocalPart:
        """As the port says."""
        part = LocalPart(
            name,
            staging=self._folder,
            mode=os.fstat(self._record).st_mode & _READABLE,
            limiter=self._limiter,
            gate=self._gate,
            small=self._batches,
        )
        await part.open(keep=keep)
        return part

    async def free(self) -> int:
        """As the port says."""
        with disk_errors(f"looking at the space beside {self._path}"):
            return free_bytes(self._folder)

    async def part_record(self, transfer_id: int, item: str) -> PartRecord | None:
        """As the port says; None also for a part of something else, and for a record that was not written to its end."""
        with disk_errors(f"reading {self.name}.json"):
            content = os.pread(self._record, _MOST, 0)
        try:
            found = msgspec.json.decode(content, type=_Record)
        except (ValueError, RecursionError):
            return None
        known = found.what == self._what and (found.part.transfer_id, found.part.item) == (transfer_id, item)
        return found.part if known else None

    async def save_part(self, record: PartRecord) -> None:
        """As the port says."""
        content = msgspec.json.encode(_Record(what=self._what, part=record))

        def save() -> None:
            with self._gate.passed(), disk_errors(f"writing {self.name}.json"):
                os.ftruncate(self._record, 0)
                os.pwrite(self._record, content, 0)
                self._sync.file(self._record, f"{self.name}.json")

        await to_thread.run_sync(save)

    async def show(self) -> None:
        """As the port says."""
        await to_thread.run_sync(self._show)

    def _show(self) -> None:
        with disk_errors(f"naming {self._path}"):
            self._name()
            self._sync.directory(self._folder, f"the folder of {self._path.name}")
        self._shown = True

    def _name(self) -> None:
        at = self._folder
        if not self._force:
            try:
                # Unlike a rename, a link does not replace what came to stand there meanwhile.
                os.link(self.name, self._path.name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
            except FileExistsError:
                raise _taken(self._path) from None
            except OSError as error:
                if error.errno not in _CANNOT_LINK:
                    raise
            else:
                os.unlink(self.name, dir_fd=at)
                return
        os.rename(self.name, self._path.name, src_dir_fd=at, dst_dir_fd=at)

    def _leave(self) -> None:
        """Without a part there is nothing to be known of it."""
        if self._shown or not is_there(self.name, at=self._folder):
            with suppress(OSError):
                os.unlink(f"{self.name}.json", dir_fd=self._folder)


def _enter(stack: ExitStack, path: Path, force: bool) -> tuple[int, int]:  # noqa: FBT001 - run_sync passes by position
    with disk_errors(f"beginning {path}"):
        try:
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(f"there is no folder {path.parent}", hint="Make it, or name another file.") from None
        stack.callback(os.close, folder)
        if not force and is_there(path.name, at=folder):
            raise _taken(path)
        if path.is_dir():
            raise UsageError(f"{path} is a folder", hint="Name the file that is to be written: --output FILE.")
        part = f"{path.name}.part"
        if is_there(part, at=folder) and not is_there(f"{part}.json", at=folder):
            # A browser names its downloads so.
            raise UsageError(f"{part} is there, and is not of this program", hint=f"Remove {path.parent / part}.")
        return folder, stack.enter_context(_locked(folder, path))


@contextmanager
def _locked(folder: int, path: Path) -> Iterator[int]:
    """The record, which its mode makes as readable as the file will be: umask(2) cannot be read."""
    name = f"{path.name}.part.json"
    with opened(name, at=folder, flags=_RECORD, mode=_READABLE) as record:
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed it in the meantime.
            gone = os.stat(name, dir_fd=folder).st_ino != os.fstat(record).st_ino
        except (BlockingIOError, FileNotFoundError):
            gone = True
        if gone:
            why = f"another process is writing {path} just now"
            raise UsageError(why, hint="Wait for it, or name another file with --output.")
        yield record


def _taken(path: Path) -> UsageError:
    return UsageError(f"{path} is there already", hint="Name another file with --output, or replace it with --force.")
