"""Files as a replica gives them: whole, in part, conditionally, out of an archive, and not at all where they are damaged."""

import io
import os
import zipfile
import zlib
from dataclasses import replace
from hashlib import sha256

import aiohttp
import pytest

from artifact_sync.core.rules import Fetch, Publish
from artifact_sync.core.unpacking import Unpack
from artifact_sync.simulator import JobSpec, raw
from tests.integration.engine.engine_harness import rig, rule
from tests.integration.web.web_harness import FILES, archive_of, ended, request, served, status_of


def art(job, rest: str = "") -> str:
    return f"/projects/{job.project.id}/jobs/{job.id}/artifacts{rest}"


async def test_the_archive_has_its_hash_as_etag_and_comes_whole(replica, job, http):
    """With a length, as an attachment that nobody executes."""
    async with http.get(replica.api(art(job))) as answer:
        body = await answer.read()
        headers = answer.headers
    assert body == archive_of(job)
    assert headers["ETag"] == f'"{sha256(body).hexdigest()}"'
    assert headers["Content-Length"] == str(len(body))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Disposition"].startswith('attachment; filename="artifacts.zip"')
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert "Last-Modified" in headers


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-99", (0, 100)),
        ("bytes=100-", (100, None)),
        ("bytes=-50", (-50, None)),
        ("bytes=0-99999999999", (0, None)),
        ("BYTES=5-5", (5, 6)),
    ],
)
async def test_one_range_is_206_with_exactly_these_bytes(replica, job, http, asked, span):
    """From the front, to the end, from the end, and beyond it."""
    expected = archive_of(job)[slice(*span)]
    async with http.get(replica.api(art(job)), headers={"Range": asked}) as answer:
        assert answer.status == 206
        assert await answer.read() == expected
        assert answer.headers["Content-Range"].endswith(f"/{len(archive_of(job))}")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-5", "lines=1-2", "bytes=", "bytes=-", "bytes=a-b", "junk"])
async def test_a_range_that_is_not_understood_is_as_if_not_sent(replica, job, http, asked):
    """RFC 9110 section 14.2; also several at once."""
    async with http.get(replica.api(art(job)), headers={"Range": asked}) as answer:
        assert answer.status == 200
        assert await answer.read() == archive_of(job)


async def test_a_range_behind_the_end_is_416_with_the_size(replica, job, http):
    """So that a client that has everything sees it."""
    size = len(archive_of(job))
    async with http.get(replica.api(art(job)), headers={"Range": f"bytes={size}-"}) as answer:
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{size}"


async def test_if_range_gives_a_part_of_exactly_this_file_alone(replica, job, http):
    """The right ETag or date: 206. Another, or a weak one: everything, so that nobody joins two files."""
    url = replica.api(art(job))
    async with http.head(url) as answer:
        etag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]
    statuses = []
    for named in (etag, modified, '"another"', f"W/{etag}", "Thu, 01 Jan 1970 00:00:00 GMT"):
        async with http.get(url, headers={"Range": "bytes=0-9", "If-Range": named}) as answer:
            statuses.append((answer.status, len(await answer.read())))
    whole = (200, len(archive_of(job)))
    assert statuses == [(206, 10), (206, 10), whole, whole, whole]


async def test_who_has_the_file_is_told_so(replica, job, http):
    """If-None-Match, weak or strong or in a list: 304 without a body. If-Match of another: 412."""
    url = replica.api(art(job))
    async with http.head(url) as answer:
        etag = answer.headers["ETag"]
    for named in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        async with http.get(url, headers={"If-None-Match": named}) as answer:
            assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", etag)
    async with http.get(url, headers={"If-Match": '"other"'}) as answer:
        assert answer.status == 412
    async with http.get(url, headers={"If-None-Match": '"other"'}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", sorted(FILES))
async def test_single_files_come_out_of_the_archive(replica, job, http, name):
    """Byte for byte, with their size, whatever their names."""
    async with http.get(replica.api(art(job, f"/{name}"))) as answer:
        assert answer.status == 200
        assert await answer.read() == FILES[name]
        assert answer.headers["Content-Length"] == str(len(FILES[name]))
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        etag = answer.headers["ETag"]
    assert etag == f'"{sha256(f"{sha256(archive_of(job)).hexdigest()}:{name}".encode()).hexdigest()}"'
    async with http.get(replica.api(art(job, f"/{name}")), headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304


async def test_a_page_of_a_build_is_saved_and_runs_nowhere(replica, job, http):
    """Its type is told, but it is an attachment in a sandbox."""
    async with http.get(replica.api(art(job, "/report.html"))) as answer:
        assert answer.content_type == "text/html"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_report_and_log_come_from_what_is_published(replica, job, http):
    """By file_type, and as the trace."""
    async with http.get(replica.api(art(job, "?file_type=junit"))) as answer:
        assert await answer.read() == job.report("junit")
    async with http.get(replica.api(f"/projects/1/jobs/{job.id}/trace")) as answer:
        assert (await answer.read(), answer.content_type) == (job.trace, "text/plain")
    async with http.get(replica.api(art(job, "?file_type=sast"))) as answer:
        assert answer.status == 404
    async with http.get(replica.api(art(job, "?file_type=metadata"))) as answer:
        assert answer.status == 400


async def test_published_files_are_served_without_any_archive(world, app, job, tmp_path, http):
    """Those of fetch.files and of an unpacked archive, with ranges and the hash of the file itself."""
    other = ended(world, app, "files")[0]
    rules = (
        rule(name="content", jobs=["build"]),
        rule(name="files", jobs=["files"], fetch=Fetch(archive=False, files=("notes.txt", "deep/**"))),
    )
    unpacked = Publish(path=rules[0].publish.path, unpack=Unpack.ONLY)
    async with rig(world, tmp_path, replace(rules[0], publish=unpacked), rules[1]) as daemon:
        await daemon.sync()
        async with served(daemon) as replica:
            for path, wanted in (
                (art(job, "/notes.txt"), 200),
                (art(job), 404),
                (art(other, "/notes.txt"), 200),
                (art(other, "/deep/er/file"), 200),
                (art(other, "/report.html"), 404),
                (art(other), 404),
            ):
                async with http.get(replica.api(path)) as answer:
                    assert (path, answer.status) == (path, wanted)
            async with http.get(replica.api(art(other, "/notes.txt")), headers={"Range": "bytes=0-4"}) as answer:
                assert (answer.status, await answer.read()) == (206, b"three")
                assert answer.headers["ETag"] == f'"{sha256(FILES["notes.txt"]).hexdigest()}"'
            async with http.get(replica.api(f"/projects/1/jobs/{other.id}")) as answer:
                assert "artifacts_file" not in await answer.json()


async def test_head_has_the_headers_of_get_and_no_body(replica, job, http):
    """For everything that is a file or a list."""
    for path in (art(job), art(job, "/notes.txt"), f"/projects/1/jobs/{job.id}/trace", "/projects/1/jobs", "/version"):
        async with http.get(replica.api(path)) as got:
            await got.read()
        async with http.head(replica.api(path)) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            ignored = {"Date"}
            assert {k: v for k, v in answer.headers.items() if k not in ignored} == {
                k: v for k, v in got.headers.items() if k not in ignored
            }


async def test_a_file_of_another_size_or_none_is_404_with_the_reason(replica, mirror, job, http):
    """What the disk has damaged is not given to anybody; the next publication of the same job would be."""
    (found,) = (mirror.path / "store" / "tree").rglob("artifacts.zip")
    found.chmod(0o644)
    with found.open("ab") as file:
        file.write(b"x")
    for path in (art(job), art(job, "/notes.txt"), art(job, "/tree")):
        async with http.get(replica.api(path)) as answer:
            assert answer.status == 404
            assert "damaged" in (await answer.json())["message"]
    found.unlink()
    async with http.get(replica.api(art(job))) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
async def test_a_member_that_is_damaged_in_the_store_breaks_the_connection(world, app, tmp_path, http, method):
    """Its CRC tells at its end: the client must see that the file is not whole, and gets less than that."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("data", os.urandom(600_000))
        archive.writestr("other", b"sound")
    (job,) = world.add_pipeline(app, "main", [JobSpec("z", archive=raw(made.getvalue()))]).jobs
    world.finish(job)
    async with rig(world, tmp_path, rule()) as daemon, served(daemon) as replica:
        await daemon.sync()
        (found,) = (daemon.path / "store" / "tree").rglob("artifacts.zip")
        found.chmod(0o644)
        with found.open("r+b") as file:
            file.seek(300_000)
            byte = file.read(1)[0]
            file.seek(300_000)
            file.write(bytes([byte ^ 0x10]))
        got = bytearray()

        async def take() -> None:
            async with http.get(replica.api(art(job, "/data"))) as answer:
                async for block in answer.content.iter_any():
                    got.extend(block)

        with pytest.raises(aiohttp.ClientError):
            await take()
        assert len(got) < 600_000
        async with http.get(replica.api(art(job, "/other"))) as answer:
            assert await answer.read() == b"sound"


async def test_a_zip64_archive_with_descriptors_is_read(world, app, tmp_path, http):
    """As a runner writes one whose size it does not know."""
    content = b"zip64 " * 1000

    class Unseekable(io.RawIOBase):
        def __init__(self) -> None:
            self.out = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.out += data
            return len(data)

    sink = Unseekable()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a/b", "w", force_zip64=True) as member:
            member.write(content)
        archive.writestr("stored", content, zipfile.ZIP_STORED)
    assert zlib.crc32(content)
    (job,) = world.add_pipeline(app, "main", [JobSpec("z", archive=raw(bytes(sink.out)))]).jobs
    world.finish(job)
    async with rig(world, tmp_path, rule()) as daemon:
        await daemon.sync()
        async with served(daemon) as replica:
            for name in ("a/b", "stored"):
                async with http.get(replica.api(art(job, f"/{name}"))) as answer:
                    assert await answer.read() == content


async def test_what_was_pruned_or_lost_is_not_there_any_more(replica, mirror, job, http):
    """Only what stands is served."""
    queued = await mirror.transfer(job)
    await mirror.queue.lost(queued.id)
    async with http.get(replica.api(art(job))) as answer:
        assert answer.status == 404
    async with http.get(replica.api(f"/projects/1/jobs/{job.id}")) as answer:
        assert answer.status == 404
    assert status_of(await replica.raw(request("/api/v4/projects"))) == 200
