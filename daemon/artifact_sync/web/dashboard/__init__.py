"""What a person looks at: one page about what is at risk and what goes on, and the mirror to search and browse."""

from artifact_sync.web.dashboard.context import Dashboard
from artifact_sync.web.dashboard.figures import Gauge
from artifact_sync.web.dashboard.live import Live
from artifact_sync.web.dashboard.part import dashboard

__all__ = ["Dashboard", "Gauge", "Live", "dashboard"]
