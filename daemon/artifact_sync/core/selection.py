"""Which files of an archive the items of a transfer want, whoever listed them.

Patterns take regular files. A link, whose content is the path of its target, comes only where its exact path is written,
with that content, as GitLab itself gives it out (workhorse/internal/artifacts/entry.go).
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.paths import encode_path
from artifact_sync.core.patterns import PatternList
from artifact_sync.core.unpacking import Unpack

__all__ = ["Chosen", "Entry", "Selection", "arrived", "owed", "select"]

T = TypeVar("T")

#: Where single files are published; what an archive is unpacked into has paths inside it as well.
_FILES = "files/"


class Entry(Protocol):
    """One file or directory of an archive, as something lists it."""

    @property
    def name(self) -> str:
        """Its path in the archive."""

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""

    @property
    def mode(self) -> int:
        """Unix mode with file type; 0 where that is not known."""

    @property
    def size(self) -> int:
        """Bytes, unpacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen(Generic[T]):
    """A file that is wanted."""

    #: Name inside the publication.
    name: str
    #: Path inside the archive.
    path: str
    #: Bytes, unpacked.
    size: int
    #: What was listed.
    listed: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Generic[T]):
    """What of an archive is wanted."""

    #: In the order of the listing.
    chosen: tuple[Chosen[T], ...]
    #: Exact paths that must be there and are not.
    missing: tuple[str, ...] = ()
    #: Patterns that match nothing, without the optional ones.
    unmatched: tuple[str, ...] = ()
    #: How many links and special files the patterns match, which are left out.
    left_out: int = 0
    #: Why the chosen files cannot stand side by side; empty where they can.
    clash: str = ""

    @property
    def size(self) -> int:
        """Bytes of all chosen files."""
        return sum(chosen.size for chosen in self.chosen)


def select(items: Sequence[Item], listed: Iterable[T], *, entry: Callable[[T], Entry]) -> Selection[T]:
    """Choose among everything that the archive holds; ``entry`` gives of each what is judged."""
    exact = {item.path: item for item in items if item.kind == "file" and item.path is not None}
    patterns = [(item, _patterns(item)) for item in items if item.kind == "files"]
    chosen: list[Chosen[T]] = []
    seen: set[str] = set()
    matched: set[str] = set()
    left_out = 0
    for each in listed:
        about = entry(each)
        if about.is_dir:
            continue
        path = about.name
        takers = {item.name for item, wanted in patterns if wanted.judge(path)[0]}
        if takers and not _regular(about.mode):
            left_out += path not in exact
            takers = set()
        if path in exact:
            seen.add(path)
        elif not takers:
            continue
        matched |= takers
        chosen.append(Chosen(name=f"{_FILES}{encode_path(path)}", path=path, size=about.size, listed=each))
    return Selection(
        chosen=tuple(chosen),
        missing=tuple(path for path, item in exact.items() if path not in seen and not item.optional),
        unmatched=tuple(_shown(item) for item, _ in patterns if item.name not in matched and not item.optional),
        left_out=left_out,
        clash=_clash([one.name for one in chosen], [one.path for one in chosen]),
    )


def arrived(items: Iterable[Item], files: Iterable[StagedFile]) -> frozenset[str]:
    """Names of the items of which something is among the files."""
    there = tuple(files)
    named = {file.name: file for file in there}
    return frozenset(item.name for item in items if _here(item, named.get(item.name)) or any(_brought(item, there)))


def owed(items: Iterable[Item], files: Iterable[StagedFile], *, asked: Iterable[Item] = ()) -> tuple[Item, ...]:
    """The items of which nothing is among the files, though something must be or may be.

    ``asked``: items that the files are everything of. A pattern or an optional file among them is not owed any more.
    """
    wanted = tuple(items)
    here = arrived(wanted, files)
    settled = {item.name for item in asked}
    return tuple(
        item for item in wanted if item.name not in here and not (item.name in settled and item.may_be_nothing)
    )


def _here(item: Item, file: StagedFile | None) -> bool:
    """Also whether an archive was, or could not be, unpacked, and whether it stands there itself where it is wanted."""
    if file is None:
        return False
    shown = file.published or item.unpack is Unpack.ONLY
    return shown and (file.contents is not None or item.unpack is Unpack.NO)


def _brought(item: Item, files: Iterable[StagedFile]) -> Iterator[bool]:
    if item.kind == "files":
        patterns = _patterns(item)
        yield from (
            patterns.judge(file.path)[0] for file in files if file.path is not None and file.name.startswith(_FILES)
        )


def _patterns(item: Item) -> PatternList:
    return PatternList.parse([item.path or "", *(f"!{text}" for text in item.excluded)], separator=True)


def _shown(item: Item) -> str:
    return item.name.removeprefix("files:")


def _regular(mode: int) -> bool:
    return stat.S_IFMT(mode) in {0, stat.S_IFREG}


def _clash(names: Sequence[str], paths: Sequence[str]) -> str:
    """Two files of one name, or a file where another's directory must be. Names differ wherever paths do."""
    taken: set[str] = set()
    for name, path in zip(names, paths, strict=True):
        if name in taken:
            return f"the archive has two files {path}"
        taken.add(name)
    for name, path in zip(names, paths, strict=True):
        parts = name.split("/")
        if any("/".join(parts[:depth]) in taken for depth in range(1, len(parts))):
            return f"the archive has {path}, and a file where its directory must be"
    return ""
