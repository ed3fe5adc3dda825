"""Signatures of webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from artifact_sync.errors import HookFailed

__all__ = ["signature", "signing_key"]

_PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """The key in a secret: of ``whsec_<base64>`` what it encodes, of any other text its bytes. Raises HookFailed."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise HookFailed(
            "hooks.secret holds no usable whsec_ key",
            hint="After whsec_ there must be base64; make one with: echo whsec_$(openssl rand -base64 32)",
        )
    return key


def signature(key: bytes, *, identity: str, timestamp: int, body: bytes) -> str:
    """The value of the header ``webhook-signature``."""
    signed = f"{identity}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
