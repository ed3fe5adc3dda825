"""`artifact-sync job`: single jobs in GitLab, looked at and acted on. See docs/jobs-api.md."""

from __future__ import annotations

import click

from artifact_sync.cli import job_files, job_reads, job_writes

__all__ = ["command"]


@click.group("job")
def command() -> None:
    """Look at single jobs in GitLab and act on them; the mirror is not involved.

    JOB is the address of a job's page, or its project and number. With a configuration, or with --url and $GITLAB_TOKEN.
    What changes something uses gitlab.keep_token where there is one, asks on a terminal, and needs --yes elsewhere.
    """


for _member in (
    *(job_reads.list_jobs, job_reads.bridges, job_reads.show),
    *(job_files.trace, job_files.download, job_files.file),
    *(job_writes.keep, job_writes.cancel, job_writes.retry, job_writes.play),
    *(job_writes.erase, job_writes.delete_artifacts, job_reads.whoami),
):
    command.add_command(_member)
