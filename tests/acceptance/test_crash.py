"""SIGKILL at random moments of a sync, again and again: what was published is whole, and the last pass completes."""

import random
import time
from pathlib import Path

import pytest

from tests.acceptance.harness import (
    Simulated,
    archives,
    artifact_sync,
    checksums_hold,
    configuration,
    simulated_gitlab,
    started,
    strays,
)


def complete(gitlab: Simulated, folder: Path) -> None:
    """A last pass, and then everything is there, byte-identical, with nothing stray."""
    last = artifact_sync("sync", "--strict", cwd=folder, timeout=200)
    assert (last.code, last.err) == (0, ""), last
    expected = {int(job): entry["sha256"] for job, entry in gitlab.ask("expected").items()}
    assert archives(folder / "mirror") == expected
    assert checksums_hold(folder / "mirror" / "tree") == len(expected)
    assert strays(folder / "mirror") == []


def killed(gitlab: Simulated, folder: Path, *, times: int, seed: int) -> int:
    """Kill that many syncs at random moments after their start; in how many something was published by then."""
    luck, busy = random.Random(seed), 0
    for _ in range(times):
        with started("sync", cwd=folder) as process:
            # From the imports of the interpreter to the middle of the downloads.
            time.sleep(luck.uniform(0.3, 1.6))
            process.kill()
            process.wait()
        there = archives(folder / "mirror") if (folder / "mirror").exists() else {}
        expected = gitlab.ask("expected")
        assert all(expected[str(job)]["sha256"] == digest for job, digest in there.items())
        busy += bool(there) and len(there) < len(expected)
    return busy


@pytest.mark.timeout(180)
def test_four_kills(tmp_path):
    """Four kills of a sync of 60 artifacts: nothing half published, then complete."""
    with simulated_gitlab("jobs:60:100000") as gitlab:
        configuration(tmp_path, gitlab.url)
        killed(gitlab, tmp_path, times=4, seed=4)
        complete(gitlab, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_twenty_kills(tmp_path):
    """Twenty kills of a sync of 200 artifacts, some of them in the middle of its work: nothing half published, then complete."""
    with simulated_gitlab("jobs:200:400000") as gitlab:
        configuration(tmp_path, gitlab.url)
        assert killed(gitlab, tmp_path, times=20, seed=20) > 0
        complete(gitlab, tmp_path)
