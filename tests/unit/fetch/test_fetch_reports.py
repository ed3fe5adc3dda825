"""Reports are proved by their format; a server that gives out none keeps nothing else from being mirrored."""

import gzip
import json

import pytest

from artifact_sync.core.model import Artifact, Item, Job
from artifact_sync.errors import ArtifactSyncError, ContentError, NotFound, Outcome, Refused, Transient, Unsupported
from artifact_sync.fetch.reports import refuse_archive
from tests.unit.fetch.fetch_doubles import Answer, Bench, archive, entity, queued
from tests.zips import real_zip

ZIP = real_zip({"a": b"1"})
JUNIT = gzip.compress(b"<testsuites/>" * 99, mtime=0)
SAST = json.dumps({"vulnerabilities": []}).encode()
LISTED = (Artifact(file_type="archive", size=len(ZIP), file_format="zip"),)


def report(kind="junit", data=JUNIT, file_format="gzip", **changes) -> Item:
    return Item(
        kind="report", name=f"reports/{kind}", path=kind, **{"size": len(data), "file_format": file_format} | changes
    )


def answer(data: bytes, **changes) -> Answer:
    return Answer([data], **{"total": len(data)} | changes)


@pytest.mark.parametrize(
    ("item", "data"),
    [
        (report(), JUNIT),
        (report("sast", SAST, "raw"), SAST),
        (report("lsif", ZIP, "zip"), ZIP),
        (report("novel", SAST, None), SAST),
    ],
    ids=["gzip", "raw", "zip", "unknown"],
)
async def test_a_report_of_each_format_is_staged(tmp_path, item, data):
    """With the bytes that came."""
    bench = Bench(tmp_path, answer(data))
    (staged,) = await bench.fetcher.fetch(queued(item))
    assert (staged.name, (tmp_path / staged.part).read_bytes()) == (item.name, data)


CHANGED = JUNIT[:-6] + bytes([JUNIT[-6] ^ 1]) + JUNIT[-5:]


@pytest.mark.parametrize(
    ("item", "data", "says"),
    [
        (report(), CHANGED, "not gzip data"),
        (report(), SAST.ljust(len(JUNIT)), "expected gzip data for reports/junit, got JSON"),
        (report(), b"\x7fELF".ljust(len(JUNIT), b"\0"), r"it begins with 7f 45 4c 46"),
        (report("sast", SAST, "raw"), SAST[:-1], "announced"),
        (report("lsif", ZIP, "zip"), ZIP[:-22] + b"PK\0\0" + ZIP[-18:], "."),
    ],
    ids=["CRC", "other", "binary", "size", "zip"],
)
async def test_a_report_that_is_not_whole_is_corrupt(tmp_path, item, data, says):
    """And nothing of it stays."""
    bench = Bench(tmp_path, answer(data))
    with pytest.raises(ContentError, match=says):
        await bench.fetcher.fetch(queued(item))
    assert bench.staging == {}


async def test_an_archive_in_place_of_reports_is_left_out_once_and_for_all(tmp_path):
    """The archive is mirrored; the next job's report is not even asked for, nor one of another type."""
    bench = Bench(tmp_path, entity(ZIP), answer(ZIP), entity(ZIP))
    for items in ((archive(len(ZIP)), report()), (archive(len(ZIP)), report("sast", SAST, "raw"))):
        (staged,) = await bench.fetcher.fetch(queued(*items, artifacts=LISTED))
        assert staged.name == "artifacts.zip"
    assert len(bench.remote.asked) == 3


async def test_a_transfer_of_reports_alone_is_disabled_here(tmp_path):
    """Not published empty, and not tried again in this pass; after a day the server is asked again."""
    bench = Bench(tmp_path, answer(ZIP), answer(JUNIT))
    for _ in range(2):
        with pytest.raises(Unsupported, match=r"archive came instead|as it was answered before") as caught:
            await bench.fetcher.fetch(queued(report(), artifacts=LISTED))
        assert (caught.value.outcome, caught.value.outcome.final) == (Outcome.DISABLED, True)
        assert "does not give out reports" in caught.value.hint
        await bench.clock.sleep(13 * 3600)
    (staged,) = await bench.fetcher.fetch(queued(report(), artifacts=LISTED))
    assert staged.size == len(JUNIT)


async def test_a_type_that_is_refused_says_nothing_about_the_others(tmp_path):
    """400 is for one type; any other refusal is none of this."""
    unknown = Refused("GET /artifacts", '400 {"error":"file_type does not have a valid value"}', status=400)
    bench = Bench(tmp_path, unknown, answer(JUNIT), answer(JUNIT), Refused("GET /artifacts", "418", status=418))
    for _ in range(2):
        (staged,) = await bench.fetcher.fetch(queued(report("novel", SAST, "raw"), report()))
        assert staged.name == "reports/junit"
    with pytest.raises(Refused, match="418"):
        await bench.fetcher.fetch(queued(report()))


@pytest.mark.parametrize(
    ("kind", "file_format", "size", "total", "refused"),
    [
        ("junit", "gzip", 5, 99, True),
        ("junit", None, 5, 99, True),
        ("novel", None, 5, 12, True),
        ("lsif", "zip", 5, 99, True),
        ("lsif", "zip", 5, 5, False),
        ("lsif", "zip", 99, 99, False),
        ("lsif", "zip", 5, None, False),
        ("lsif", None, 5, 5, False),
    ],
)
def test_an_archive_is_told_by_its_magic_or_where_reports_are_zips_by_its_size(kind, file_format, size, total, refused):
    """A report that is a zip is not taken for the archive."""
    item = report(kind, file_format=file_format, size=size)
    got = None
    try:
        refuse_archive(ZIP, item, Artifact(file_type="archive", size=99), total=total, asked="GET /x")
    except ArtifactSyncError as error:
        got = error.outcome
    assert got == (Outcome.DISABLED if refused else None)


async def test_trouble_with_a_report_is_trouble_of_its_transfer(tmp_path):
    """A broken connection is tried again; nothing is published without what can still be had."""
    lost = Transient("GET /artifacts", "connection lost")
    bench = Bench(tmp_path, entity(ZIP), lost)
    with pytest.raises(Transient, match="connection lost"):
        await bench.fetcher.fetch(queued(archive(len(ZIP)), report(), artifacts=LISTED))


@pytest.mark.parametrize("listed", [False, True])
async def test_a_report_that_is_gone_takes_nothing_with_it(tmp_path, listed):
    """The archive is mirrored without it; one that the job still lists is tried again."""
    there = (*LISTED, *((Artifact(file_type="junit", size=9),) if listed else ()))
    job = Job(id=7, name="build", status="success", artifacts=there)
    bench = Bench(tmp_path, entity(ZIP), NotFound("GET /artifacts", "404", status=404), job=job)
    wanted = queued(archive(len(ZIP)), report(), artifacts=LISTED)
    if listed:
        with pytest.raises(Transient, match="still lists its junit"):
            await bench.fetcher.fetch(wanted)
    else:
        (staged,) = await bench.fetcher.fetch(wanted)
        assert staged.name == "artifacts.zip"


async def test_a_report_alone_that_is_gone_is_gone(tmp_path):
    """With what the job says about it."""
    job = Job(id=7, name="build", status="success", artifacts=LISTED)
    bench = Bench(tmp_path, NotFound("GET /artifacts", "404", status=404), job=job)
    with pytest.raises(NotFound, match="the job lists no junit any more"):
        await bench.fetcher.fetch(queued(report()))
