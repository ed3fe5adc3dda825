"""GitLab, as somebody uses it who looks at single jobs and acts on them.

Every call of the Jobs API (https://docs.gitlab.com/api/jobs/) and of the Job artifacts API
(https://docs.gitlab.com/api/job_artifacts/) that the engine does not need; what it needs is in ``ports.Remote``. Together they
are all of the two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Protocol

from artifact_sync.core.job_detail import AllowedAgents, JobDetail, TriggerDetail
from artifact_sync.core.model import TreeEntry
from artifact_sync.ports.remote import Page

__all__ = ["Operator"]


class Operator(Protocol):
    """Jobs, one by one.

    Each call waits for the same request budget as ``ports.Remote``. What reads is tried again while the trouble looks passing;
    what writes uses the keep token where there is one, and is tried again only where GitLab surely has not done it (429, 503).
    Raises Transient, Throttled, CredentialRefused (401, or a scope that lacks: writes need ``api``), Denied (403), NotFound
    (404: not there, or not for this token's user), Refused (400, 405, 409 and every other answer).
    """

    def jobs(self, project_id: int, *, statuses: Collection[str] = ()) -> AsyncIterator[Page[JobDetail]]:
        """GET /projects/:id/jobs?scope[]=..., newest id first; superseded ones included, trigger jobs not.

        A status that this GitLab does not know makes the whole request a 400.
        """

    def pipeline_jobs(
        self, project_id: int, pipeline_id: int, *, statuses: Collection[str] = (), include_retried: bool = False
    ) -> AsyncIterator[Page[JobDetail]]:
        """GET /projects/:id/pipelines/:pipeline_id/jobs; of the pipeline itself, child pipelines have their own.

        Empty, and no 403, for who may see the pipeline and not its jobs. ``include_retried``: 13.9.
        """

    def trigger_jobs(
        self, project_id: int, pipeline_id: int, *, statuses: Collection[str] = ()
    ) -> AsyncIterator[Page[TriggerDetail]]:
        """GET /projects/:id/pipelines/:pipeline_id/trigger_jobs (19.2), or its older name ``bridges``."""

    async def job(self, project_id: int, job_id: int) -> JobDetail:
        """GET /projects/:id/jobs/:job_id. NotFound also for a trigger job; no job token opens it."""

    async def own_job(self) -> JobDetail:
        """GET /job: the job that the token was made for. NotFound with any token but a job's."""

    async def allowed_agents(self) -> AllowedAgents:
        """GET /job/allowed_agents. NotFound with any token but a job's."""

    async def cancel(self, project_id: int, job_id: int, *, force: bool = False) -> JobDetail:
        """POST /projects/:id/jobs/:job_id/cancel: 201 with the job, unchanged where it had ended already.

        A runner that lets ``after_script`` finish leaves it ``canceling``; ``force`` (17.11) ends such a job at once, and
        needs the Maintainer role (Denied).
        """

    async def retry(self, project_id: int, job_id: int, *, inputs: Mapping[str, str] | None = None) -> JobDetail:
        """POST /projects/:id/jobs/:job_id/retry: 201 with the new job, which has another id.

        Denied where it is not retryable: it has not ended, was skipped, was retried before or is archived. Trigger jobs: 17.0.
        ``inputs`` (``job_inputs``, 18.10) take the place of those it ran with; older servers ignore them without a word.
        """

    async def play(
        self,
        project_id: int,
        job_id: int,
        *,
        variables: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> JobDetail:
        """POST /projects/:id/jobs/:job_id/play: 200 with the job (8.11). Refused (400) for one that is not manual or delayed.

        ``variables`` (``job_variables_attributes``) need the right to set them; ``inputs`` as in ``retry``.
        """

    async def erase(self, project_id: int, job_id: int) -> JobDetail:
        """POST /projects/:id/jobs/:job_id/erase: 201 with the job; artifacts, reports and log are gone for good.

        Denied without the Maintainer role (but for a job of one's own on an unprotected ref), for one that has not ended, and
        for an archived one; Refused (409) while GitLab counts the project's artifacts.
        """

    async def delete_project_artifacts(self, project_id: int) -> None:
        """DELETE /projects/:id/artifacts: 202; they expire now, and are deleted by and by.

        Logs stay, and what "keep artifacts from most recent successful jobs" holds. Denied without the Maintainer role; Refused
        (409) while GitLab counts the project's artifacts.
        """

    def tree(
        self, project_id: int, job_id: int, *, path: str = "", recursive: bool = False
    ) -> AsyncIterator[Page[TreeEntry]]:
        """GET /projects/:id/jobs/:job_id/artifacts/tree (18.8): what is in the archive, below ``path``.

        NotFound: no archive, an expired one, no such path, or an older server.
        """
