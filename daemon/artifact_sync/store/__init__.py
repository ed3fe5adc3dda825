"""The store: where bytes become artifacts that are visible, whole and durable."""

from artifact_sync.store.local import LocalStore

__all__ = ["LocalStore"]
