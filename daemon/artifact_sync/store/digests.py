"""The sha256 of files on disk, of each inode once, without pushing everybody else's pages out of memory."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from artifact_sync.store.digest import Content

__all__ = ["Digests"]

#: Bytes per read, of one buffer for each thread.
_BLOCK = 4 << 20
#: After so many bytes their pages are given back.
_STRETCH = 64 << 20
#: preadv2(2): what is not in memory is not waited for (EAGAIN); some filesystems cannot tell (EOPNOTSUPP).
_AT_ONCE: int = getattr(os, "RWF_NOWAIT", 0)
_NOT_AT_ONCE = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
#: Inodes with several names whose hash is remembered: some 50 MB. More are hashed again.
_REMEMBERED = 200_000

#: Inode, size, time of modification in nanoseconds.
_Key = tuple[int, int, int]


class Digests:
    """Hashes open files of one filesystem. Safe to use from several threads.

    ``pulse`` learns how many bytes came, at every block, and may raise to end the work.
    """

    def __init__(self, pulse: Callable[[int], None] = lambda _: None) -> None:
        self._pulse = pulse
        self._known: OrderedDict[_Key, Future[Content]] = OrderedDict()
        self._turn = threading.Lock()
        self._local = threading.local()

    def of(self, fd: int, status: os.stat_result) -> Content:
        """What the file holds; ``status`` is of ``fd``. Raises OSError, and what ``pulse`` raises."""
        if status.st_nlink <= 2:  # noqa: PLR2004 - its name in the tree and its object: nobody will ask for it again
            return self._hashed(fd, status.st_size)
        key = (status.st_ino, status.st_size, status.st_mtime_ns)
        with self._turn:
            known = self._known.get(key)
            if known is None:
                ours = self._known[key] = Future()
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        if known is not None:
            return known.result()
        try:
            content = self._hashed(fd, status.st_size)
        except BaseException as error:
            with self._turn:
                self._known.pop(key, None)
            ours.set_exception(error)
            raise
        ours.set_result(content)
        return content

    def _hashed(self, fd: int, size: int) -> Content:
        running = hashlib.sha256()
        buffer = self._buffer(size)
        if size > len(buffer):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        # What lay in memory already is somebody else's, who may want it again.
        ours = not _AT_ONCE
        read = kept = 0
        while read < size:
            try:
                count = os.preadv(fd, [buffer], read, _AT_ONCE)
            except OSError as error:
                if error.errno not in _NOT_AT_ONCE:
                    raise
                ours, count = True, os.preadv(fd, [buffer], read)
            if not count:
                break
            running.update(buffer[:count])
            read += count
            self._pulse(count)
            if ours and read - kept >= _STRETCH:
                os.posix_fadvise(fd, kept, read - kept, os.POSIX_FADV_DONTNEED)
                kept = read
        if ours:
            os.posix_fadvise(fd, kept, 0, os.POSIX_FADV_DONTNEED)
        return running.hexdigest(), read

    def _buffer(self, size: int) -> memoryview:
        buffer: memoryview | None = getattr(self._local, "buffer", None)
        if buffer is None or len(buffer) < min(_BLOCK, size + 1):
            buffer = self._local.buffer = memoryview(bytearray(min(_BLOCK, max(1 << 20, size + 1))))
        return buffer
