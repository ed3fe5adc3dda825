"""The configuration: strict YAML becomes frozen settings, or every problem with file, line, column and cure."""

from artifact_sync.config.load import load, loads
from artifact_sync.config.problems import ConfigProblems, Problem
from artifact_sync.config.quick import quick
from artifact_sync.config.schema import schema, schema_text
from artifact_sync.config.sections import Secret, Token, default_state_path, state_of_its_own
from artifact_sync.config.settings import Settings

__all__ = [
    "ConfigProblems",
    "Problem",
    "Secret",
    "Settings",
    "Token",
    "default_state_path",
    "load",
    "loads",
    "quick",
    "schema",
    "schema_text",
    "state_of_its_own",
]
