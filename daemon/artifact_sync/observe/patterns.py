"""What credentials look like in a text. Every pattern takes time in proportion to the text: it may be a stranger's."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["MASKED", "masked_by_form", "names_secret", "searched"]

MASKED = "[masked]"

#: By their prefix (https://docs.gitlab.com/security/tokens/#token-prefixes), wherever they stand; other prefixes of that form,
#: which later versions may have, where a word begins. Then the older registration tokens, signing keys of webhooks
#: (https://www.standardwebhooks.com), and JSON web tokens (RFC 7519): both of their first parts are JSON objects.
_FORMS = re.compile(
    r"(?:gl(?:pat|dt|rt|rtr|ptt|cbt|soat|ft|imt|agent|oas|ffct|wt)-|(?<![A-Za-z0-9])gl[a-z]{2,8}-)[\w.=-]{8,}"
    r"|GR1348941[\w-]{8,}"
    r"|whsec_[\w+/=-]{8,}"
    r"|eyJ[\w-]{5,1000}\.[\w-]{5,}(?:\.[\w-]*)*",
    re.ASCII,
)

_WORD = (
    r"(?:[a-z0-9]{1,20}[-_]){0,3}(?:token|secret|password|passwd)|api[-_]?key|signature|sig"
    r"|x-(?:amz|goog)-(?:signature|credential|security-token)|googleaccessid|awsaccesskeyid|_gitlab_session"
)
_HEADER = (
    r"(?:private|job|deploy|x-gitlab|x-amz-security)-token|(?:proxy-)?authorization|(?:set-)?cookie|webhook-signature"
)
#: A quote as texts of Python and of JSON in JSON have it.
_QUOTE = r"\\{0,3}[\"']"
_BYTES = r"(?:b(?=[\"']))?"
_SCHEME = r"(?:(?:bearer|basic|digest|token)\s{1,9})?"
_VALUE = r"[^\s\"',;&<>()\\]+"

#: ``name: value``, of names that are never said otherwise; in quotes or pairs, too.
_HEADERS = re.compile(rf"(?i)((?:{_HEADER})(?:{_QUOTE})?\s{{0,9}}[:=,]\s{{0,9}}{_BYTES}(?:{_QUOTE})?{_SCHEME}){_VALUE}")
#: The rest of a cookie's line: it has several.
_COOKIES = re.compile(rf"(?i)((?:set-)?cookie(?:{_QUOTE})?\s{{0,9}}[:=,]\s{{0,9}}{_BYTES}(?:{_QUOTE})?)[^\"'\r\n]+")
#: ``name=value``, as in a query or a form.
_PARAMETERS = re.compile(rf"(?i)((?<![A-Za-z0-9])(?:{_WORD})=){_VALUE}")
#: ``"name": "value"``.
_QUOTED = re.compile(
    rf"(?i)({_QUOTE}(?:{_WORD}){_QUOTE}\s{{0,9}}[:,]\s{{0,9}}{_BYTES}{_QUOTE}{_SCHEME})(?:[^\"'\\]|\\(?![\"']))+"
)
_BEARER = re.compile(r"(?i)(\bbearer\s{1,9})[\w.~+/=-]{8,}")
#: Who logs in stands in an address (RFC 3986 section 3.2.1), and a signature in its query.
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,20}://)[^\s/?#@\"'<>]{1,2000}@")
_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s?#\"'<>]{1,4000})[?#][^\s\"'<>]+")

_KEY = re.compile(rf"(?i)(?:http_)?(?:{_WORD}|{_HEADER})")


#: Some of this is in whatever the patterns above find; most texts have none of it, and are done with one look.
_SUSPICIOUS = re.compile(
    r"gl[a-z]{2,8}-|GR1348941|whsec_|eyJ|://"
    r"|(?i:token|secret|passw|authorization|cookie|sig|api[-_]?key|x-amz|x-goog|accessid|accesskeyid|_gitlab_session|bearer)"
)


def masked_by_form(text: str) -> str:
    """The text without what has the form or the name of a credential, and without the queries of URLs."""
    return text if _SUSPICIOUS.search(text) is None else searched(text)


def searched(text: str) -> str:
    """The same by every pattern, also where nothing is to be found."""
    text = _QUERY.sub(r"\1?...", _USERINFO.sub(rf"\1{MASKED}@", text))
    for pattern in (_COOKIES, _HEADERS, _QUOTED, _PARAMETERS, _BEARER):
        text = pattern.sub(rf"\1{MASKED}", text)
    return _FORMS.sub(MASKED, text)


@lru_cache(1024)
def names_secret(key: str) -> bool:
    """Whether what stands under this key is a secret, whatever it looks like."""
    return _KEY.fullmatch(key.replace("_", "-")) is not None or _KEY.fullmatch(key) is not None
