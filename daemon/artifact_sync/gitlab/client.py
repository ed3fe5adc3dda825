"""GitLab's API, as ports.Remote asks for it. Endpoints: https://docs.gitlab.com/api/rest/ and the pages named below."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from artifact_sync.core.model import Job, Pipeline, Project, TreeEntry, TriggerJob
from artifact_sync.core.ways import Known
from artifact_sync.errors import NotFound, Refused, RemoteError
from artifact_sync.gitlab.address import Address
from artifact_sync.gitlab.budget import Budget
from artifact_sync.gitlab.clock import ServerClock
from artifact_sync.gitlab.cursors import SIZES, place
from artifact_sync.gitlab.decoding import ObjectDecoder, PageDecoder, TokenAnswer, VersionAnswer
from artifact_sync.gitlab.downloads import Downloads
from artifact_sync.gitlab.lists import Lists
from artifact_sync.gitlab.operator import Operator
from artifact_sync.gitlab.options import ClientOptions
from artifact_sync.gitlab.ranges import Stretch, Wanted
from artifact_sync.gitlab.redirects import RedirectPolicy
from artifact_sync.gitlab.requests import Credential, Requester, asked_for
from artifact_sync.gitlab.tokens import TokenKind
from artifact_sync.gitlab.transport import Transport
from artifact_sync.gitlab.triggers import TriggerJobs
from artifact_sync.gitlab.writes import Writes
from artifact_sync.ports import Body, Page, Piece, Pin, Priority, ServerVersion, Source, TokenInfo
from artifact_sync.ports.traffic import TrafficFigures

__all__ = ["Client"]

T = TypeVar("T")

_KEYSET = {"pagination": "keyset", "order_by": "id"}
#: Jobs have a keyset for this order alone (app/models/ci/build.rb, supported_keyset_orderings).
_NEWEST_FIRST = _KEYSET | {"sort": "desc"}
_OLDEST_FIRST = _KEYSET | {"sort": "asc"}

_PROJECT, _PROJECTS = ObjectDecoder(Project), PageDecoder(Project)
_JOB, _JOBS = ObjectDecoder(Job), PageDecoder(Job)
_PIPELINES = PageDecoder(Pipeline)
_TRIGGER_JOBS = PageDecoder(TriggerJob)
_TREE = PageDecoder(TreeEntry)
#: The first version that lists the files of an archive.
_TREE_SINCE = (18, 8)
_VERSION, _TOKEN = ObjectDecoder(VersionAnswer), ObjectDecoder(TokenAnswer)


class Client:
    """One GitLab. Use as an async context manager; the contract of every method is in ports.Remote."""

    def __init__(self, options: ClientOptions, *, clock: ServerClock) -> None:
        """Raises ConfigError for a base_url that is none."""
        address = Address.parse(options.base_url)
        redirects = RedirectPolicy(base=address, hosts=options.redirect_hosts)
        self._clock = clock
        self._credential = Credential(options.token, clock)
        keeping = Credential(options.keep_token, clock) if options.keep_token else self._credential
        #: By what they are for.
        self._credentials = {"read": self._credential} | ({"keep": keeping} if options.keep_token else {})
        self._budget = Budget(
            clock, per_minute=options.per_minute, keep_share=options.keep_share, concurrency=options.concurrency
        )
        self._transport = Transport(options, clock, redirects)
        self._requester = Requester(self._transport, self._budget, address, clock, attempts=options.attempts)
        self._lists = Lists(self._requester, self._credential)
        self._triggers = TriggerJobs(self._lists)
        self._writes = Writes(self._requester, keeping)
        self._tree: bool | None = None
        self._downloads = Downloads(self._requester, self._credential, redirects)
        #: For who acts on single jobs, by the same budget and with the same credentials; see ports.Operator.
        self.operator = Operator(
            requester=self._requester,
            credential=self._credential,
            lists=self._lists,
            triggers=self._triggers,
            writes=self._writes,
        )

    def renew(self, options: ClientOptions) -> None:
        """Take over tokens and the budget of these options; the rest stays as it is. What is under way goes on."""
        self._credential.read_from(options.token)
        keeping = self._credential
        if options.keep_token is not None:
            keeping = self._credentials.get("keep") or Credential(options.keep_token, self._clock)
            keeping.read_from(options.keep_token)
        self._writes.credential = keeping
        self._credentials = {"read": self._credential} | ({} if keeping is self._credential else {"keep": keeping})
        self._budget.resize(
            per_minute=options.per_minute, keep_share=options.keep_share, concurrency=options.concurrency
        )

    async def __aenter__(self) -> Self:
        """Raises ConfigError for a CA file that cannot be used."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._transport.__aexit__(kind, error, trace)

    @property
    def requests(self) -> Mapping[Priority, int]:
        """How many requests to GitLab were granted so far, by purpose."""
        return _counted(self._budget.granted)

    @property
    def unchanged(self) -> Mapping[Priority, int]:
        """How many of them were answered with 304."""
        return _counted(self._requester.unchanged)

    @property
    def throttled(self) -> Mapping[Priority, int]:
        """How many of them GitLab answered with 429."""
        return _counted(self._requester.throttled)

    def traffic(self) -> TrafficFigures:
        """See ports.Traffic."""
        tally, budget = self._requester.tally, self._budget
        return TrafficFigures(
            answers=dict(tally.answers),
            received=tally.received,
            per_minute=budget.per_minute,
            factor=budget.factor,
            remaining=budget.remaining,
            waiting=budget.waiting,
            pause=budget.paused,
            quota_limit=tally.quota.limit,
            quota_remaining=tally.quota.remaining,
            quota_reset=tally.quota.reset,
            refused={purpose: credential.is_refused for purpose, credential in self._credentials.items()},
        )

    async def tokens(self) -> Mapping[str, TokenInfo]:
        """See ports.Traffic."""
        return {purpose: await self._told_of(credential) for purpose, credential in self._credentials.items()}

    async def version(self) -> ServerVersion:
        """What answers, since 8.13 (https://docs.gitlab.com/api/version/)."""
        found = await self._one("version", _VERSION, priority=Priority.POLL)
        return ServerVersion(version=found.version, revision=found.revision)

    async def token(self) -> TokenInfo:
        """What GitLab tells of a personal access token (https://docs.gitlab.com/api/personal_access_tokens/#self-inform)."""
        return await self._told_of(self._credential)

    async def _told_of(self, credential: Credential) -> TokenInfo:
        kind = credential.token().kind
        if kind in {TokenKind.NONE, TokenKind.JOB}:
            return TokenInfo()
        path = "personal_access_tokens/self"
        try:
            # OAuth tokens are refused here, and good elsewhere.
            personal = kind is TokenKind.PRIVATE
            answer = await self._requester.ask(path, credential, priority=Priority.POLL, verdict=personal)
        except (NotFound, Refused):
            return TokenInfo()
        return _TOKEN.decode(answer.body, asked=asked_for("GET", path)).info()

    async def project(self, path_or_id: str | int) -> Project:
        """One project (https://docs.gitlab.com/api/projects/#retrieve-a-project)."""
        return await self._one(f"projects/{_identifier(path_or_id)}", _PROJECT, priority=Priority.POLL)

    def group_projects(self, group: str | int) -> AsyncIterator[Page[Project]]:
        """Without ``archived``, archived ones come too (https://docs.gitlab.com/api/groups/#list-projects)."""
        query = _OLDEST_FIRST | {"include_subgroups": "true", "with_shared": "false"}
        return self._list(f"groups/{_identifier(group)}/projects", query, _PROJECTS, priority=Priority.POLL)

    def projects(self) -> AsyncIterator[Page[Project]]:
        """All that are seen (https://docs.gitlab.com/api/projects/#list-all-projects)."""
        return self._list("projects", _OLDEST_FIRST, _PROJECTS, priority=Priority.POLL)

    def project_jobs(
        self, project_id: int, *, resume: str | None = None, priority: Priority = Priority.POLL
    ) -> AsyncIterator[Page[Job]]:
        """Newest first (https://docs.gitlab.com/api/jobs/#list-all-jobs-for-a-project)."""
        if resume is not None:
            return self._lists.pages(resume, _JOBS, priority=priority)
        return self._list(f"projects/{project_id}/jobs", _NEWEST_FIRST, _JOBS, priority=priority)

    def pipelines(
        self,
        project_id: int,
        *,
        updated_after: datetime | None = None,
        source: str | None = None,
        priority: Priority = Priority.POLL,
    ) -> AsyncIterator[Page[Pipeline]]:
        """Newest first (https://docs.gitlab.com/api/pipelines/#list-project-pipelines).

        Ordered by id, not by ``updated_at``: what moves while pages are read could then take another's place on a page
        that was read already, and that one would be missed.
        """
        query = dict(_NEWEST_FIRST)
        if updated_after is not None:
            query["updated_after"] = updated_after.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if source is not None:
            query["source"] = source
        return self._list(f"projects/{project_id}/pipelines", query, _PIPELINES, priority=priority)

    def pipeline_jobs(
        self, project_id: int, pipeline_id: int, *, include_retried: bool = False, priority: Priority = Priority.POLL
    ) -> AsyncIterator[Page[Job]]:
        """Paged by number whatever is asked for (https://docs.gitlab.com/api/jobs/#list-all-jobs-for-a-pipeline)."""
        query = {"pagination": "keyset"} | ({"include_retried": "true"} if include_retried else {})
        return self._list(f"projects/{project_id}/pipelines/{pipeline_id}/jobs", query, _JOBS, priority=priority)

    def trigger_jobs(
        self, project_id: int, pipeline_id: int, *, priority: Priority = Priority.POLL
    ) -> AsyncIterator[Page[TriggerJob]]:
        """Since 19.2; ``bridges`` before that (https://docs.gitlab.com/api/jobs/#list-all-trigger-jobs-for-a-pipeline)."""
        return self._triggers.pages(project_id, pipeline_id, _TRIGGER_JOBS, priority=priority)

    async def job(self, project_id: int, job_id: int, *, priority: Priority = Priority.POLL) -> Job:
        """One job (https://docs.gitlab.com/api/jobs/#retrieve-a-job)."""
        return await self._one(f"projects/{project_id}/jobs/{job_id}", _JOB, priority=priority)

    async def keep(self, project_id: int, job_id: int) -> Job:
        """Answered with the job (https://docs.gitlab.com/api/job_artifacts/#keep-job-artifacts, lib/api/ci/job_artifacts.rb)."""
        path = f"projects/{project_id}/jobs/{job_id}/artifacts/keep"
        return _JOB.decode(await self._writes.post(path, priority=Priority.KEEP), asked=asked_for("POST", path))

    async def delete_artifacts(self, project_id: int, job_id: int) -> None:
        """Everything but the log (https://docs.gitlab.com/api/job_artifacts/#delete-job-artifacts)."""
        await self._writes.delete(f"projects/{project_id}/jobs/{job_id}/artifacts")

    def open(
        self, source: Source, *, offset: int = 0, etag: str | None = None, total: int | None = None
    ) -> AbstractAsyncContextManager[Body]:
        """One item (https://docs.gitlab.com/api/job_artifacts/#download-job-artifacts-by-job-id)."""
        return self._downloads.open(source, Wanted.of(offset, etag, total))

    @property
    def known(self) -> Known:
        """For as long as this client lives."""
        return Known(ranges=self._downloads.ranges, tree=self._tree)

    async def tree(self, project_id: int, job_id: int) -> AsyncIterator[Page[TreeEntry]]:
        """Since 18.8 (https://docs.gitlab.com/api/job_artifacts/#list-all-files-in-the-artifacts-archive)."""
        path = f"projects/{project_id}/jobs/{job_id}/artifacts/tree"
        try:
            async for page in self._list(path, {"recursive": "true"}, _TREE, priority=Priority.DOWNLOAD):
                self._tree = True
                yield page
        except (NotFound, Refused):
            # What an older server takes for a file called tree, which is rarely there.
            if self._tree is None and not await self._lists_files():
                self._tree = False
            raise

    async def _lists_files(self) -> bool:
        """Whether this version has the list. Where it is kept secret, the answer to the list itself counts."""
        try:
            answer = await self._requester.ask("version", self._credential, priority=Priority.DOWNLOAD, verdict=False)
            version = _VERSION.decode(answer.body, asked=asked_for("GET", "version")).version
        except RemoteError:
            return False
        numbers = version.split(".")[:2]
        return all(map(str.isdigit, numbers)) and tuple(map(int, numbers)) >= _TREE_SINCE

    def open_range(
        self,
        source: Source,
        *,
        start: int,
        stop: int | None = None,
        pin: Pin | None = None,
        further: bool = False,
    ) -> AbstractAsyncContextManager[Piece | None]:
        """Of an archive (RFC 9110 section 14.2); other items have no ranges."""
        return self._downloads.open_range(source, Stretch(start=start, stop=stop, pin=pin), further=further)

    async def _one(self, path: str, decoder: ObjectDecoder[T], *, priority: Priority) -> T:
        answer = await self._requester.ask(path, self._credential, priority=priority)
        return decoder.decode(answer.body, asked=asked_for("GET", path))

    def _list(
        self, path: str, query: Mapping[str, str], decoder: PageDecoder[T], *, priority: Priority
    ) -> AsyncIterator[Page[T]]:
        return self._lists.pages(place(path, {**query, "per_page": SIZES[0]}), decoder, priority=priority)


def _counted(counts: Mapping[Priority, int]) -> Mapping[Priority, int]:
    return {priority: counts.get(priority, 0) for priority in Priority}


def _identifier(path_or_id: str | int) -> str:
    """A project or group in a path: its number, or its full path with the slashes encoded."""
    return str(path_or_id) if isinstance(path_or_id, int) else quote(path_or_id.strip("/"), safe="")
