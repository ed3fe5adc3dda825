"""The Jobs and Job artifacts API for who acts on single jobs, as ports.Operator asks for it.

Calls, attributes and answers: https://docs.gitlab.com/api/jobs/ and https://docs.gitlab.com/api/job_artifacts/
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import TypeVar

from artifact_sync.core.job_detail import AllowedAgents, JobDetail, TriggerDetail
from artifact_sync.core.model import TreeEntry
from artifact_sync.gitlab.cursors import SIZES, place, scoped
from artifact_sync.gitlab.decoding import ObjectDecoder, PageDecoder
from artifact_sync.gitlab.lists import Lists
from artifact_sync.gitlab.requests import Credential, Requester, asked_for
from artifact_sync.gitlab.triggers import TriggerJobs
from artifact_sync.gitlab.writes import Writes
from artifact_sync.ports import Page, Priority

__all__ = ["Operator"]

T = TypeVar("T")

_JOB, _JOBS = ObjectDecoder(JobDetail), PageDecoder(JobDetail)
_AGENTS, _TRIGGERS, _TREE = ObjectDecoder(AllowedAgents), PageDecoder(TriggerDetail), PageDecoder(TreeEntry)
#: The one order that jobs have a keyset for (app/models/ci/build.rb, supported_keyset_orderings).
_NEWEST_FIRST = {"pagination": "keyset", "order_by": "id", "sort": "desc"}


class Operator:
    """Part of a Client, and no longer usable than that; the contract of every method is in ports.Operator."""

    def __init__(
        self, *, requester: Requester, credential: Credential, lists: Lists, triggers: TriggerJobs, writes: Writes
    ) -> None:
        self._requester = requester
        self._credential = credential
        self._lists = lists
        self._triggers = triggers
        self._writes = writes

    def jobs(self, project_id: int, *, statuses: Collection[str] = ()) -> AsyncIterator[Page[JobDetail]]:
        """https://docs.gitlab.com/api/jobs/#list-all-jobs-for-a-project."""
        first = scoped(f"projects/{project_id}/jobs", _NEWEST_FIRST, statuses)
        return self._lists.pages(first, _JOBS, priority=Priority.POLL)

    def pipeline_jobs(
        self, project_id: int, pipeline_id: int, *, statuses: Collection[str] = (), include_retried: bool = False
    ) -> AsyncIterator[Page[JobDetail]]:
        """https://docs.gitlab.com/api/jobs/#list-all-jobs-by-pipeline."""
        retried = {"include_retried": "true"} if include_retried else {}
        first = scoped(f"projects/{project_id}/pipelines/{pipeline_id}/jobs", retried, statuses)
        return self._lists.pages(first, _JOBS, priority=Priority.POLL)

    def trigger_jobs(
        self, project_id: int, pipeline_id: int, *, statuses: Collection[str] = ()
    ) -> AsyncIterator[Page[TriggerDetail]]:
        """https://docs.gitlab.com/api/jobs/#list-all-trigger-jobs-by-pipeline."""
        return self._triggers.pages(project_id, pipeline_id, _TRIGGERS, statuses=statuses)

    async def job(self, project_id: int, job_id: int) -> JobDetail:
        """https://docs.gitlab.com/api/jobs/#retrieve-a-job-by-job-id."""
        return await self._one(_job(project_id, job_id), _JOB)

    async def own_job(self) -> JobDetail:
        """https://docs.gitlab.com/api/jobs/#retrieve-a-job-by-job-token."""
        return await self._one("job", _JOB)

    async def allowed_agents(self) -> AllowedAgents:
        """https://docs.gitlab.com/api/jobs/#retrieve-gitlab-agent-for-kubernetes-by-ci_job_token."""
        return await self._one("job/allowed_agents", _AGENTS)

    async def cancel(self, project_id: int, job_id: int, *, force: bool = False) -> JobDetail:
        """https://docs.gitlab.com/api/jobs/#cancel-a-job."""
        return await self._act(project_id, job_id, "cancel", {"force": True} if force else {})

    async def retry(self, project_id: int, job_id: int, *, inputs: Mapping[str, str] | None = None) -> JobDetail:
        """https://docs.gitlab.com/api/jobs/#retry-a-job."""
        return await self._act(project_id, job_id, "retry", _inputs(inputs))

    async def play(
        self,
        project_id: int,
        job_id: int,
        *,
        variables: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> JobDetail:
        """https://docs.gitlab.com/api/jobs/#run-a-job."""
        given = [{"key": key, "value": value} for key, value in (variables or {}).items()]
        content = {"job_variables_attributes": given} if given else {}
        return await self._act(project_id, job_id, "play", content | _inputs(inputs))

    async def erase(self, project_id: int, job_id: int) -> JobDetail:
        """https://docs.gitlab.com/api/jobs/#erase-a-job."""
        return await self._act(project_id, job_id, "erase")

    async def delete_project_artifacts(self, project_id: int) -> None:
        """https://docs.gitlab.com/api/job_artifacts/#delete-all-job-artifacts-in-a-project."""
        await self._writes.delete(f"projects/{project_id}/artifacts")

    def tree(
        self, project_id: int, job_id: int, *, path: str = "", recursive: bool = False
    ) -> AsyncIterator[Page[TreeEntry]]:
        """https://docs.gitlab.com/api/job_artifacts/#list-all-files-in-the-artifacts-archive."""
        query = ({"path": path} if path else {}) | ({"recursive": "true"} if recursive else {})
        first = place(f"{_job(project_id, job_id)}/artifacts/tree", {**query, "per_page": SIZES[0]})
        return self._lists.pages(first, _TREE, priority=Priority.DOWNLOAD)

    async def _one(self, path: str, decoder: ObjectDecoder[T]) -> T:
        answer = await self._requester.ask(path, self._credential, priority=Priority.POLL)
        return decoder.decode(answer.body, asked=asked_for("GET", path))

    async def _act(
        self, project_id: int, job_id: int, verb: str, content: Mapping[str, object] | None = None
    ) -> JobDetail:
        path = f"{_job(project_id, job_id)}/{verb}"
        return _JOB.decode(await self._writes.post(path, content), asked=asked_for("POST", path))


def _job(project_id: int, job_id: int) -> str:
    """By numbers: a write to the path of a moved project is 405 (lib/api/helpers.rb, ``find_project!``)."""
    return f"projects/{project_id}/jobs/{job_id}"


def _inputs(inputs: Mapping[str, str] | None) -> dict[str, object]:
    return {"job_inputs": dict(inputs)} if inputs else {}
