"""Keeps secrets out of everything that is written for others to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from artifact_sync.observe.patterns import MASKED, masked_by_form, names_secret

__all__ = ["Masking", "mask"]

#: Characters of one text; what is longer is cut. How deep values are nested; what lies deeper is told as a text.
_LONGEST, _DEEPEST = 65_536, 12
#: Secrets that were read before: an error of the last minute may still hold the one that was replaced since.
_REMEMBERED = 32


class Masking:
    """Takes these secrets out of texts and values, and everything that looks like one."""

    def __init__(self, secrets: Callable[[], Iterable[str]] = tuple) -> None:
        """``secrets``: as they are now; called for each text, and raises nothing."""
        self._secrets = secrets
        self._known: dict[str, tuple[str, ...]] = {}
        self._sorted: list[str] = []

    def __call__(self, text: str) -> str:
        """The text without them."""
        for form in self._forms():
            text = text.replace(form, MASKED)
        if len(text) > _LONGEST:
            # After the whole secrets are gone: a cut one would not be known.
            text = f"{text[:_LONGEST]}... ({len(text) - _LONGEST} more)"
        return masked_by_form(text)

    def plain(self, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one case for each kind of value
        """The value as plain data without them: containers, keys, bytes, errors, and what says anything of itself."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self(str(value))
            case bytes() | bytearray() | memoryview():
                return self(bytes(value).decode("utf-8", "backslashreplace"))
            case _ if depth >= _DEEPEST:
                return self(_said(value))
            case Mapping():
                return {
                    self._key(key): MASKED if _hides(key, inner) else self.plain(inner, depth + 1)
                    for key, inner in value.items()
                }
            case (str() | bytes() as key, inner) if _hides(key, inner):
                # As headers come: a list of pairs.
                return [self.plain(key), MASKED]
            case list() | tuple():
                return [self.plain(inner, depth + 1) for inner in value]
            case set() | frozenset():
                return sorted((self.plain(inner, depth + 1) for inner in value), key=str)
            case BaseException():
                return self(f"{type(value).__name__}: {_said(value)}")
            case _:
                return self(_said(value))

    def _key(self, key: Any) -> str:
        return str(self.plain(key))

    def _forms(self) -> Iterable[str]:
        for secret in self._secrets():
            if secret and secret not in self._known:
                if len(self._known) >= _REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._known[secret] = _forms(secret)
                # Longer ones first: one may be a part of another.
                known = {form for forms in self._known.values() for form in forms}
                self._sorted = sorted(known, key=len, reverse=True)
        return self._sorted


#: What needs no configuration: by form and name alone.
mask = Masking()


def _forms(secret: str) -> tuple[str, ...]:
    """As it is, and as it is written in URLs, in JSON and in Python."""
    return tuple({secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]})


def _hides(key: Any, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    text = key.decode("latin-1") if isinstance(key, bytes) else key
    return isinstance(text, str) and names_secret(text)


def _said(value: Any) -> str:
    """What it says of itself."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a line of the log must not fail for one of its values
        return f"({type(value).__name__} that cannot be told: {type(error).__name__})"
