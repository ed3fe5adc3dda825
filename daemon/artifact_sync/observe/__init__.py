"""What others see: structured logs, free of secrets. Logs and metrics are subscribers to events."""

from artifact_sync.observe.happenings import log_events
from artifact_sync.observe.logs import configure
from artifact_sync.observe.masking import Masking, mask
from artifact_sync.observe.subscribers import fan_out

__all__ = ["Masking", "configure", "fan_out", "log_events", "mask"]
