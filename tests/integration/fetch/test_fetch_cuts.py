"""Archives whose download is cut at every byte, or at many: never spliced, and next to nothing is sent again."""

from __future__ import annotations

import random
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from artifact_sync.core.model import Item
from artifact_sync.errors import Outcome
from tests.integration.fetch.fault_bench import Bench, Subject, opened
from tests.integration.fetch.raw_server import Cut, Request, Reset, Step, chunk, head
from tests.zips import real_zip

PUBLISHED, RETRY, CORRUPT = Outcome.PUBLISHED, Outcome.RETRY_LATER, Outcome.CORRUPT
KIB, MIB = 1 << 10, 1 << 20
BATCH = 64 * KIB
TAG = 'ETag: "v1"'
MANY = {"downloads": 16}


def archive(size: int) -> bytes:
    """A zip of exactly so many bytes, stored, so that each of its bytes counts."""
    noise = random.Random(size).randbytes(size)
    spare = len(real_zip({"noise.bin": noise}, compression=zipfile.ZIP_STORED)) - size
    return real_zip({"noise.bin": noise[spare:]}, compression=zipfile.ZIP_STORED)


def subject(body: bytes, *, announced: bool = True) -> Subject:
    """An archive of these bytes."""
    item = Item(kind="archive", name="artifacts.zip", size=len(body) if announced else None)
    return Subject(item=item, body=body, listed={"archive": len(body)})


def job_of(request: Request) -> int:
    """Whose archive is asked for."""
    return int(request.target.split("/")[-2])


SMALL = archive(4 * KIB)
CHUNKS = b"".join(chunk(SMALL[at : at + 500]) for at in range(0, len(SMALL), 500)) + chunk(b"")
#: (head, what follows it, whether GitLab announced the size, how a transfer ends that gets a beginning of this)
FRAMINGS = {
    "Content-Length": (head("200 OK", f"Content-Length: {len(SMALL)}"), SMALL, True, RETRY),
    "chunked": (head("200 OK", "Transfer-Encoding: chunked"), CHUNKS, True, RETRY),
    # Nothing but the archive's own structure tells.
    "no length": (head("200 OK", "Connection: close"), SMALL, False, CORRUPT),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("framing", ["Content-Length", "chunked", pytest.param("no length", marks=pytest.mark.long)])
async def test_a_cut_at_every_byte_publishes_nothing(tmp_path, framing):
    """Each of them ends as named, and nothing of it is left anywhere."""
    begin, rest, announced, outcome = FRAMINGS[framing]
    async with opened(tmp_path, subject(SMALL, announced=announced), engine=MANY | {"attempts": 1}) as bench:
        # Job n gets n - 1 bytes.
        await bench.want(*range(1, len(rest) + 1))
        bench.gitlab.scripts[:] = [lambda request: [begin + rest[: job_of(request) - 1]]]
        await bench.run(within=100)

        ended = {event.job_id: event.outcome for event in bench.ended}
        wrong = {job: found for job, found in ended.items() if found is not outcome}
        # Less than a zip's first four bytes are called something else.
        assert set(wrong) <= ({1, 2, 3, 4} if outcome is CORRUPT else set())
        assert set(wrong.values()) <= {Outcome.NOT_AN_ARCHIVE}
        assert (len(ended), len(bench.gitlab.requests)) == (len(rest), len(rest))
        assert (bench.visible, bench.staging) == ([], {})


@dataclass
class Cutting:
    """A server that cuts each job's first answer, and counts. With ``ranges`` it honours Range under If-Range."""

    body: bytes
    #: By job, the bytes of its first answer.
    cuts: dict[int, int]
    ranges: bool
    ending: Sequence[Step] = ()
    #: By job, where each of its requests began.
    begins: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, request: Request) -> list[Step]:
        """The answer's steps; large ones share their bytes."""
        job = job_of(request)
        known = self.ranges and request.headers.get("if-range") == '"v1"'
        begin = request.begins if known else 0
        first = not self.begins[job]
        self.begins[job].append(begin)
        size = len(self.body)
        tag = [TAG] if self.ranges else []
        lines = [f"Content-Length: {size - begin}", *tag]
        if begin:
            steps: list[Step] = [head("206 Partial Content", f"Content-Range: bytes {begin}-{size - 1}/{size}", *lines)]
        else:
            steps = [head("200 OK", *lines)]
        steps += self._pieces(begin, self.cuts[job] if first else size)
        return [*steps, *self.ending] if first else steps

    def again(self, job: int) -> int:
        """Bytes that were sent to the job more than once."""
        cut = self.cuts[job]
        return sum(cut - begin for begin in self.begins[job][1:])

    def _pieces(self, begin: int, stop: int) -> list[bytes]:
        return [self.body[at : min(at + MIB, stop)] for at in range(begin, stop, MIB)]


async def served(bench: Bench, server: Cutting, *, within: float = 200.0) -> None:
    """Every job of the server's in one pass; each is published with the right bytes, and nothing else is left."""
    await bench.want(*server.cuts)
    bench.gitlab.scripts[:] = [server]
    await bench.run(within=within)

    assert {event.outcome for event in bench.ended} <= {PUBLISHED, RETRY}
    right: set[int] = set()
    for job in server.cuts:
        path = bench.path / "store" / "tree" / "g" / "p" / f"{job}" / "artifacts.zip"
        # The same bytes are one file under many names.
        inode = path.stat().st_ino
        assert inode in right or path.read_bytes() == server.body, job
        right.add(inode)
    assert bench.staging == {}


@pytest.mark.timeout(240)
async def test_a_cut_at_every_byte_goes_on_where_it_broke(tmp_path):
    """With a strong ETag and ranges: each archive is whole in the end, in however many pieces it came."""
    cuts = {at + 1: at for at in range(len(SMALL))}
    # What came has to be read before the end is: aiohttp hands out nothing of what it had not handed out before that.
    server = Cutting(SMALL, cuts, ranges=True, ending=(0.05,))
    async with opened(tmp_path, subject(SMALL), engine={"downloads": 32}) as bench:
        await served(bench, server)

        assert max(map(server.again, cuts)) <= BATCH
        taken_up = [job for job in cuts if server.begins[job] == [0, cuts[job]] and cuts[job]]
        assert len(taken_up) > len(cuts) // 2


@pytest.mark.parametrize("ending", [Cut(), Reset()], ids=["FIN", "RST"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("ranges", [False, True], ids=["without ranges", "with ranges"])
async def test_cuts_of_every_kind_are_made_good(tmp_path, ranges, tls, ending):
    """FIN, RST, and TLS without its close_notify, with the small archive."""
    cuts = {at + 1: at for at in range(0, len(SMALL), 256)}
    server = Cutting(SMALL, cuts, ranges=ranges, ending=(0.05, ending))
    async with opened(tmp_path, subject(SMALL), tls=tls, engine=MANY) as bench:
        await served(bench, server)


@cache
def large() -> bytes:
    """An archive of 50 MiB."""
    return archive(50 * MIB)


def offsets(count: int) -> dict[int, int]:
    """Cuts by job: at the edges of what is read, written and looked at, and at random."""
    size = 50 * MIB
    edges = [0, 1, 511, 512, 64 * KIB - 1, 256 * KIB, MIB, MIB + 1, size // 2, size - MIB, size - 22, size - 1]
    chance = random.Random(50)
    found = [*edges, *(chance.randrange(size) for _ in range(count - len(edges)))]
    return dict(enumerate(found, 1))


LARGE = [
    pytest.param(12, id="12 offsets"),
    pytest.param(200, id="200 offsets", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
]
#: Whether the server sends ranges, and how often a broken connection is taken up within an attempt.
RESUMING = {"without ranges": (False, 3), "at once": (True, 3), "in the next attempt": (True, 0)}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("count", LARGE)
@pytest.mark.parametrize("how", list(RESUMING))
async def test_a_large_archive_is_never_spliced(tmp_path, how, count):
    """Cut anywhere it is whole in the end; where the server sends ranges, a batch at the most is sent again."""
    ranges, resumes = RESUMING[how]
    server = Cutting(large(), offsets(count), ranges=ranges)
    async with opened(tmp_path, subject(large()), engine={"downloads": 2}, batch=MIB, resumes=resumes) as bench:
        await served(bench, server, within=1100)

        again = [server.again(job) for job in server.cuts]
        assert all(len(begins) == 2 for begins in server.begins.values())
        assert max(again) <= MIB if ranges else again == list(server.cuts.values())


async def broken(bench: Bench, at: int) -> Path:
    """The part that a download leaves which breaks off there."""
    await bench.want(1)
    bench.gitlab.scripts[:] = [Cutting(SMALL, {1: at}, ranges=True, ending=(0.1,))]
    assert await bench.run() == [RETRY]
    (part,) = (bench.path / "store" / ".staging").iterdir()
    assert part.read_bytes() == SMALL[:at]
    return part


async def test_a_part_that_grew_behind_what_is_remembered_is_cut_back(tmp_path):
    """What was written and not made durable before a crash may be anything."""
    async with opened(tmp_path, subject(SMALL), engine={"attempts": 1}, resumes=0) as bench:
        part = await broken(bench, 2000)
        part.write_bytes(part.read_bytes() + bytes(500))
        assert await bench.again() == [PUBLISHED]

        assert bench.published == {"g/p/1/artifacts.zip": SMALL}
        assert [request.begins for request in bench.gitlab.requests] == [0, 2000]


async def test_a_part_that_was_damaged_meanwhile_is_not_published(tmp_path):
    """The rest fits, and what was here does not: it is found, and everything is downloaded again."""
    async with opened(tmp_path, subject(SMALL), engine={"attempts": 1}, resumes=0) as bench:
        part = await broken(bench, 2000)
        part.write_bytes(SMALL[:1000] + bytes([SMALL[1000] ^ 1]) + SMALL[1001:2000])
        assert await bench.again() == [CORRUPT]
        assert (bench.visible, bench.staging) == ([], {})

        assert await bench.again() == [PUBLISHED]
        assert bench.published == {"g/p/1/artifacts.zip": SMALL}
        assert [request.begins for request in bench.gitlab.requests] == [0, 2000, 0]
