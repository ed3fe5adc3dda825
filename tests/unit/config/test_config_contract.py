"""Every key of the contract is known, has its documented default, and is refused while it has no effect."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from artifact_sync import config
from artifact_sync.config import yaml
from artifact_sync.config.load import loads
from artifact_sync.config.settings import Settings
from artifact_sync.config.wording import known_paths

ROOT = Path(__file__).parents[3]

#: The contract without the keys that show their default.
ONLY_WHAT_HAS_NO_DEFAULT = """
gitlab:
  url: https://gitlab.example.com
  token: {file: /run/secrets/gitlab-token}
store: {path: ./mirror}
rules:
  - name: releases
    projects: ["group/app", "group/libs/**", 42]
    when:
      refs: ["v*", "!*-rc*"]
      ref_type: [tag]
      semver: ">=1.2 <3"
      jobs: ["package*", "/^build: \\\\[.*\\\\]$/"]
"""

#: Keys beside those that the contract shows with a value: alternatives that its comments name.
IN_COMMENTS = {
    "downloads.bandwidth.from",
    "downloads.bandwidth.limit",
    "downloads.bandwidth.to",
    "gitlab.keep_token.credential",
    "gitlab.keep_token.env",
    "gitlab.keep_token.file",
    "gitlab.keep_token.kind",
    "gitlab.token.credential",
    "gitlab.token.env",
    "hooks.secret",
    "hooks.secret.credential",
    "hooks.secret.env",
    "hooks.secret.file",
    "server.tokens.credential",
    "server.tokens.env",
    "server.tokens.file",
    "server.tokens.projects",
    "server.webhook_secret.credential",
    "server.webhook_secret.env",
    "server.webhook_secret.file",
    "state.url",
    "store.url",
}


@pytest.fixture
def contract():
    """The text of the contract, which lies beside the checkout."""
    path = Path(os.environ.get("ARTIFACT_SYNC_CONTRACT") or ROOT.parent / "shared" / "design" / "config.example.yaml")
    if not path.is_file():
        pytest.skip(f"no contract at {path}")
    return path.read_text()


def test_the_contract_loads_as_it_stands(contract):
    """Nothing that it shows with a value is without effect."""
    assert loads(contract, "f").server.listen == "127.0.0.1:8700"


def test_every_key_of_the_contract_shows_its_default(contract):
    """A configuration without those keys means the same."""
    written = loads(contract, refuse_unbuilt=False)
    defaulted = loads(ONLY_WHAT_HAS_NO_DEFAULT, refuse_unbuilt=False)

    assert written.model_dump() == defaulted.model_dump()


def test_the_known_keys_are_those_of_the_contract(contract):
    """No key of the contract is unknown, and none is known that the contract does not name."""
    shown = {".".join(p for p in path if isinstance(p, str)) for path in yaml.read(contract, "f").keys}
    known = {".".join(path) for path in known_paths(Settings)}

    assert known == shown | IN_COMMENTS


def test_the_schema_describes_every_key_of_the_contract(contract):
    """An editor knows each key and its meaning."""
    schema = config.schema()
    for path in yaml.read(contract, "f").keys:
        node = schema
        for part in path:
            node = _below(schema, node, part)
            assert node, path
        assert any("description" in place for place in (node, *_choices(schema, node))), path


def test_the_schema_in_the_repository_is_made_from_the_models():
    """Examples point editors at it; it must not lag behind."""
    assert (ROOT / "config" / "schema.json").read_text() == config.schema_text()


def test_the_schema_shows_defaults_as_they_are_written():
    """1m and not PT1M, 5GiB and not 5368709120."""
    definitions = config.schema()["$defs"]

    assert definitions["Poll"]["properties"]["interval"]["default"] == "1m"
    assert definitions["Store"]["properties"]["min_free"]["default"] == "5GiB"
    assert (
        json.dumps(definitions["GitLab"]["properties"]["token"]["default"])
        == '{"env": "GITLAB_TOKEN", "kind": "private"}'
    )


@pytest.mark.parametrize("name", ["release-mirror", "sidecar", "whole-instance"])
def test_the_examples_load(name):
    """Each example in config/ is a configuration that works as it stands."""
    path = ROOT / "config" / f"{name}.yaml"
    settings = config.load(path)

    assert settings.compiled_rules
    assert path.read_text().startswith("# yaml-language-server: $schema=./schema.json\n")


def _below(schema: dict[str, Any], node: dict[str, Any], part: str | int) -> dict[str, Any]:
    """The schema of one key or item of what ``node`` describes."""
    for choice in _choices(schema, node):
        if isinstance(part, int) and "items" in choice:
            return dict(choice["items"])
        if isinstance(part, str) and part in choice.get("properties", {}):
            return dict(choice["properties"][part])
    return {}


def _choices(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _choices(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
    several = [*node.get("anyOf", []), *node.get("oneOf", [])]
    return [c for choice in several for c in _choices(schema, choice)] or [node]
