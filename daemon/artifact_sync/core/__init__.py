"""The functional core: plain functions over frozen values; no IO, no clock, no environment."""
