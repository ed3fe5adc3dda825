"""The first words of an error's body, fit for a log: short, one line, no secrets, no signed URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from typing import Any
from urllib.parse import quote

import msgspec

__all__ = ["excerpt", "json_object", "store_code"]

LONGEST = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_QUERY = re.compile(r"[?&][^\s\"'<>=?&]{1,80}=[^\s\"'<>]*")
#: Tokens by their prefix (https://docs.gitlab.com/security/tokens/#token-prefixes), or by the header that shows them: an
#: answer may repeat the request, and not everybody who makes an excerpt knows what the secret was.
_TOKENS = re.compile(
    r"\bgl[a-z]{2,6}-[\w.-]{16,}|(?<=-token:)\s*\S+|(?<=bearer )\S+|(?<=basic )\S+", re.IGNORECASE | re.ASCII
)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,1000})</title", re.IGNORECASE)
_CODE = re.compile(r"<Error>.{0,500}?<Code>([A-Za-z0-9.]{1,80})</Code>", re.DOTALL)


def excerpt(body: bytes, *, secrets: Iterable[str] = ()) -> str:
    """The message of a JSON error, the code of an XML one, a page's title, or the first words of a text."""
    text = _telling(body)
    for secret in filter(None, secrets):
        text = text.replace(secret, "[masked]").replace(quote(secret, safe=""), "[masked]")
    text = _CONTROL.sub(" ", _TOKENS.sub("[masked]", _QUERY.sub("?...", text))).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def json_object(body: bytes) -> dict[str, Any]:
    """The body's JSON object; an empty one when it is anything else."""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def store_code(body: bytes) -> str:
    """The code of an object store's XML error: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
    found = _CODE.search(body[:4096].decode("utf-8", "replace"))
    return found[1] if found else ""


def _telling(body: bytes) -> str:
    answer = json_object(body)
    if answer:
        return _flat(answer.get("message") or answer.get("error_description") or answer.get("error") or "")
    if code := store_code(body):
        return code
    text = body[:16384].decode("utf-8", "replace")
    title = _TITLE.search(text)
    return unescape(title[1]) if title else text


def _flat(message: object) -> str:
    """GitLab's messages are texts, lists of texts, or such by field."""
    if isinstance(message, dict):
        return "; ".join(f"{name}: {_flat(value)}" for name, value in message.items())
    if isinstance(message, list):
        return ", ".join(_flat(value) for value in message)
    return str(message)
