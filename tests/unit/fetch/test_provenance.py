"""The runner's word on an archive's files is compared with them, whatever stands in it."""

import hashlib
import json
import zipfile
from io import BytesIO

import pytest
from anyio import CapacityLimiter

from artifact_sync.core.provenance import Provenance, Verdict
from artifact_sync.fetch.inflate import prove
from artifact_sync.fetch.provenance import judge_provenance
from tests.zips import real_zip

FILES = {"dist/app": b"program" * 1000, "README": b"text", "dir/": b""}


def statement(files: dict[str, bytes], kind: str = "https://in-toto.io/Statement/v0.1", **changed: str) -> bytes:
    """As GitLab Runner writes it; ``changed`` are other digests by name."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} | changed
    subject = [{"name": name, "digest": {"sha256": digest}} for name, digest in digests.items()]
    return json.dumps({"_type": kind, "subject": subject, "predicateType": "x", "predicate": {}}, indent=1).encode()


class Held:
    """What of a part is used."""

    name = "1-0.part"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.reads = 0

    def reader(self) -> BytesIO:
        self.reads += 1
        return BytesIO(self.content)


async def judged(content: bytes) -> tuple[Provenance | None, int]:
    """The verdict, and how often the archive was opened for it."""
    part = Held(content)
    report = prove(BytesIO(content), len(content), lambda: False)
    found = await judge_provenance(part, report.statements, limiter=CapacityLimiter(1))  # type: ignore[arg-type]
    return found, part.reads


NAMED = {name: content for name, content in FILES.items() if not name.endswith("/")}


@pytest.mark.parametrize("kind", ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"])
@pytest.mark.parametrize("descriptors", [False, True])
async def test_all_files_are_as_the_runner_said(kind, descriptors):
    """Both versions of the statement, stored or deflated, with descriptors as the runner writes them."""
    content = real_zip(FILES | {"artifacts-metadata.json": statement(NAMED, kind)}, descriptors=descriptors)
    found, _ = await judged(content)
    assert found == Provenance(verdict=Verdict.VERIFIED, statement="artifacts-metadata.json", subjects=2)


async def test_what_differs_is_named():
    """Another content, a file that is missing, and one that nobody named."""
    said = statement(NAMED | {"gone.bin": b"x"}, README="0" * 64)
    found, _ = await judged(real_zip(FILES | {"more.txt": b"more", "x-metadata.json": said}))
    assert found is not None
    assert (found.verdict, found.subjects, found.differ, found.unnamed) == (Verdict.DIFFERS, 3, 2, 1)
    reasons = {each.name: each.reason for each in found.differing}
    assert reasons["gone.bin"] == "it is not in the archive"
    assert hashlib.sha256(b"text").hexdigest() in reasons["README"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("artifacts-metadata.json", b"{}"),
        ("artifacts-metadata.json", b"[" * 100_000),
        ("artifacts-metadata.json", b"\xff\xfe"),
        ("artifacts-metadata.json", statement(NAMED, "https://example.com/other")),
        ("dist/artifacts-metadata.json", statement(NAMED)),
        ("artifacts-metadata.json", json.dumps({"_type": 1, "subject": [1]}).encode()),
        ("metadata.json", statement(NAMED)),
    ],
)
async def test_what_is_no_statement(name, content):
    """A file of that name may be anything: then nothing is said."""
    found, _ = await judged(real_zip(FILES | {name: content}))
    assert found is None


async def test_an_archive_without_one_is_not_read_again():
    """Which is nearly all of them."""
    assert await judged(real_zip(FILES)) == (None, 0)


async def test_links_are_not_compared():
    """The runner hashed what they point at; the archive holds their target's path."""
    sink = BytesIO(real_zip(FILES | {"a-metadata.json": statement(NAMED | {"link": b"elsewhere"})}))
    with zipfile.ZipFile(sink, "a") as archive:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "README")
    found, _ = await judged(sink.getvalue())
    assert found is not None
    assert (found.verdict, found.differ) == (Verdict.VERIFIED, 0)


async def test_hostile_subjects_are_bounded():
    """Thousands that differ are counted, and a few are named; long names are cut."""
    said = statement({f"{number}{'n' * 1000}": b"" for number in range(2000)})
    found, _ = await judged(real_zip({"a-metadata.json": said}))
    assert found is not None
    assert (found.differ, len(found.differing)) == (2000, 20)
    assert max(len(each.name) for each in found.differing) == 300
