"""Webhooks as GitLab sends them, made independently of the simulator and of what reads them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

KEY = bytes(range(32))
SIGNING = f"whsec_{base64.b64encode(KEY).decode()}"
TOKEN = 'a-secret~token"with=odd+signs'


def job_event(
    job_id: int = 7, pipeline_id: int = 5, project_id: Any = 1, status: str = "success", **more: Any
) -> bytes:
    """The body of a Job event."""
    event = {
        "object_kind": "build",
        "build_id": job_id,
        "build_status": status,
        "build_finished_at": "2023-01-10 13:50:02 UTC",
        "pipeline_id": pipeline_id,
        "project_id": project_id,
        "commit": {"id": pipeline_id},
        "project": {"id": project_id, "web_url": "http://127.0.0.1:1/elsewhere"},
    }
    return json.dumps(event | more).encode()


def pipeline_event(pipeline_id: int = 5, project_id: int = 1, status: str = "success", **more: Any) -> bytes:
    """The body of a Pipeline event."""
    event = {
        "object_kind": "pipeline",
        "object_attributes": {"id": pipeline_id, "status": status, "url": "http://127.0.0.1:1/elsewhere"},
        "project": {"id": project_id},
        "builds": [{"id": 7, "status": "success"}],
    }
    return json.dumps(event | more).encode()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104, by hand."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()


def signed(body: bytes, *, at: float, identity: str = "msg_1", key: bytes = KEY) -> Mapping[str, str]:
    """The headers of Standard Webhooks for this body."""
    stamp = str(int(at))
    digest = hmac_sha256(key, f"{identity}.{stamp}.".encode() + body)
    return {
        "webhook-id": identity,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
