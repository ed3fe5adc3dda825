"""What a Prometheus reads at ``/metrics``.

Counters hear of what happens; everything else is read when somebody asks, seldom enough to cost nothing. No label has a value
that a project, a job or a ref could choose: their number is bounded by the configuration and by this program.
"""

from artifact_sync.web.metrics.endpoint import Meter
from artifact_sync.web.metrics.figures import Sources

__all__ = ["Meter", "Sources"]
