"""Every way in which a server, a proxy or a network can be wrong: nothing wrong is published, each transfer ends as named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest

from artifact_sync.core.events import Received
from artifact_sync.errors import Outcome
from artifact_sync.ports import TransferState
from tests.integration.engine.engine_harness import until
from tests.integration.fetch.fault_bench import (
    OTHER,
    SECRET,
    SECRET_NOW,
    SUBJECTS,
    ZIP,
    listed,
    opened,
)
from tests.integration.fetch.fault_rows import BODIES, HTML, XML
from tests.integration.fetch.raw_server import Request, Reset, Script, Stay, Step, head, script, whole

PUBLISHED, RETRY, CORRUPT = Outcome.PUBLISHED, Outcome.RETRY_LATER, Outcome.CORRUPT
REFUSED, CREDENTIAL, GONE = Outcome.REFUSED, Outcome.CREDENTIAL, Outcome.GONE
ARCHIVE, FILE, TRACE = SUBJECTS["archive"], SUBJECTS["file"], SUBJECTS["trace"]
SIZE, AT = len(ZIP), 20_000
TAG = 'ETag: "v1"'
EARLIER = "2001-02-03T04:05:06Z"


@pytest.mark.parametrize(
    ("fault", "name"),
    [pytest.param(fault, name, id=f"{fault.name} - {name}") for fault in BODIES for name in fault.ends],
)
async def test_an_answer_ends_as_named(tmp_path, fault, name):
    """Met again and again it ends the transfer with its outcome and leaves nothing; a good answer later is published."""
    async with opened(tmp_path, SUBJECTS[name], silence=fault.silence, tls=fault.tls, **fault.policy) as bench:
        await bench.want(7, max_size=fault.max_size)
        bench.answer(script(fault.answer(bench.subject.body)))
        await bench.ends(fault.ends[name])

        assert bench.tells(SECRET) == bench.tells(SECRET_NOW) == []


def cut(body: bytes, *headers: str) -> Script:
    """A whole answer that breaks off at ``AT``, once its bytes had time to be read."""
    return script([head("200 OK", f"Content-Length: {len(body)}", *headers), body[:AT], 0.1])


def part(content_range: str | None, body: bytes, *headers: str, status: str = "206 Partial Content") -> Script:
    """An answer with this Content-Range."""
    lines = [f"Content-Range: {content_range}"] if content_range else []
    return script([whole(body, *lines, *headers, status=status)])


REST = f"bytes {AT}-{SIZE - 1}/{SIZE}"
MULTIPART = "Content-Type: multipart/byteranges; boundary=x"
PIECES = f"--x\r\nContent-Range: {REST}\r\n\r\n".encode() + ZIP[AT:] + b"\r\n--x--\r\n"
#: Answers to the request for the rest that are not exactly the rest of the same entity.
NOT_THE_REST: dict[str, Script] = {
    "an earlier start": part(f"bytes {AT - 1}-{SIZE - 1}/{SIZE}", ZIP[AT - 1 :], TAG),
    "a later start": part(f"bytes {AT + 1}-{SIZE - 1}/{SIZE}", ZIP[AT + 1 :], TAG),
    "from 0": part(f"bytes 0-{SIZE - 1}/{SIZE}", ZIP, TAG),
    "an earlier end": part(f"bytes {AT}-{SIZE - 2}/{SIZE}", ZIP[AT:-1], TAG),
    "a later end": part(f"bytes {AT}-{SIZE}/{SIZE + 1}", ZIP[AT:] + b"x", TAG),
    "another total": part(f"bytes {AT}-{SIZE - 1}/{SIZE + 1}", ZIP[AT:], TAG),
    "no total": part(f"bytes {AT}-{SIZE - 1}/*", ZIP[AT:], TAG),
    "another unit": part(f"lines {AT}-{SIZE - 1}/{SIZE}", ZIP[AT:], TAG),
    "a range that is none": part("bytes some", ZIP[AT:], TAG),
    "no Content-Range": part(None, ZIP[AT:], TAG),
    "multipart": part(None, PIECES, TAG, MULTIPART),
    "multipart with a Content-Range": part(REST, ZIP[AT:], TAG, MULTIPART),
    "a length that does not fit the range": part(f"bytes {AT}-{SIZE - 1}/{SIZE}", ZIP[AT:-5], TAG),
    "another ETag": part(REST, OTHER[AT:], 'ETag: "v2"'),
    "the ETag made weak": part(REST, ZIP[AT:], 'ETag: W/"v1"'),
    "no ETag": part(REST, OTHER[AT:]),
    "416, as long as what is here": part(f"bytes */{AT}", b"", TAG, status="416 Range Not Satisfiable"),
    "416, of the same size": part(f"bytes */{SIZE}", b"", TAG, status="416 Range Not Satisfiable"),
    "416, of another size": part("bytes */5", b"", TAG, status="416 Range Not Satisfiable"),
    "416, no range": part(None, b"", status="416 Range Not Satisfiable"),
}


@pytest.mark.parametrize("resumes", [3, 0], ids=["at once", "in the next attempt"])
@pytest.mark.parametrize("name", list(NOT_THE_REST))
async def test_what_is_not_the_rest_starts_over(tmp_path, name, resumes):
    """It is asked for under If-Range, is not appended, and everything is asked for without a range."""
    async with opened(tmp_path, ARCHIVE, resumes=resumes) as bench:
        await bench.want(7)
        bench.answer(cut(ZIP, TAG), NOT_THE_REST[name], script([whole(ZIP, 'ETag: "v3"')]))
        assert await bench.run() == [RETRY, PUBLISHED][0 if resumes == 0 else 1 :]

        assert bench.published == bench.right(7)
        assert bench.begins == [0, AT, 0]
        asked = [(seen.headers.get("range"), seen.headers.get("if-range")) for seen in bench.gitlab.requests]
        assert asked == [(None, None), (f"bytes={AT}-", '"v1"'), (None, None)]
        assert bench.staging == {}


@pytest.mark.parametrize("resumes", [3, 0], ids=["at once", "in the next attempt"])
@pytest.mark.parametrize("body", [ZIP, OTHER], ids=["same", "another"])
async def test_everything_in_answer_to_a_range_starts_over(tmp_path, body, resumes):
    """200: the server ignores ranges, or has another entity now."""
    async with opened(tmp_path, ARCHIVE, resumes=resumes) as bench:
        await bench.want(7)
        bench.answer(cut(OTHER, TAG), script([whole(body, 'ETag: "v2"')]))
        assert (await bench.run())[-1] is PUBLISHED

        assert bench.published == {"g/p/7/artifacts.zip": body}
        assert bench.begins == [0, AT]


async def test_a_rest_of_other_bytes_under_the_same_tag_is_not_published(tmp_path):
    """The server lies in every header; the archive's own checksums do not, and the next attempt starts over."""
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(cut(ZIP, TAG), part(REST, OTHER[AT:], TAG), script([whole(ZIP, TAG)]))
        assert await bench.run() == [CORRUPT, PUBLISHED]

        assert bench.published == bench.right(7)
        assert bench.begins == [0, AT, 0]


@pytest.mark.parametrize(
    "rest", ["an earlier start", "no Content-Range", "multipart", "another ETag", "no ETag", "416, of the same size"]
)
async def test_a_server_that_never_sends_the_rest_publishes_nothing(tmp_path, rest):
    """Whole answers always break off, and ranges are always wrong."""

    def answer(request: Request) -> Sequence[Step]:
        return (NOT_THE_REST[rest] if request.begins else cut(ZIP, TAG))(request)

    async with opened(tmp_path, ARCHIVE, resumes=1) as bench:
        await bench.want(7)
        bench.answer(answer)
        await bench.ends(RETRY, kept=True)


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        pytest.param(ARCHIVE, ['ETag: W/"v1"'], id="weak ETag"),
        pytest.param(ARCHIVE, [], id="no ETag"),
        pytest.param(ARCHIVE, ["ETag: v1"], id="ETag without quotes"),
        pytest.param(ARCHIVE, ["Last-Modified: Sat, 03 Feb 2001 04:05:06 GMT"], id="a date alone"),
        # GitLab unpacks a file while it sends it, and ignores ranges of it (workhorse internal/artifacts/entry.go).
        pytest.param(FILE, [TAG], id="file"),
        pytest.param(TRACE, [TAG], id="trace"),
    ],
)
async def test_what_cannot_be_told_from_another_entity_is_not_continued(tmp_path, subject, headers):
    """A weak tag, or none, does not promise the same bytes."""
    length = len(subject.body)
    broken = [head("200 OK", f"Content-Length: {length}", *headers), subject.body[: length // 2], 0.1]
    async with opened(tmp_path, subject) as bench:
        await bench.want(7)
        bench.answer(script(broken), script([whole(subject.body, *headers)]))
        assert await bench.run() == [RETRY, PUBLISHED]

        assert bench.published == bench.right(7)
        assert bench.begins == [0, 0]


@pytest.mark.parametrize("ending", [(), (Reset(),)], ids=["FIN", "RST"])
async def test_a_broken_archive_that_can_be_continued_keeps_its_part(tmp_path, ending):
    """In staging alone, with exactly the bytes that came; another pass asks for the rest."""
    broken = [head("200 OK", f"Content-Length: {SIZE}", TAG), ZIP[:AT], 0.1, *ending]
    async with opened(tmp_path, ARCHIVE, resumes=0, batch=64 * 1024, engine={"attempts": 1}) as bench:
        await bench.want(7)
        bench.answer(script(broken), part(REST, ZIP[AT:], TAG))
        assert await bench.run() == [RETRY]
        assert list(bench.staging.values()) == [AT]
        assert bench.visible == []

        assert await bench.again() == [PUBLISHED]
        assert bench.begins == [0, AT]
        assert bench.published == bench.right(7)


@dataclass(frozen=True)
class Refusal:
    """An answer of GitLab's that is no success; ``job`` is what its job looks like then."""

    answer: bytes
    outcome: Outcome
    job: bytes | None = None


def told(status: str, body: bytes = b"", *headers: str) -> bytes:
    """An answer with this status."""
    return whole(body, *headers, status=status)


GONE_JSON = b'{"message":"404 Not found"}'
SHORT_404 = head("404 Not Found", "Content-Type: application/json", "Content-Length: 9000") + GONE_JSON
SCOPE = b'{"error":"insufficient_scope","error_description":"...","scope":"read_api"}'
REFUSALS = {
    "500": Refusal(told("500 Internal Server Error", b"oops"), RETRY),
    "502, HTML": Refusal(told("502 Bad Gateway", HTML), RETRY),
    "503": Refusal(told("503 Service Unavailable"), RETRY),
    "504": Refusal(told("504 Gateway Timeout"), RETRY),
    "408": Refusal(told("408 Request Timeout"), RETRY),
    "429": Refusal(told("429 Too Many Requests", b"Retry later\n", "Retry-After: 0"), RETRY),
    "401": Refusal(told("401 Unauthorized", b'{"message":"401 Unauthorized"}'), CREDENTIAL),
    "403, scope": Refusal(told("403 Forbidden", SCOPE), CREDENTIAL),
    "sign-in page": Refusal(told("302 Found", b"", "Location: /users/sign_in"), CREDENTIAL),
    "403": Refusal(told("403 Forbidden", b'{"message":"403 Forbidden"}'), REFUSED),
    "400": Refusal(told("400 Bad Request", b'{"message":"400 Bad request"}'), REFUSED),
    "405": Refusal(told("405 Method Not Allowed"), REFUSED),
    "304": Refusal(head("304 Not Modified"), REFUSED),
    "300": Refusal(told("300 Multiple Choices"), REFUSED),
    # Passed through from the storage, which Workhorse asks (internal/sendurl/sendurl.go).
    "403, XML": Refusal(told("403 Forbidden", XML, "Content-Type: application/xml"), RETRY),
}
ERASED, EXPIRED = {"erased_at": EARLIER}, {"artifacts_expire_at": EARLIER}
NO_JOB = told("404 Not Found", b'{"message":"404 Not found"}', "Content-Type: application/json")
#: What a 404 means, told by the job.
MISSING = {
    "the job lists it still": (None, RETRY),
    "the job is erased": (listed(ARCHIVE.job(), **ERASED), GONE),
    "it has expired": (listed(ARCHIVE.job(), **EXPIRED), GONE),
    "the job lists none": (listed(ARCHIVE.job(), artifacts=[]), GONE),
    "there is no job": (NO_JOB, RETRY),
    "the job cannot be read": (told("500 Internal Server Error"), RETRY),
}
NOT_FOUND = {
    "JSON": told("404 Not Found", GONE_JSON, "Content-Type: application/json"),
    # https://github.com/python-gitlab/python-gitlab/issues/2890
    "shorter than its Content-Length": SHORT_404,
    "Workhorse's": told("404 Not Found", b"404 page not found\n", "Content-Type: text/plain"),
    "XML": told("404 Not Found", XML, "Content-Type: application/xml"),
}


@pytest.mark.parametrize("subject", [ARCHIVE, FILE, TRACE], ids=["archive", "file", "trace"])
@pytest.mark.parametrize("name", list(REFUSALS))
async def test_a_status_ends_as_named(tmp_path, subject, name):
    """5xx, 408 and 429 pass; 401 is the token's end; the rest is refused."""
    refusal = REFUSALS[name]
    async with opened(tmp_path, subject) as bench:
        await bench.want(7)
        bench.answer(script([refusal.answer]))
        await bench.ends(refusal.outcome)

        assert bench.tells(SECRET) == []


@pytest.mark.parametrize("why", list(MISSING))
@pytest.mark.parametrize("how", list(NOT_FOUND))
async def test_an_archive_that_is_not_found_is_gone_only_where_the_job_says_so(tmp_path, how, why):
    """Whatever the 404 looks like."""
    job, outcome = MISSING[why]
    async with opened(tmp_path, ARCHIVE) as bench:
        await bench.want(7)
        bench.answer(script([NOT_FOUND[how]]), job=job)
        await bench.ends(outcome)


@pytest.mark.parametrize("how", list(NOT_FOUND))
async def test_a_file_that_its_archive_does_not_have_is_gone(tmp_path, how):
    """The job lists its archive still, so only the file is missing."""
    async with opened(tmp_path, FILE) as bench:
        await bench.want(7)
        bench.answer(script([NOT_FOUND[how]]))
        await bench.ends(GONE)


async def test_a_limit_is_waited_for_as_long_as_it_says(tmp_path):
    """Retry-After is the least that is waited, and no more than the cap."""
    limited = told("429 Too Many Requests", b"", "Retry-After: 7")
    async with opened(tmp_path, ARCHIVE, engine={"retry_cap": 5.0}) as bench:
        await bench.want(7)
        bench.answer(script([limited]))
        async with anyio.create_task_group() as group:
            group.start_soon(bench.workers.run)
            await until(lambda: bool(bench.ended))
            group.cancel_scope.cancel()

        (ended,) = bench.ended
        queued = await bench.transfer()
        assert (ended.outcome, queued.state, queued.attempts) == (RETRY, TransferState.WANTED, 1)
        assert ended.retry_at is not None
        assert queued.next_attempt_at is not None
        assert timedelta(seconds=3) < ended.retry_at - bench.now() <= timedelta(seconds=5)
        assert bench.visible == []


@pytest.mark.parametrize("pause", [0.0, 0.003], ids=["at once", "a moment later"])
async def test_an_answer_behind_the_answer_is_nobodys(tmp_path, pause):
    """A second one queued on the connection is not taken for that of the next request, whichever transfer asks."""
    behind: list[Step] = [whole(ZIP), pause, whole(OTHER), Stay()] if pause else [whole(ZIP) + whole(OTHER), Stay()]
    async with opened(tmp_path, ARCHIVE) as bench:
        bench.answer(script(behind))
        await bench.want(7, 8, 9)
        assert await bench.run() == [PUBLISHED] * 3

        assert bench.published == bench.right(7, 8, 9)


@pytest.mark.parametrize("headers", [[TAG], []], ids=["can be continued", "cannot"])
async def test_a_stop_in_the_middle_closes_the_part(tmp_path, headers):
    """The transfer is wanted again, with no attempt counted; what can be continued is, and nothing else is left."""
    stalled: list[Step] = [head("200 OK", f"Content-Length: {SIZE}", *headers), ZIP[:AT], 30.0]
    async with opened(tmp_path, ARCHIVE, batch=4096) as bench:
        await bench.want(7)
        bench.answer(script(stalled), part(REST, ZIP[AT:], TAG) if headers else script([whole(ZIP)]))
        async with anyio.create_task_group() as group:
            group.start_soon(bench.workers.run)
            await until(lambda: any(isinstance(event, Received) for event in bench.events))
            group.cancel_scope.cancel()
        queued = await bench.transfer()
        assert (queued.state, queued.attempts) == (TransferState.WANTED, 0)
        kept = sum(bench.staging.values())
        assert bench.visible == []
        assert (kept > 0) is bool(headers)

        bench.answer(part(f"bytes {kept}-{SIZE - 1}/{SIZE}", ZIP[kept:], TAG) if headers else script([whole(ZIP)]))
        assert await bench.again() == [PUBLISHED]
        assert bench.begins == [kept]
        assert bench.published == bench.right(7)
