"""The store: where bytes become artifacts that are visible, whole and durable."""

from artifact_sync.store.local import LocalStore
from artifact_sync.store.modes import Access
from artifact_sync.store.own_file import OwnFile
from artifact_sync.store.view import StoreView

__all__ = ["Access", "LocalStore", "OwnFile", "StoreView"]
