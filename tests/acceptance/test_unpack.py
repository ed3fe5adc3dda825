"""Unpacked archives, as a person asks for them and sees what became of that."""

import json
import time
from pathlib import Path

import pytest

from artifact_sync.simulator import JobSpec, raw
from tests.acceptance.harness import artifact_sync, checksums_hold, configuration, simulated_gitlab, started, strays
from tests.acceptance.living import HOUR, place
from tests.hostile_archives import HOSTILE

RULE = "publish: {extract: only}"


async def test_only_the_files_from_the_configuration_to_the_mirror(tmp_path):
    """One sync publishes what is in the archives; explain says what was left out of one, and why another stays a file."""
    async with place(tmp_path, rule=RULE) as made:
        (good,) = made.build("build", ago=HOUR)
        app = good.project
        spec = JobSpec("evil", archive=raw(HOSTILE["parent"].data))
        evil = made.world.finish(made.world.add_pipeline(app, "main", [spec]).jobs[0])
        ran = await made.run("sync", "--strict")
        again = json.loads((await made.run("plan", "--json")).out.splitlines()[-1])
        words = await made.run("explain", "acme/app", str(good.id))
        reason = await made.run("explain", "acme/app", str(evil.id))

    assert (ran.code, again["fetch"]) == (0, 0)
    assert f"the archive of job #{evil.id} is not unpacked: member '../evil' leads out" in ran.err
    jobs = tmp_path / "mirror" / "tree" / "acme" / "app" / "main"
    folder = jobs / "build" / str(good.id)
    app_file = folder / "content" / "dist" / "app"
    assert not (folder / "artifacts.zip").exists()
    assert app_file.stat().st_mode & 0o100
    assert checksums_hold(tmp_path / "mirror" / "tree") == 2
    assert "published" in words.out
    assert "4 files" in words.out
    assert "content: artifacts.zip has 1 symbolic link, not made" in words.out
    assert (jobs / "evil" / str(evil.id) / "artifacts.zip").read_bytes() == HOSTILE["parent"].data
    assert "content: artifacts.zip is not unpacked: member '../evil' leads out" in reason.out
    assert strays(tmp_path / "mirror") == []


def content(mirror: Path) -> list[Path]:
    """Files of unpacked archives that are published."""
    return [path for path in (mirror / "tree").rglob("*") if path.is_file() and "content" in path.parts]


def moment(mirror: Path, files: int) -> bool:
    """Whether so many files are unpacked by now, or all is published."""
    return bool(content(mirror)) or len(list((mirror / ".staging").glob("*-content/**/*"))) >= files


@pytest.mark.parametrize("files", [1, 1500])
def test_a_kill_while_it_unpacks_leaves_nothing_half_published(tmp_path, files):
    """SIGKILL at the first file, or among many: nothing of it is visible, and the next sync publishes all of it."""
    mirror = tmp_path / "mirror"
    with simulated_gitlab("files:2000:500") as gitlab:
        path = configuration(tmp_path, gitlab.url)
        path.write_text(path.read_text().replace("projects: [acme/app]}", f"projects: [acme/app], {RULE}}}"))
        with started("sync", cwd=tmp_path) as process:
            while not moment(mirror, files):
                assert process.poll() is None
                time.sleep(0.005)
            process.kill()
            process.wait()
        assert len(content(mirror)) in {0, 2000}
        assert checksums_hold(mirror / "tree") in {0, 1}
        assert artifact_sync("sync", "--strict", cwd=tmp_path).code == 0
    assert len(content(mirror)) == 2000
    assert checksums_hold(mirror / "tree") == 1
    assert strays(mirror) == []
