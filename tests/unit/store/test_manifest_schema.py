"""The manifest's schema and description are the program's own."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from artifact_sync.ports import Publication
from artifact_sync.store import LocalStore, manifest
from tests.storage import publication, transfer

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = DOCS / "manifest.schema.json"


def test_the_schema_is_the_programs_own():
    """After a change of it: json.dumps(artifact_sync.store.manifest.json_schema(), indent=2) into docs/manifest.schema.json."""
    made = json.loads(json.dumps(manifest.json_schema()))
    assert json.loads(SCHEMA.read_text()) == made
    assert made["properties"]["version"] == {"type": "integer", "default": 1}


def names(kind: type) -> set[str]:
    """Fields of a struct, and of those inside it that the documentation describes one by one."""
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("kind", [manifest.Manifest, manifest.FileEntry, manifest.JobEntry, manifest.ArchiveEntry])
def test_every_field_is_described(kind):
    """No field without a word on what it means."""
    text = (DOCS / "manifest.md").read_text()
    described = {part for word in re.findall(r"`([\w.\[\]*]+)`", text) for part in re.split(r"[.\[\]*]+", word)}
    assert names(kind) <= described


async def test_manifests_of_version_1_still_parse(tmp_path):
    """Without the fields that came since."""
    async with LocalStore.open(tmp_path) as store:
        wanted: Publication = await publication(store, {"job.log": b"x"})
        await store.publish(wanted)
    written = json.loads((tmp_path / "tree" / transfer().dest / ".artifact-sync.json").read_text())
    for later in ("unpacked", "provenance"):
        del written[later]
    for file in written["files"]:
        del file["executable"]
    parsed = manifest.parse(json.dumps(written).encode(), where="")
    assert (parsed.version, parsed.unpacked, dict(parsed.provenance)) == (1, (), {})
