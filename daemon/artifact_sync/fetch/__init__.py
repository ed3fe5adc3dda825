"""Downloading: stream, resume, verify. Uses GitLab, the store and the state through their ports alone."""

from artifact_sync.fetch.fetcher import Fetcher
from artifact_sync.fetch.policy import FetchPolicy

__all__ = ["FetchPolicy", "Fetcher"]
