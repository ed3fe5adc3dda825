"""Links to the newest of several publications: relative, swapped by one rename, durable, and never through one another.

What a link points at is read from the tree itself: the link, and the manifest where it leads. Nothing else remembers it, so
nothing can disagree with it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from posixpath import relpath

from artifact_sync.core.model import Job
from artifact_sync.core.newest import Link, Linkable
from artifact_sync.errors import Corrupt, Obstructed, StoreError
from artifact_sync.store.disk import Syncer, disk_errors
from artifact_sync.store.layout import Layout
from artifact_sync.store.links import named
from artifact_sync.store.manifest import parse_job
from artifact_sync.store.paths import MANIFEST, components, directory, is_there
from artifact_sync.store.reading import read_file

__all__ = ["Pointer", "link_scratch", "pointed"]

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Points links of one store. One call per link at a time."""

    layout: Layout
    sync: Syncer

    def point(self, link: Link, to: Linkable) -> bool:
        """Swap the link, unless something newer stands where it points; whether it points there now.

        Nothing happens where the publication itself is not there. Raises Obstructed, NoSpace, StoreDamaged, StoreError.
        """
        *above, last = components(link.path, what="link")
        tree = self.layout.tree
        with disk_errors(f"linking {link.path}"):
            self.sync.require_sound()
            if not _stands(tree, to.dest):
                return False
            with directory(tree, above, make=self.sync) as parent:
                there = _target(above, last, at=parent)
                if there != to.dest:
                    known = None if there is None else _job(tree, there)
                    if there and known and to.rank(link.by) < Linkable(there, known).rank(link.by):
                        return False
                    self._swap(link.path, relpath(f"/{to.dest}", f"/{'/'.join(above)}"), last, parent)
                # Also where it pointed there already: that may be what a killed run left before its fsync.
                self.sync.directory(parent, f"the directory of {link.path}")
        return True

    def _swap(self, path: str, target: str, last: str, parent: int) -> None:
        name, staging = link_scratch(path), self.layout.staging
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=staging)
        os.symlink(target, name, dir_fd=staging)
        os.rename(name, last, src_dir_fd=staging, dst_dir_fd=parent)


def link_scratch(path: str) -> str:
    """Where a link is made below ``.staging/``: always the same, so that what a crash left is found again."""
    return f"link-{sha256(path.encode()).hexdigest()[:32]}"


def pointed(tree: int, paths: Iterable[str]) -> Mapping[str, str]:
    """The destinations that the links at these paths name, whether or not anything stands there. Raises OSError, StoreError."""
    found: dict[str, str] = {}
    for path in paths:
        *above, last = components(path, what="link")
        try:
            with directory(tree, above) as parent:
                there = _target(above, last, at=parent)
        except Obstructed:
            continue
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            continue
        if there is not None:
            found[path] = there
    return found


def _target(above: Sequence[str], last: str, *, at: int) -> str | None:
    """The destination that a link names; None where no link is, or it leads out of the tree. Raises Obstructed, OSError."""
    if not is_there(last, at=at):
        return None
    if not stat.S_ISLNK(os.stat(last, dir_fd=at, follow_symlinks=False).st_mode):
        raise Obstructed(
            f"tree/{'/'.join((*above, last))} is to be a link to the newest publication, and something else stands there",
            hint="Where publications lie there, change publish.latest or publish.path, or they meet again; "
            "remove what artifact-sync did not put there.",
        )
    return named(os.readlink(last, dir_fd=at), above)


def _stands(tree: int, dest: str) -> bool:
    """Whether a publication stands there. Raises OSError."""
    with _reached(tree, dest) as there:
        return there is not None and is_there(MANIFEST, at=there)


def _job(tree: int, dest: str) -> Job | None:
    """Whose publication stands there; None where no whole one does. Raises OSError; StoreError for a newer manifest."""
    with _reached(tree, dest) as there:
        content = None if there is None else read_file(MANIFEST, at=there)
    try:
        return None if content is None else parse_job(content, where=f"tree/{dest}/{MANIFEST}")
    except Corrupt:
        return None


@contextmanager
def _reached(tree: int, dest: str) -> Iterator[int | None]:
    """A descriptor of a destination's directory; None where there is none, or only through a link. Raises OSError."""
    with ExitStack() as stack:
        try:
            there = stack.enter_context(directory(tree, components(dest, what="destination")))
        except StoreError:
            # Only what somebody else made points at such a name.
            there = None
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            there = None
        yield there
