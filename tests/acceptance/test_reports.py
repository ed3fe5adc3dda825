"""Reports, from the configuration to the mirror."""

import gzip

import pytest

from tests.acceptance.harness import archives, artifact_sync, checksums_hold, configuration, simulated_gitlab

RULE = "    fetch: {reports: [junit]}\n    publish: {path: 'jobs/{job_id}'}\n"


@pytest.mark.parametrize("given", [True, False], ids=["new server", "old server"])
def test_reports_from_the_configuration_to_the_mirror(tmp_path, given):
    """A server that gives them out has them mirrored; one that does not has the archives mirrored, and is named for it."""
    with simulated_gitlab("reports:3", *(["--reports"] if given else [])) as gitlab:
        config = configuration(tmp_path, gitlab.url)
        text = config.read_text().replace(
            "- {name: all, projects: [acme/app]}\n", f"- name: all\n    projects: [acme/app]\n{RULE}"
        )
        config.write_text(text)
        done = artifact_sync("sync", "--strict", cwd=tmp_path)
        status = artifact_sync("status", cwd=tmp_path)
        plan = artifact_sync("plan", "--json", cwd=tmp_path)
        told = artifact_sync("explain", "acme/app", next(iter(gitlab.ask("expected"))), cwd=tmp_path)
        assert archives(tmp_path / "mirror") == {int(job): one["sha256"] for job, one in gitlab.ask("expected").items()}

    tree = tmp_path / "mirror" / "tree"
    reports = {path.parent.parent.name: gzip.decompress(path.read_bytes()) for path in tree.rglob("reports/junit")}
    assert done.code == 0, done.err
    assert len(reports) == (3 if given else 0)
    assert all(f'job="{job}"'.encode() in text for job, text in reports.items())
    assert checksums_hold(tree) == 3
    assert "outcomes:  3 published\n" in status.out
    assert '"fetch":0' in plan.out.replace(" ", "")
    assert ("GitLab did not give out the report junit" in told.out) is not given
