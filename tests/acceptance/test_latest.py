"""A link to the newest build, and who may read it, as a person asks for them."""

import json
import os
import stat

from tests.acceptance.harness import checksums_hold
from tests.acceptance.living import HOUR, place

RULE = 'publish: {latest: "{project}/{ref}/{job}/latest"}'
LINK = "acme/app/main/build/latest"


async def test_a_link_from_the_configuration_to_the_mirror(tmp_path):
    """A rule gets one later: the next sync makes it without a download, and plan and explain say what it means."""
    async with place(tmp_path) as made:
        (newest,) = made.build("build", ago=HOUR)
        (older,) = made.build("build", ago=2 * HOUR)
        assert (await made.run("sync", "--strict")).code == 0
        before = len(made.asked("GET", "/artifacts"))
        path = tmp_path / "artifact-sync.yaml"
        path.write_text(path.read_text().replace("projects: [acme/app]}", f"projects: [acme/app], {RULE}}}"))

        missing = await made.run("explain", "acme/app", str(newest.id))
        ran = await made.run("sync", "--strict")
        here = await made.run("explain", "acme/app", str(newest.id))
        other = json.loads((await made.run("explain", "--json", "acme/app", str(older.id))).out)
        (coming,) = made.build("build")
        planned = await made.run("plan")
        planned_facts = json.loads((await made.run("plan", "--json")).out.splitlines()[0])

    assert ran.code == 0
    assert len(made.asked("GET", "/artifacts")) == before
    folder = f"acme/app/main/build/{newest.id}"
    assert (tmp_path / "mirror/tree" / LINK).readlink().name == str(newest.id)
    assert f"  latest: {LINK} is not there yet" in missing.out
    assert f"  latest: {LINK} points here" in here.out
    assert other["latest"] == [{"link": LINK, "points_at": folder, "dest": f"acme/app/main/build/{older.id}"}]
    assert f"#{coming.id}" in planned.out
    assert f"latest {LINK} unless that is newer" in planned.out
    assert planned_facts["latest"] == [LINK]
    assert checksums_hold(tmp_path / "mirror/tree") == 2


async def test_permissions_are_checked_before_they_are_needed(tmp_path):
    """check says what readers get, or what to do about a group that is not there; then the sync does not begin either."""
    async with place(tmp_path) as made:
        made.build("build")
        path = tmp_path / "artifact-sync.yaml"
        text = path.read_text()
        path.write_text(text.replace("store: {", f'store: {{mode: "0640", group: {os.getegid()}, '))
        good = await made.run("check", "--offline")
        ran = await made.run("sync")
        path.write_text(text.replace("store: {", "store: {group: no-such-group-here, "))
        bad = await made.run("check", "--offline", "--json")
        refused = await made.run("sync")

    assert ran.code == 0
    assert f"new publications get group {os.getegid()}, files 0640, folders 0750" in good.out
    (archive,) = (tmp_path / "mirror/tree").rglob("artifacts.zip")
    assert stat.S_IMODE(archive.stat().st_mode) == 0o640
    (finding,) = [found for found in json.loads(bad.out)["findings"] if found["subject"] == "permissions"]
    assert (finding["level"], finding["exit_code"]) == ("fail", 4)
    assert "no group 'no-such-group-here'" in finding["text"]
    assert refused.code == 4
    assert "groupadd" in refused.err
