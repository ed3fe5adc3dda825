"""Unpacking an archive in a process of its own, whole or not at all."""

from artifact_sync.store.unpack.process import unpack

__all__ = ["unpack"]
