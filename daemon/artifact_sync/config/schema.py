"""The JSON Schema of the configuration, for editors; made from the models that load it."""

from __future__ import annotations

import json
from typing import Any

from artifact_sync.config.settings import Settings

__all__ = ["schema", "schema_text"]


def schema() -> dict[str, Any]:
    """The schema as plain data, draft 2020-12."""
    made = Settings.model_json_schema(by_alias=True)
    made["title"] = "artifact-sync configuration"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def schema_text() -> str:
    """The schema as it lies in ``config/schema.json``."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"
