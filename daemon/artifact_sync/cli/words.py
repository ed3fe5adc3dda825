"""Sizes, durations and moments as people read them, and lines that stay lines."""

from artifact_sync.core.words import ago, count, moment, one_line, rate, sentence, size, span

__all__ = ["ago", "count", "moment", "one_line", "rate", "sentence", "size", "span"]
