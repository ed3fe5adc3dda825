"""Downloads: redirects judged hop by hop, ranges accepted only where they continue exactly what is here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
from yarl import URL

from artifact_sync.errors import Refused, RemoteError, Transient
from artifact_sync.gitlab.answers import error_for
from artifact_sync.gitlab.ranges import Stretch, Wanted, continues, pin_of, strong_etag
from artifact_sync.gitlab.redirects import HOPS, STATUSES, Hop, RedirectPolicy, plain
from artifact_sync.gitlab.requests import Credential, Requester, asked_for, refuse_encoding
from artifact_sync.gitlab.targets import Targets
from artifact_sync.gitlab.tracing import answered, requesting
from artifact_sync.gitlab.traffic import Tally
from artifact_sync.gitlab.trouble import network
from artifact_sync.ports import Body, Latest, Piece, Pin, Priority, Source

__all__ = ["Download", "Downloads", "download_place"]

_CHUNK = 256 * 1024


def download_place(source: Source) -> str:
    """The path of an item relative to the API (https://docs.gitlab.com/api/job_artifacts/, .../api/jobs/).

    Raises ValueError for a pattern, which has none, and for what only a job's number opens.
    """
    if source.latest is not None:
        return _latest_place(source, source.latest)
    job = f"projects/{source.project_id}/jobs/{source.job_id}"
    match source.item.kind:
        case "archive":
            return f"{job}/artifacts"
        case "trace":
            return f"{job}/trace"
        case "report":
            # gitlab-org/gitlab!252518 (late 19.x); older servers ignore the parameter, and answer with the archive.
            return f"{job}/artifacts?file_type={quote(source.item.path or '', safe='')}"
        case "file":
            return f"{job}/artifacts/{quote(source.item.path or '', safe='/')}"
        case "files":
            raise ValueError(f"{source.item.path} is no single file")


def _latest_place(source: Source, latest: Latest) -> str:
    """The same for a job by its name (https://docs.gitlab.com/api/job_artifacts/): its archive, and single files of it.

    A ref's slashes stay as they are: the route takes them (lib/api/ci/job_artifacts.rb, ``ref_name: /.+/``), and some proxies
    in front of GitLab refuse encoded ones.
    """
    ref = f"projects/{source.project_id}/jobs/artifacts/{quote(latest.ref, safe='/')}"
    query = f"job={quote(latest.job, safe='')}" + ("&search_recent_successful_pipelines=true" if latest.recent else "")
    match source.item.kind:
        case "archive":
            return f"{ref}/download?{query}"
        case "file":
            return f"{ref}/raw/{quote(source.item.path or '', safe='/')}?{query}"
        case kind:
            raise ValueError(f"a job's {kind} is not to be had by its ref")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An accepted answer, its bytes still to come. See ports.Body."""

    response: aiohttp.ClientResponse
    asked: str
    offset: int
    total: int | None
    etag: str | None
    source: str
    content_type: str
    #: Told how many bytes came.
    came: Callable[[int], None] = field(default=lambda _: None, repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """See ports.Body.chunks. Of a broken answer, aiohttp drops what it had received but not handed out yet."""
        with network(self.asked):
            async for chunk in self.response.content.iter_chunked(_CHUNK):
                self.came(len(chunk))
                yield chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeDownload(Download):
    """An accepted answer that is a piece of something. See ports.Piece."""

    size: int
    pin: Pin | None = field(default=None)


class Downloads:
    """Opens downloads with one credential, which is shown to GitLab's own address alone."""

    def __init__(self, requester: Requester, credential: Credential, redirects: RedirectPolicy) -> None:
        self._requester = requester
        self._credential = credential
        self._redirects = redirects
        self._targets = Targets()
        #: Whether archives come in ranges; None: nobody has asked yet.
        self.ranges: bool | None = None

    @asynccontextmanager
    async def open(self, source: Source, wanted: Wanted | None) -> AsyncIterator[Body]:
        """See ports.Remote.open."""
        async with AsyncExitStack() as stack:
            attempts = self._requester.attempts
            while True:
                once = partial(self._opened, source, wanted, stack)
                if (download := await self._requester.persistently(once, attempts=attempts)) is not None:
                    break
                # Not the rest that was asked for: then everything, from the start.
                wanted = None
            yield replace(download, came=self._requester.tally.came)

    @asynccontextmanager
    async def open_range(self, source: Source, stretch: Stretch, *, further: bool) -> AsyncIterator[Piece | None]:
        """See ports.Remote.open_range."""
        async with AsyncExitStack() as stack:
            piece = await self._same_place(source, stretch, stack) if stretch.pin else None
            if piece is None:
                attempts = 1 if further else self._requester.attempts
                piece = await self._requester.persistently(
                    partial(self._piece, source, stretch, stack), attempts=attempts
                )
            yield None if piece is None else replace(piece, came=self._requester.tally.came)

    async def _same_place(self, source: Source, stretch: Stretch, stack: AsyncExitStack) -> RangeDownload | None:
        """The piece from where GitLab sent the download before: it costs GitLab no request. None: ask GitLab."""
        hop = self._targets.of(source)
        if hop is None:
            return None
        asked = asked_for("GET", download_place(source))
        with suppress(RemoteError):
            async with AsyncExitStack() as own:
                exchange = self._requester.transport.stream(
                    URL(hop.url, encoded=True), stretch.headers, trusted=False, asked=asked
                )
                with requesting("GET", hop.url, Priority.DOWNLOAD):
                    response = await own.enter_async_context(exchange)
                    answered(response.status)
                piece = _granted(response, hop, stretch, asked=asked)
                if piece is not None:
                    stack.push_async_exit(own.pop_all())
                    return piece
        # The signature is too old, most likely.
        self._targets.forget(source, hop)
        return None

    async def _piece(self, source: Source, stretch: Stretch, stack: AsyncExitStack) -> RangeDownload | None:
        async with AsyncExitStack() as own:
            response, hop, asked = await self._follow(source, stretch, own)
            piece = _granted(response, hop, stretch, asked=asked)
            if piece is not None:
                self.ranges = True
                stack.push_async_exit(own.pop_all())
            elif stretch.pin is None and response.status == HTTPStatus.OK:
                # Nothing but the range was asked for: whoever answers with everything ignores ranges.
                self.ranges = False
            return piece

    async def _opened(self, source: Source, wanted: Wanted | None, stack: AsyncExitStack) -> Download | None:
        async with AsyncExitStack() as own:
            response, hop, asked = await self._follow(source, wanted, own)
            download = _accepted(response, hop, wanted, source, asked=asked)
            if download is not None:
                stack.push_async_exit(own.pop_all())
            return download

    async def _follow(
        self, source: Source, wanted: Wanted | Stretch | None, stack: AsyncExitStack
    ) -> tuple[aiohttp.ClientResponse, Hop, str]:
        """The answer behind all redirects, and where it came from. GitLab is asked anew: signed URLs live for minutes."""
        place = download_place(source)
        asked = asked_for("GET", place)
        token = self._credential.token()
        hop = Hop(url=self._requester.address.api(place), trusted=True)
        expected = source.item.size if source.item.kind == "archive" and wanted is None else None
        for _ in range(HOPS + 1):
            async with AsyncExitStack() as own:
                headers = wanted.headers if wanted else {}
                if hop.trusted:
                    headers |= token.headers()
                # The budget is GitLab's; an object store has limits of its own, far above it.
                async with self._requester.budget.permit(Priority.DOWNLOAD) if hop.trusted else nullcontext():
                    streamed = self._requester.transport.stream(
                        URL(hop.url, encoded=True), headers, trusted=hop.trusted, asked=asked, expected=expected
                    )
                    tally = self._requester.tally if hop.trusted else Tally()
                    with tally.exchange(Priority.DOWNLOAD, asked, hop.url) as exchange:
                        response = await own.enter_async_context(streamed)
                        exchange.answered(response.status, response.headers)
                if response.status not in STATUSES:
                    if not _acceptable(response.status, wanted):
                        body = await self._requester.transport.first_words(response)
                        if hop.trusted:
                            raise self._requester.judged(
                                response.status,
                                response.headers,
                                body,
                                self._credential,
                                token,
                                asked=asked,
                                priority=Priority.DOWNLOAD,
                            )
                        raise _stranger(response.status, body, hop, asked=asked)
                    if hop.trusted:
                        self._requester.welcomed(response.headers, self._credential, token)
                    self._targets.learn(source, hop)
                    stack.push_async_exit(own.pop_all())
                    return response, hop, asked
                if hop.trusted:
                    self._requester.welcomed(response.headers, self._credential, token)
                hop = self._redirects.follow(hop, response.headers.get("Location"), asked=asked, status=response.status)
        raise Refused(asked, f"more than {HOPS} redirects", hint="Look at GitLab's object storage settings.")


def _acceptable(status: int, wanted: Wanted | Stretch | None) -> bool:
    """Whether the answer is for ``_accepted`` to look at: 416 and 206 only where a range was asked for."""
    if status == HTTPStatus.OK:
        return True
    return wanted is not None and status in {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}


def _accepted(
    response: aiohttp.ClientResponse, hop: Hop, wanted: Wanted | None, source: Source, *, asked: str
) -> Download | None:
    """The download; None for an answer to a range that does not continue what is here."""
    headers: Mapping[str, str] = response.headers
    refuse_encoding(headers, asked=asked)
    offset, total = 0, response.content_length
    if (
        total is None
        and source.item.kind != "archive"
        and "chunked" not in headers.get("Transfer-Encoding", "").lower()
    ):
        # An archive tells by its structure that it is whole. Anything else, ended by nothing but the end of the
        # connection (RFC 9112 section 6.3), would be taken for whole wherever it breaks.
        hint = "A proxy in between speaks HTTP/1.0, or drops Content-Length; it is tried again."
        raise Transient(asked, "an answer that does not say where it ends", status=response.status, hint=hint)
    if response.status != HTTPStatus.OK:
        if wanted is None or not continues(wanted, response.status, headers):
            return None
        offset, total = wanted.offset, wanted.total
    return Download(
        response=response,
        asked=asked,
        offset=offset,
        total=total,
        etag=strong_etag(headers.get("ETag")),
        source=plain(hop.url),
        content_type=headers.get("Content-Type", ""),
    )


def _granted(response: aiohttp.ClientResponse, hop: Hop, stretch: Stretch, *, asked: str) -> RangeDownload | None:
    """The piece; None for any other answer."""
    headers: Mapping[str, str] = response.headers
    refuse_encoding(headers, asked=asked)
    found = stretch.granted(response.status, headers)
    if found is None:
        return None
    start, stop, total = found
    return RangeDownload(
        response=response,
        asked=asked,
        offset=start,
        size=stop - start,
        total=total,
        etag=strong_etag(headers.get("ETag")),
        pin=pin_of(headers, total),
        source=plain(hop.url),
        content_type=headers.get("Content-Type", ""),
    )


def _stranger(status: int, body: bytes, hop: Hop, *, asked: str) -> RemoteError:
    """The error of an object store, whose 401 and 403 tell nothing about the token."""
    if HTTPStatus.OK < status < HTTPStatus.BAD_REQUEST:
        return Refused(asked, f"{plain(hop.url)} answered {status}", status=status, hint=_STORE)
    return error_for(asked, status, body, outside=True)


_STORE = "Look at GitLab's object storage settings."
