"""Transfers, parts and publications for the tests of store and state."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from artifact_sync.core.model import Item, Job, Pipeline, StagedFile, Transfer
from artifact_sync.core.unpacking import Unpacked
from artifact_sync.ports import Progress, Publication, Store

NOW = datetime(2024, 5, 17, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


def item(name: str, size: int | None = None) -> Item:
    """An item whose kind follows from its name."""
    if name == "artifacts.zip":
        return Item(kind="archive", name=name, size=size)
    if name == "job.log":
        return Item(kind="trace", name=name, size=size)
    return Item(kind="file", name=name, path=name.removeprefix("files/"), size=size)


def transfer(
    job_id: int = 7,
    *,
    dest: str | None = None,
    names: tuple[str, ...] = ("artifacts.zip",),
    rules: tuple[str, ...] = ("releases",),
    deadline: datetime | None = None,
    priority: int = 0,
    backfill: bool = False,
    project_id: int = 1,
) -> Transfer:
    """A transfer of one job."""
    return Transfer(
        project_id=project_id,
        project_path="group/app",
        job=Job(
            id=job_id,
            name="package",
            status="success",
            stage="build",
            ref="v1.0",
            tag=True,
            finished_at=NOW - HOUR,
            artifacts_expire_at=deadline,
            pipeline=Pipeline(id=900, source="push", sha="c0ffee"),
            web_url=f"https://gitlab.example.com/group/app/-/jobs/{job_id}",
        ),
        rules=rules,
        items=tuple(item(name) for name in names),
        dest=f"group/app/v1.0/package/{job_id}" if dest is None else dest,
        deadline=deadline,
        priority=priority,
        backfill=backfill,
    )


def progress(project_id: int = 1, newest: int = 0) -> Progress:
    """How far one project is."""
    return Progress(project_id=project_id, path="group/app", newest_job_id=newest)


def staged_file(name: str, content: bytes, part: str) -> StagedFile:
    """What the fetcher says of a finished part."""
    return StagedFile(
        name=name,
        part=part,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        etag='"e"',
        source="https://gitlab.example.com/api/v4/jobs",
    )


async def stage(store: Store, name: str, content: bytes, part: str) -> StagedFile:
    """Bring content into staging as the fetcher does."""
    growing = await store.part(part)
    await growing.append(content)
    sha256, size = await growing.finish()
    expected = staged_file(name, content, part)
    assert (sha256, size) == (expected.sha256, expected.size)
    return expected


async def publication(
    store: Store, contents: Mapping[str, bytes], *, of: Transfer | None = None, at: datetime = NOW
) -> Publication:
    """A publication whose files lie in staging."""
    what = of or transfer(names=tuple(contents))
    files = [
        await stage(store, name, content, f"{what.job.id}-{index}.part")
        for index, (name, content) in enumerate(contents.items())
    ]
    return Publication(transfer=what, files=tuple(files), at=at)


def contents(verdict: Unpacked, into: str) -> tuple[StagedFile, ...]:
    """The files that an archive was unpacked to, as they are published."""
    return tuple(
        StagedFile(
            name=f"content/{file.name}",
            part=f"{into}/{file.name}",
            sha256=file.sha256,
            size=file.size,
            path=file.member,
            executable=file.executable,
        )
        for file in verdict.files
    )
