"""Whether a webhook was sent by somebody who knows the secret.

GitLab shows it in one of two ways, in both where both are set (app/services/web_hook_service.rb): the secret token in
``X-Gitlab-Token``, or a signature by a ``whsec_`` key (https://docs.gitlab.com/user/project/integrations/webhooks/). Of which
kind the configured secret is can be seen in it, and only what that one can prove counts: the other header is not looked at.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b, sha256

from artifact_sync.core.signatures import PREFIX, entry, signing, signing_key
from artifact_sync.errors import ConfigError

__all__ = ["WINDOW", "Doubt", "Proof", "delivery_key", "is_signing_key", "proof", "require_usable"]

#: A signature is good for so long, before and after its moment: longer than clocks differ, too short to keep one for later.
WINDOW = timedelta(seconds=300)
#: Digits of a timestamp; with more it is none of this age.
_DIGITS = 11


class Doubt(StrEnum):
    """Why a webhook proves nothing."""

    NO_TOKEN = "no X-Gitlab-Token"  # noqa: S105 - a reason
    WRONG_TOKEN = "another X-Gitlab-Token"  # noqa: S105 - a reason
    NOT_SIGNED = "no signature"
    NOT_NOW = "signed at another time"
    WRONG_SIGNATURE = "another signature"
    UNUSABLE = "the configured secret is no usable whsec_ key"


@dataclass(slots=True)
class Proof:
    """One webhook's. Feed the whole body to it, as it was sent, before asking whether it ``holds``."""

    _signed: hmac.HMAC | None = None
    _shown: tuple[bytes, ...] = ()

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        if self._signed is not None:
            self._signed.update(chunk)

    @property
    def holds(self) -> bool:
        """Whether the sender knows the secret."""
        if self._signed is None:
            return True
        right = entry(self._signed).encode()
        # All of them: how long it takes says nothing about which one is right.
        return sum(hmac.compare_digest(right, shown) for shown in self._shown) > 0


def is_signing_key(secret: str) -> bool:
    """Whether webhooks are to be signed with it, and not to carry it."""
    return secret.startswith(PREFIX)


def require_usable(secret: str) -> None:
    """Raises ConfigError for a ``whsec_`` key that is none."""
    try:
        signing_key(secret)
    except ValueError as error:
        raise ConfigError(
            "server.webhook_secret holds no usable whsec_ key",
            hint="Copy the signing token from the webhook's page in GitLab, or make one: echo whsec_$(openssl rand -base64 32)",
        ) from error


def proof(secret: str, headers: Mapping[str, str], now: datetime) -> Proof | Doubt:
    """What these headers prove, as far as it can be told without the body. ``headers`` know no case."""
    return _signature(secret, headers, now) if is_signing_key(secret) else _token(secret, headers)


def delivery_key(headers: Mapping[str, str]) -> bytes | None:
    """16 bytes for the delivery's own id, the same in every repetition; None without one (GitLab before 17.4).

    ``webhook-id`` first, which is signed; GitLab writes the same into ``Idempotency-Key``.
    """
    identity = headers.get("webhook-id") or headers.get("Idempotency-Key")
    return blake2b(_bytes(identity), digest_size=16).digest() if identity else None


def _token(secret: str, headers: Mapping[str, str]) -> Proof | Doubt:
    shown = headers.get("X-Gitlab-Token")
    if not shown:
        return Doubt.NO_TOKEN
    # Hashes have one length, which is all that the time of a comparison tells.
    same = hmac.compare_digest(sha256(_bytes(shown)).digest(), sha256(_bytes(secret)).digest())
    return Proof() if same else Doubt.WRONG_TOKEN


def _signature(secret: str, headers: Mapping[str, str], now: datetime) -> Proof | Doubt:
    identity, stamp, shown = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not identity or not stamp or not shown:
        return Doubt.NOT_SIGNED
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _DIGITS):
        return Doubt.NOT_NOW
    if abs(now.timestamp() - int(stamp)) > WINDOW.total_seconds():
        return Doubt.NOT_NOW
    try:
        key = signing_key(secret)
    except ValueError:
        return Doubt.UNUSABLE
    return Proof(signing(key, identity=identity, timestamp=stamp), tuple(map(_bytes, shown.split(" "))))


def _bytes(text: str) -> bytes:
    # Headers that are no UTF-8 come as surrogates.
    return text.encode("utf-8", "surrogateescape")
