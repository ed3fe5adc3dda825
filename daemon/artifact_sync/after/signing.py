"""Signatures of the webhooks that are sent."""

from __future__ import annotations

from artifact_sync.core import signatures
from artifact_sync.errors import HookFailed

__all__ = ["signature", "signing_key"]


def signing_key(secret: str) -> bytes:
    """The key in ``hooks.secret``: of ``whsec_<base64>`` what it encodes, of any other text its bytes. Raises HookFailed."""
    try:
        return signatures.signing_key(secret)
    except ValueError as error:
        raise HookFailed(
            "hooks.secret holds no usable whsec_ key",
            hint="After whsec_ there must be base64; make one with: echo whsec_$(openssl rand -base64 32)",
        ) from error


def signature(key: bytes, *, identity: str, timestamp: int, body: bytes) -> str:
    """The value of the header ``webhook-signature``."""
    signed = signatures.signing(key, identity=identity, timestamp=str(timestamp))
    signed.update(body)
    return signatures.entry(signed)
