"""Signatures of webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

__all__ = ["PREFIX", "entry", "signing", "signing_key"]

#: Of a secret that holds a key.
PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """The key in a secret: of ``whsec_<base64>`` what it encodes, of any other text its bytes. Raises ValueError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("no base64 after whsec_")
    return key


def signing(key: bytes, *, identity: str, timestamp: str) -> hmac.HMAC:
    """A signature that has begun: the body is to be fed to it."""
    return hmac.new(key, f"{identity}.{timestamp}.".encode("utf-8", "surrogateescape"), hashlib.sha256)


def entry(signed: hmac.HMAC) -> str:
    """The signature as it stands in the header ``webhook-signature``."""
    return f"v1,{base64.b64encode(signed.digest()).decode()}"
