"""Downloading: stream, resume, verify. Uses GitLab, the store and the state through their ports alone."""

from artifact_sync.fetch.bandwidth import Bandwidth
from artifact_sync.fetch.fetcher import Fetcher
from artifact_sync.fetch.policy import FetchPolicy
from artifact_sync.fetch.single import Brought, SingleFetcher

__all__ = ["Bandwidth", "Brought", "FetchPolicy", "Fetcher", "SingleFetcher"]
