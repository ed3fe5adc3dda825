"""The verdict on a runner's statement is in the manifest, in the state, and in what `explain` says; it stops nothing."""

import hashlib
import json

import pytest

from artifact_sync.cli.file_words import provenance_words
from artifact_sync.core.provenance import Verdict
from artifact_sync.core.rules import Publish, Rule
from artifact_sync.core.unpacking import Unpack
from artifact_sync.simulator import JobSpec, World, serve, small
from tests.integration.engine.engine_harness import rig, rule

FILES = {"dist/app": b"program" * 100, "README": b"text"}


def statement(**changed: str) -> bytes:
    """The runner's word on FILES."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()} | changed
    subject = [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()]
    return json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": subject}).encode()


@pytest.mark.parametrize("unpack", list(Unpack))
@pytest.mark.parametrize(
    ("said", "verdict", "words"),
    [
        (statement(), Verdict.VERIFIED, "verified: 2 files as build-metadata.json says"),
        (statement(README="0" * 64), Verdict.DIFFERS, "DIFFERS from build-metadata.json in 1 of 2: README: its sha256"),
        (None, None, "has no word of the runner"),
    ],
)
async def test_the_verdict(tmp_path, unpack, said, verdict, words):
    """Also of an archive that is unpacked, and not published itself."""
    world = World()
    app = world.add_project("acme/app")
    files = FILES | ({"build-metadata.json": said} if said is not None else {})
    job = world.finish(world.add_pipeline(app, "main", [JobSpec("build", archive=small(1, files))]).jobs[0])
    only = Rule(name="r", projects=rule().projects, publish=Publish(unpack=unpack), keep=rule().keep)
    async with serve(world), rig(world, tmp_path, only) as daemon:
        assert (await daemon.sync()).complete
        queued = await daemon.transfer(job)
        archive = next(file for file in queued.files if file.name == "artifacts.zip")
        assert (archive.provenance.verdict if archive.provenance else None) == verdict
        (manifest,) = (tmp_path / "store" / "tree").rglob(".artifact-sync.json")
        recorded = json.loads(manifest.read_text())["provenance"]
        assert recorded.get("artifacts.zip", {}).get("verdict") == verdict
        assert [line for line in provenance_words([queued]) if words in line]
