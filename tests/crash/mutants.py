"""T6: four daemons that break the protocol, each in one place. A laboratory that does not catch them proves nothing."""

from __future__ import annotations

from dataclasses import dataclass

from tests.crash.installation import Patch

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """What it does wrong, and how it is made."""

    name: str
    patches: tuple[Patch, ...]


MUTANTS = (
    Mutant(
        name="row published before the rename",
        patches=(
            Patch(
                file="engine/workers.py",
                old="                published = await self._store.publish(Publication(transfer=transfer, files=files, at=now))\n",
                new="                from artifact_sync.ports import Published\n"
                "                claimed = Published(dest=transfer.dest, size=0, manifest_sha256='')\n"
                "                await self._queue.publish(queued.id, claimed, now)\n"
                "                published = await self._store.publish(Publication(transfer=transfer, files=files, at=now))\n",
            ),
            Patch(
                file="engine/workers.py",
                old="                await self._queue.publish(queued.id, published, now)\n",
                new="",
            ),
        ),
    ),
    Mutant(
        name="no fsync of files",
        patches=(
            Patch(
                file="store/part.py",
                old="        self._sync(self._fd)\n        try:\n            self._close()\n",
                new="        try:\n            self._close()\n",
            ),
            Patch(
                file="store/disk.py",
                old="        try:\n            os.fsync(fd)\n        except OSError as error:\n            self._condemn(error, what)\n\n    def directory",
                new="        del fd, what\n\n    def directory",
            ),
        ),
    ),
    Mutant(
        name="no fsync of directories",
        patches=(
            Patch(
                file="store/disk.py",
                old="            os.fsync(fd)\n        except OSError as error:\n            if error.errno not in _CANNOT_SYNC_DIRECTORY:\n",
                new="            pass\n        except OSError as error:\n            if error.errno not in _CANNOT_SYNC_DIRECTORY:\n",
            ),
        ),
    ),
    Mutant(
        name="synchronous=NORMAL",
        patches=(
            Patch(file="state/schema.py", old='"PRAGMA synchronous = FULL"', new='"PRAGMA synchronous = NORMAL"'),
        ),
    ),
)
