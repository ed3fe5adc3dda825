"""Who may read what is published, and what else they may do with it."""

from __future__ import annotations

import grp
import os
import stat
from dataclasses import dataclass
from typing import Self

from artifact_sync.errors import StoreError

__all__ = ["Access", "mode_of"]

_READ = 0o444
#: The owner's own rights on a directory: it publishes into it.
_WORK = 0o700
_ALL = 0o777
_LAST_GID = 2**32 - 2


def mode_of(mode: int, *, executable: bool) -> int:
    """The mode of a file where others have ``mode``: who may read an executable one may execute it."""
    return mode | (mode & _READ) >> 2 if executable else mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Permissions and group of what becomes visible. What is None is left as the umask and the system make it."""

    #: Of files.
    mode: int | None = None
    gid: int | None = None
    #: The group as it was written.
    group: str = ""

    @classmethod
    def of(cls, mode: int | None, group: str | None) -> Self:
        """With the group's number, for which a number may be written as well. Raises StoreError where there is no such group."""
        if group is None:
            return cls(mode=mode)
        try:
            # As chown(1) has it: a name may consist of digits.
            gid = grp.getgrnam(group).gr_gid
        except KeyError:
            if not group.isdecimal() or int(group) > _LAST_GID:
                raise StoreError(
                    f"store.group: this system has no group {group!r}",
                    hint="Make it (groupadd), or write the number of the readers' group: that needs no name here.",
                ) from None
            gid = int(group)
        return cls(mode=mode, gid=gid, group=group)

    @property
    def asked(self) -> bool:
        """Whether anything is to be given."""
        return self.mode is not None or self.gid is not None

    @property
    def folder(self) -> int | None:
        """Of directories: who may read files may list and pass them."""
        return None if self.mode is None else mode_of(self.mode, executable=True) | _WORK

    @property
    def fresh(self) -> int:
        """To make a directory with: nobody else's before it has what it gets."""
        return 0o777 if self.folder is None else _WORK

    def give(self, fd: int, *, executable: bool = False) -> bool:
        """Give it to an open file or directory; whether that changed anything. Raises OSError."""
        if not self.asked:
            return False
        status = os.fstat(fd)
        wanted = now = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            # A set-group-ID bit of a directory is somebody's wish about what is made in it.
            wanted = now if self.folder is None else now & ~_ALL | self.folder
        elif self.mode is not None:
            wanted = mode_of(self.mode, executable=executable)
        given = self.gid not in {None, status.st_gid}
        if self.gid is not None and given:
            os.fchown(fd, -1, self.gid)
        # fchown(2) takes bits away from what is executable.
        if wanted != stat.S_IMODE(os.fstat(fd).st_mode):
            try:
                os.fchmod(fd, wanted)
            except PermissionError:
                # systemd's RestrictSUIDSGID= lets nobody set such a bit, not even where it is.
                if not wanted & ~_ALL:
                    raise
                os.fchmod(fd, wanted & _ALL)
        return given or wanted != now

    def require_granted(self, fd: int) -> None:
        """Raise StoreError unless this user may give it to a new file; ``fd`` is one."""
        try:
            self.give(fd)
        except PermissionError:
            if not self.group:
                raise StoreError(
                    "store.mode: the store's filesystem keeps no such permissions",
                    hint="Remove store.mode: there the options of the mount say who may read.",
                ) from None
            raise StoreError(
                f"store.group: this user may not give files to group {self.group} ({self.gid})",
                hint=f"Make the user a member of it (usermod -aG {self.group} USER, SupplementaryGroups= of systemd, "
                "supplementalGroups of a pod), or remove store.group; some filesystems know no owners at all.",
            ) from None
