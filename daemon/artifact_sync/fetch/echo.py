"""What a server says is written down only in forms that can hold no credential.

A server that repeats the request in its answer, in an ETag or in the address of a redirect, has the token in hand.
"""

from __future__ import annotations

import re

__all__ = ["address", "etag_to_keep"]

#: GitLab's tokens have 20 characters at the least. A checksum in hex, as object stores and GitLab send, is none of them.
_SHORTEST = 16
_ETAG = re.compile(rf'"(?:(?:0x)?[0-9A-Fa-f-]{{1,126}}|[\w.:+/=-]{{1,{_SHORTEST - 1}}})"', re.ASCII)
_PREFIXED = re.compile(r"gl[a-z]{1,10}-[\w.-]+", re.ASCII | re.IGNORECASE)
_WORD = re.compile(rf"[\w+=%-]{{{_SHORTEST},}}", re.ASCII)
_LEFT_OUT = "..."


def etag_to_keep(etag: str | None) -> str | None:
    """The ETag with its quotes where it is a checksum or too short for a token; else None."""
    return etag if etag is not None and _ETAG.fullmatch(etag) else None


def address(url: str) -> str:
    """The address with ``...`` for GitLab's tokens and for long words that mix capitals and small letters."""
    return _WORD.sub(lambda word: _LEFT_OUT if _mixed(word[0]) else word[0], _PREFIXED.sub(_LEFT_OUT, url))


def _mixed(word: str) -> bool:
    return word not in {word.lower(), word.upper()}
