"""The notation of ``fetch.files``: exact paths and patterns over the files of an archive, as items of a transfer.

A ``?`` at the end makes an entry optional; a glob that is to end in any one character ends in ``??`` or in ``[!/]``. An entry
written with ``!`` excludes, and a list of exclusions alone wants everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from artifact_sync.core.model import Item
from artifact_sync.core.paths import encode_path
from artifact_sync.core.patterns import Pattern

__all__ = ["FilePattern", "items_of", "united"]

_GLOB = re.compile(r"[*?\[\]{}]|^/.*/$", re.DOTALL)
_OPTIONAL = re.compile(r"(?<!\\)(?:\\\\)*\?$")
_EVERYTHING = "**"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePattern:
    """One entry that wants something."""

    #: The path inside the archive, or the pattern over such paths.
    path: str
    #: Whether it names one file.
    exact: bool
    optional: bool

    @classmethod
    def parse(cls, text: str) -> FilePattern:
        """From the entry as written, which does not begin with ``!``. Raises PatternError for an unusable pattern."""
        optional = bool(_OPTIONAL.search(text))
        path = text[:-1] if optional else text
        exact = bool(path) and not _GLOB.search(path)
        if not exact:
            Pattern.parse(path, separator=True)
        return cls(path=path, exact=exact, optional=optional)


def items_of(files: Sequence[str]) -> tuple[Item, ...]:
    """One item for each entry that wants something. Raises PatternError."""
    excluded = tuple(text[1:] for text in files if text.startswith("!"))
    exclusions = [Pattern.parse(text, separator=True) for text in excluded]
    written = [text for text in files if not text.startswith("!")] or ([_EVERYTHING] if excluded else [])
    items = []
    for pattern in map(FilePattern.parse, written):
        if not pattern.exact:
            items.append(
                Item(
                    kind="files",
                    name=_name(pattern.path, excluded),
                    path=pattern.path,
                    optional=pattern.optional,
                    excluded=excluded,
                )
            )
        elif not any(exclusion.matches(pattern.path) for exclusion in exclusions):
            name = f"files/{encode_path(pattern.path)}"
            items.append(Item(kind="file", name=name, path=pattern.path, optional=pattern.optional))
    return united(items)


def united(items: Iterable[Item]) -> tuple[Item, ...]:
    """Each item once: of two with one name the later, optional only where both are, and unpacked so that both have theirs."""
    union: dict[str, Item] = {}
    for item in items:
        earlier = union.get(item.name, item)
        union[item.name] = replace(
            item, optional=item.optional and earlier.optional, unpack=item.unpack.united(earlier.unpack)
        )
    return tuple(union.values())


def _name(pattern: str, excluded: Iterable[str]) -> str:
    """Unique for what it takes, and never the name of a published file, in which no colon stands.

    A backslash before ``!`` changes nothing in a pattern, and keeps one that has ``" !"`` in it from being taken for two.
    """
    texts = [text.replace(" !", " \\!") for text in (pattern, *excluded)]
    return f"files:{' !'.join(texts)}"
