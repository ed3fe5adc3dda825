"""What is mirrored, over HTTP: a replica of the reading half of GitLab's API, and what a supervisor asks."""

from artifact_sync.web.access import Reader, Readers
from artifact_sync.web.connections import Limits
from artifact_sync.web.context import Replica
from artifact_sync.web.pulse import Pulse
from artifact_sync.web.server import serve

__all__ = ["Limits", "Pulse", "Reader", "Readers", "Replica", "serve"]
