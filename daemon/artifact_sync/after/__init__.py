"""Who runs what a rule wants after a publication: commands of this machine, and receivers of webhooks."""

from artifact_sync.after.command import LocalCommands
from artifact_sync.after.signing import signing_key
from artifact_sync.after.webhook import HttpWebhooks

__all__ = ["HttpWebhooks", "LocalCommands", "signing_key"]
