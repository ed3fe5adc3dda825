"""Values with a notation of their own: units, addresses, paths, names. Each reader raises ``Wrong``."""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, ValidationInfo

from artifact_sync.config import units
from artifact_sync.config.keys import leaf
from artifact_sync.config.problems import Wrong, looks_like_secret

__all__ = [
    "Backfill",
    "DatabaseUrl",
    "Duration",
    "FilePath",
    "GitLabUrl",
    "Group",
    "Host",
    "Listen",
    "Mode",
    "Name",
    "ObjectUrl",
    "Part",
    "PositiveDuration",
    "PositiveRate",
    "ProxyUrl",
    "Rate",
    "Share",
    "Size",
    "SystemName",
    "TimeOfDay",
    "VariableName",
    "WebhookUrl",
    "is_loopback",
]

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9A-Fa-f:.]+")
_LAST_PORT = 65535
_LONGEST_NAME = 100
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or address."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _text(value: object, cure: str) -> str:
    if not isinstance(value, str):
        raise Wrong("not text", cure)
    if not value or _CONTROL.search(value):
        raise Wrong("empty, or with a control character in it", cure)
    return value


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise Wrong("a duration of nothing", "write a duration longer than 0s")
    return value


def _some(value: int) -> int:
    if not value:
        raise Wrong("a rate of nothing", "write a rate above 0KiB/s; null for no limit")
    return value


def _backfill(value: object) -> timedelta | str:
    if value in ("all", "none"):
        return str(value)
    try:
        return units.parse_duration(value)
    except Wrong as wrong:
        raise Wrong(wrong.what, "write a duration such as 30d, or all, or none") from None


def _backfill_text(value: timedelta | str) -> str:
    return value if isinstance(value, str) else units.duration_text(value)


def _part(value: object) -> float:
    cure = "write a part of 1 such as 0.1, or a share such as 10%"
    if isinstance(value, str):
        value = units.parse_share(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("not a number", cure)
    if not 0 <= value < 1:
        raise Wrong("not between 0 and 1", cure)
    return float(value)


def _url(value: object, schemes: tuple[str, ...], cure: str) -> SplitResult:
    """The URL's parts. Never says what the URL is: it may hold a password."""
    text = _text(value, cure)
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise Wrong("not a URL", cure) from None
    if url.scheme not in schemes or not url.hostname or text != text.strip() or port == 0:
        raise Wrong(f"not a URL with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host", cure)
    if url.password is not None or (url.username is not None and url.scheme not in {"postgresql", "postgres"}):
        raise Wrong("a URL with a user name or password in it", cure)
    return url


def _gitlab_url(value: object) -> str:
    cure = "write the address alone, such as https://gitlab.example.com or https://host/gitlab"
    url = _url(value, ("https", "http"), cure)
    if url.query or url.fragment or "?" in str(value) or "#" in str(value):
        raise Wrong("a URL with a query or fragment", cure)
    if not _HOST.fullmatch(url.hostname or "") or any(c.isspace() for c in url.path):
        raise Wrong("not a URL with a host that can be", cure)
    if "/api/" in f"{url.path}/":
        raise Wrong("the URL of the API, not of the instance", "leave /api/v4 out")
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"


def _proxy_url(value: object) -> str:
    cure = "write http://host:port; where it needs a password, set HTTPS_PROXY in the environment instead"
    return _url(value, ("http", "https"), cure).geturl()


def _webhook_url(value: object) -> str:
    return _url(value, ("https", "http"), "write a URL such as https://example.com/hook")._replace(fragment="").geturl()


def _webhook_text(value: str) -> str:
    """Without the query, which may be all that protects the receiver."""
    address, asks, _ = value.partition("?")
    return f"{address}?..." if asks else address


def _object_url(value: object) -> str:
    return _url(value, ("s3", "gs", "az"), "write s3://bucket/prefix; credentials come from the environment").geturl()


def _database_url(value: object) -> str:
    cure = "write postgresql://user@host/name; the password comes from PGPASSWORD or a passfile"
    return _url(value, ("postgresql", "postgres"), cure).geturl()


def _path(value: object, info: ValidationInfo) -> Path:
    text = _text(value, "write a path, such as ./mirror or /var/lib/artifact-sync; put a number in quotes")
    if looks_like_secret(text):
        raise Wrong(
            "a token where a path belongs", "save the token in a file of its own and write the path of that file"
        )
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise Wrong("~ names nobody's home here", "write the whole path") from None
    folder: Path = (info.context or {}).get("folder", Path())
    # Not resolve(): a link that is pointed elsewhere later (a rotated Kubernetes secret) must be followed then.
    return Path(os.path.normpath(folder / path))


def _host(value: object) -> str:
    cure = "write a host name alone, such as objects.example.com"
    text = _text(value, cure)
    if not _HOST.fullmatch(text):
        raise Wrong("not a host name", cure)
    return text.lower()


def _listen(value: object) -> str:
    cure = "write an address and a port, such as 127.0.0.1:8700 or [::1]:8700; null for no HTTP at all"
    text = _text(value, cure)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    right_host = _HOST.fullmatch(bare) and (bare != host or ":" not in host)
    if not colon or not right_host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > _LAST_PORT:
        raise Wrong("not an address with a port", cure)
    return text


def _mode(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch("[0-7]{3,4}", value):
        raise Wrong("not a file mode", 'write four octal digits in quotes, such as "0640"')
    mode = int(value, 8)
    if mode & 0o7000:
        raise Wrong("a mode with set-user-ID, set-group-ID or sticky bits", f'write "{mode & 0o777:04o}"')
    if mode & 0o022:
        # One file may be published at many places: who could write it at one would change all of them.
        raise Wrong("a mode that lets others write what is published", f'write "{mode & 0o755:04o}"')
    if mode & 0o111:
        cure = f'write "{mode & 0o644:04o}": folders, and files that are executable in an archive, get theirs by it'
        raise Wrong("a mode that makes every file executable", cure)
    if not mode & 0o400:
        raise Wrong("a mode that takes reading from the owner", f'write "{mode | 0o600:04o}"')
    return mode


def _mode_text(value: int) -> str:
    return f"{value:04o}"


def _time(value: object) -> time:
    if not isinstance(value, str) or not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise Wrong("not a time of day", 'write hours and minutes in quotes, such as "08:00"')
    return time.fromisoformat(value)


def _time_text(value: time) -> str:
    return value.strftime("%H:%M")


def _variable(value: object) -> str:
    cure = "write the name of an environment variable, such as GITLAB_TOKEN; the token itself stands in the variable"
    text = _text(value, cure)
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", text) or looks_like_secret(text):
        raise Wrong("not the name of an environment variable", cure)
    return text


def _system_name(value: object) -> str:
    cure = "write a plain name, such as gitlab-token"
    text = _text(value, cure)
    if not re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_.-]*", text) or looks_like_secret(text):
        raise Wrong("not a plain name", cure)
    return text


def _group(value: object) -> str:
    cure = "write the name of a group, such as artifacts, or its number"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    text = _text(value, cure)
    if not re.fullmatch("[A-Za-z0-9_][A-Za-z0-9_.-]*[$]?", text) or looks_like_secret(text):
        raise Wrong("not the name of a group", cure)
    return text


def _name(value: object) -> str:
    cure = f"write a name of up to {_LONGEST_NAME} characters; put a number in quotes"
    text = _text(value, cure)
    if len(text) > _LONGEST_NAME or text != text.strip():
        raise Wrong("too long, or with a space at its end", cure)
    return text


def _shaped(shape: str) -> dict[str, Any]:
    return {"type": "string", "pattern": shape}


_STRING = {"type": "string", "minLength": 1}

Duration = Annotated[timedelta, *leaf(units.parse_duration, _shaped(units.DURATION), units.duration_text)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Backfill = Annotated[
    timedelta | Literal["all", "none"],
    *leaf(_backfill, _shaped(f"^(all|none)$|{units.DURATION}"), _backfill_text),
]
Size = Annotated[int, *leaf(units.parse_size, _shaped(units.SIZE), units.size_text)]
Rate = Annotated[int, *leaf(units.parse_rate, _shaped(units.RATE), units.rate_text)]
PositiveRate = Annotated[Rate, AfterValidator(_some)]
Share = Annotated[float, *leaf(units.parse_share, _shaped(units.SHARE), units.share_text)]
Part = Annotated[
    float,
    *leaf(_part, {"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, _shaped(units.SHARE)]}, float),
]
GitLabUrl = Annotated[str, *leaf(_gitlab_url, {"type": "string", "format": "uri", "pattern": "^https?://"})]
ProxyUrl = Annotated[str, *leaf(_proxy_url, {"type": "string", "format": "uri", "pattern": "^https?://"})]
WebhookUrl = Annotated[
    str, *leaf(_webhook_url, {"type": "string", "format": "uri", "pattern": "^https?://"}, _webhook_text)
]
ObjectUrl = Annotated[str, *leaf(_object_url, {"type": "string", "format": "uri", "pattern": "^(s3|gs|az)://"})]
DatabaseUrl = Annotated[str, *leaf(_database_url, {"type": "string", "format": "uri", "pattern": "^postgres(ql)?://"})]
FilePath = Annotated[Path, *leaf(_path, _STRING, str)]
Host = Annotated[str, *leaf(_host, _STRING)]
Listen = Annotated[str, *leaf(_listen, _shaped(r"^.+:[0-9]{1,5}$"))]
Mode = Annotated[int, *leaf(_mode, _shaped("^0?[46][04]{2}$"), _mode_text)]
Group = Annotated[str, *leaf(_group, {"anyOf": [_STRING, {"type": "integer", "minimum": 0}]})]
TimeOfDay = Annotated[time, *leaf(_time, _shaped("^([01][0-9]|2[0-3]):[0-5][0-9]$"), _time_text)]
VariableName = Annotated[str, *leaf(_variable, _shaped("^[A-Za-z_][A-Za-z0-9_]*$"))]
SystemName = Annotated[str, *leaf(_system_name, _shaped("^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
Name = Annotated[str, *leaf(_name, {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME})]
