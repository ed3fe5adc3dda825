"""What the process that unpacks has told so far, held against what it said it would do."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable

import msgspec
from anyio.abc import ByteReceiveStream

from artifact_sync.core.unpacking import Rejected, SkippedLink, Unpacked, UnpackedFile
from artifact_sync.errors import StoreError
from artifact_sync.store.unpack.wire import Advanced, Done, Failed, Foreseen, Stored, message_from

__all__ = ["Account", "lines"]

#: Bytes of one message: a name of 1,024 bytes, written twice with escapes, is far below.
_LONGEST = 256 * 1024


async def lines(stream: ByteReceiveStream, name: str) -> AsyncIterator[bytes]:
    """The lines of a stream until its end. Raises StoreError for one that does not end."""
    rest = b""
    async for chunk in stream:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > _LONGEST:
            raise _nonsense(name, "a message that does not end")


class Account:
    """Collects files until the last message. The files that are stored must be exactly those foreseen, in order."""

    def __init__(self, name: str, on_progress: Callable[[int], None] | None) -> None:
        self._name = name
        self._on_progress = on_progress
        self._foreseen: list[Foreseen] = []
        self._files: list[UnpackedFile] = []
        self._skipped: list[SkippedLink] = []

    def take(self, line: bytes) -> Unpacked | Rejected | None:
        """One more message; the verdict when it is the last one.

        Raises OSError when the disk failed the process, StoreError when it contradicts itself or failed by itself.
        """
        try:
            message = message_from(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _nonsense(self._name, f"no message ({error})") from error
        match message:
            case Foreseen():
                if self._files:
                    raise _nonsense(self._name, f"{message.member!r} is planned after files were written")
                self._foreseen.append(message)
            case Stored():
                self._store(message)
            case SkippedLink():
                self._skipped.append(message)
            case Advanced():
                self._advance(message)
            case Failed():
                raise self._failure(message)
            case Rejected():
                return message
            case Done():
                return self._unpacked()
        return None

    def _advance(self, message: Advanced) -> None:
        if self._on_progress is not None:
            self._on_progress(message.packed)

    def _store(self, message: Stored) -> None:
        if len(self._files) == len(self._foreseen):
            raise _nonsense(self._name, "more files were written than planned")
        planned = self._foreseen[len(self._files)]
        if planned.size != message.size:
            raise _nonsense(
                self._name, f"{planned.member!r} was planned with {planned.size} bytes, {message.size} were written"
            )
        self._files.append(
            UnpackedFile(
                member=planned.member,
                path=planned.path,
                size=planned.size,
                sha256=message.sha256,
                executable=planned.executable,
            )
        )

    def _unpacked(self) -> Unpacked:
        if len(self._files) != len(self._foreseen):
            raise _nonsense(self._name, f"{len(self._foreseen)} files were planned, {len(self._files)} written")
        return Unpacked(files=tuple(self._files), skipped=tuple(self._skipped))

    def _failure(self, message: Failed) -> Exception:
        if message.number:
            return OSError(message.number, os.strerror(message.number))
        return _nonsense(self._name, message.text)


def _nonsense(name: str, what: str) -> StoreError:
    return StoreError(
        f"unpacking {name}: the unpacking process failed: {what}",
        hint="This is an error in artifact-sync: please report it.",
    )
