"""`downloads.bandwidth` in a configuration, from the file to the download."""

import json

from tests.acceptance.harness import artifact_sync, configuration, simulated_gitlab

#: The whole day, so that a test says the same at noon as at midnight.
DAY = """downloads:
  bandwidth:
    - {from: "00:00", to: "12:00", limit: 2GiB/s}
    - {from: "12:00", to: "00:00", limit: 2GiB/s}
log: {format: json}
"""


def test_a_timetable_is_in_effect_in_the_time_zone_of_the_machine(tmp_path):
    """A download asks it, and the log says which limit holds since when; `status` says which one holds now."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url, more=DAY)
        ran = artifact_sync("sync", "--verbose", cwd=tmp_path, env={"TZ": "JST-9"})
        status = artifact_sync("status", cwd=tmp_path, env={"TZ": "JST-9"})

    assert ran.code == status.code == 0
    lines = [json.loads(line) for line in ran.err.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["event"] == "bandwidth.changed"]
    assert told["bytes_per_second"] == 2 << 30
    assert told["at"].endswith(" JST")
    (limit,) = [line for line in status.out.splitlines() if line.startswith("bandwidth: ")]
    assert limit.startswith("bandwidth: 2.0 GiB/s at ")
    assert limit.endswith(" JST")


def test_without_one_nothing_is_said_of_it(tmp_path):
    """Neither in the log nor by `status`."""
    with simulated_gitlab("jobs:2") as gitlab:
        configuration(tmp_path, gitlab.url, more="log: {format: json}\n")
        ran = artifact_sync("sync", "--verbose", cwd=tmp_path)
        status = artifact_sync("status", cwd=tmp_path)

    assert ran.code == status.code == 0
    assert "transfers: " in status.out
    assert "bandwidth" not in ran.err + ran.out + status.out
