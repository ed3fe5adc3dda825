"""The queue: who is next."""

from artifact_sync.queue.embedded import EmbeddedQueue

__all__ = ["EmbeddedQueue"]
