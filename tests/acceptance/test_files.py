"""Single files of an archive, as a person asks for them and sees what became of that."""

import json

from tests.acceptance.living import HOUR, place

RULE = 'fetch: {archive: false, files: ["dist/**", "!dist/l*", "*.whl", "sbom.json?"]}'


async def test_files_by_pattern_from_the_configuration_to_the_mirror(tmp_path):
    """plan names what is wanted, sync brings it, explain tells the way and what was not there."""
    async with place(tmp_path, rule=RULE) as made:
        (job,) = made.build("build", ago=HOUR)
        planned = json.loads((await made.run("plan", "--json")).out.splitlines()[0])
        assert (await made.run("sync", "--strict")).code == 0
        again = json.loads((await made.run("plan", "--json")).out.splitlines()[-1])
        words = await made.run("explain", "acme/app", str(job.id))
        facts = json.loads((await made.run("explain", "acme/app", str(job.id), "--json")).out)

    folder = tmp_path / "mirror" / "tree" / "acme" / "app" / "main" / "build" / str(job.id)
    assert [path.name for path in (folder / "files" / "dist").iterdir()] == ["app"]
    assert planned["items"] == ["files:dist/** !dist/l*", "files:*.whl !dist/l*", "files/sbom.json"]
    assert again["fetch"] == 0
    assert (words.code, words.err) == (0, "")
    assert "files:  the archive has none for *.whl, sbom.json" in words.out
    assert "files:  whole archive (an archive of" in words.out
    assert facts["files"][0]["ways"][0]["way"] == "whole archive"
    assert list(facts["files_not_there"].values()) == [["*.whl", "sbom.json"]]
