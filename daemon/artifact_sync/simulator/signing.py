"""Signed URLs of the object store."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from artifact_sync.simulator.state import SimJob
from artifact_sync.simulator.world import World

__all__ = ["BUCKET", "STAMP", "object_path", "signature", "signed_at", "signed_url"]

BUCKET = "gitlab-artifacts"
STAMP = "%Y%m%dT%H%M%SZ"
_KEY = b"simulated-store"


def signature(method: str, path: str, date: str, lifetime: str) -> str:
    """What must stand in ``X-Amz-Signature``."""
    text = f"{method}\n{path}\n{date}\n{lifetime}"
    return hmac.new(_KEY, text.encode(), hashlib.sha256).hexdigest()


def object_path(job: SimJob) -> str:
    """Where the store has the job's archive; hashed by project (app/uploaders/job_artifact_uploader.rb)."""
    digest = hashlib.sha256(str(job.project.id).encode()).hexdigest()
    return f"/{BUCKET}/{digest[:2]}/{digest[2:4]}/{digest}/{job.id}/artifacts.zip"


def signed_url(world: World, job: SimJob, *, method: str = "GET") -> str:
    """A link to the job's archive for ``world.signed_lifetime`` (app/uploaders/object_storage.rb)."""
    path = object_path(job)
    date = world.clock.now().astimezone(UTC).strftime(STAMP)
    lifetime = str(int(world.signed_lifetime / timedelta(seconds=1)))
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"SIMULATED/{date[:8]}/region/s3/aws4_request",
        "X-Amz-Date": date,
        "X-Amz-Expires": lifetime,
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": signature(method, path, date, lifetime),
    }
    return f"{world.storage_url}{path}?{urlencode(query)}"


def signed_at(date: str) -> datetime:
    """The time in ``X-Amz-Date``. Raises ValueError."""
    return datetime.strptime(date, STAMP).replace(tzinfo=UTC)
