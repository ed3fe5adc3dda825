"""The manifest beside every publication: enough to check it, and to rebuild the state from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from artifact_sync import __version__
from artifact_sync.core.model import Item, ItemKind, Job, StagedFile, Transfer
from artifact_sync.core.provenance import Provenance
from artifact_sync.core.unpacking import CONTENT, Contents, Unpack
from artifact_sync.errors import Corrupt, StoreError
from artifact_sync.ports import Publication

__all__ = [
    "VERSION",
    "ArchiveEntry",
    "FileEntry",
    "JobEntry",
    "Manifest",
    "PipelineEntry",
    "ProjectEntry",
    "encode",
    "json_schema",
    "merged",
    "parse",
    "parse_job",
]

T = TypeVar("T")

VERSION = 1

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Meta(ge=0)]
Instant = Annotated[datetime, Meta(tz=True)]
FileKind: TypeAlias = ItemKind | Literal["content"]


class ProjectEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The project, with its path at the time."""

    id: int
    path: str


class PipelineEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's pipeline."""

    id: int
    source: str | None


class JobEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job in a reader's words; ``transfer`` holds it as GitLab reported it."""

    id: int
    name: str
    stage: str
    status: str
    ref: str
    ref_type: str
    sha: str
    web_url: str
    finished_at: Instant | None
    pipeline: PipelineEntry | None


class FileEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One published file. ``path`` is inside the archive, ``source`` has no query, ``expected_size`` is GitLab's word."""

    name: str
    kind: FileKind
    path: str | None
    size: Size
    sha256: Sha256
    etag: str | None
    source: str
    expected_size: Size | None
    executable: bool = False

    def staged(self) -> StagedFile:
        """As the state keeps it. The part's name meant nothing any more once it was published."""
        return StagedFile(
            name=self.name,
            part="",
            sha256=self.sha256,
            size=self.size,
            etag=self.etag,
            source=self.source,
            path=self.path,
            executable=self.executable,
        )


class ArchiveEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An archive that was to be unpacked. Where it was not, it is published as the file that it is."""

    name: str
    size: Size
    sha256: Sha256
    etag: str | None
    source: str
    #: Whether it is among the files.
    published: bool
    contents: Contents

    @classmethod
    def of(cls, file: StagedFile, contents: Contents) -> ArchiveEntry:
        """To be written."""
        return cls(
            name=file.name,
            size=file.size,
            sha256=file.sha256,
            etag=file.etag,
            source=_without_query(file.source),
            published=file.published,
            contents=contents,
        )


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a publication. ``published_at`` is when its newest file came."""

    version: int = VERSION
    tool: str
    published_at: Instant
    project: ProjectEntry
    job: JobEntry
    rules: tuple[str, ...]
    files: tuple[FileEntry, ...]
    artifacts_expire_at: Instant | None
    transfer: Transfer
    #: What became of archives that were to be unpacked.
    unpacked: tuple[ArchiveEntry, ...] = ()
    #: By the archive's name: whether its files are those that the runner hashed. Nothing is said of archives without its word.
    provenance: Mapping[str, Provenance] = {}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def by_name(self) -> Mapping[str, FileEntry]:
        """The files by their names."""
        return {file.name: file for file in self.files}


class _Versioned(Struct, frozen=True):
    version: int


class _WithJob(Struct, frozen=True):
    job: Job


class _Head(Struct, frozen=True):
    transfer: _WithJob


def parse(content: bytes, *, where: str) -> Manifest:
    """Read a manifest back. ``where`` names it in errors.

    Raises Corrupt when it is none or not whole, StoreError when a newer artifact-sync wrote it.
    """
    return _parsed(content, Manifest, where)


def parse_job(content: bytes, *, where: str) -> Job:
    """The job of a manifest, as GitLab reported it, without its files, of which there may be many. Raises as ``parse``."""
    return _parsed(content, _Head, where).transfer.job


def _parsed(content: bytes, kind: type[T], where: str) -> T:
    try:
        version = msgspec.json.decode(content, type=_Versioned).version
        if version == VERSION:
            return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(
            f"{where} is not a whole manifest: {error}",
            hint="Move its directory out of the store; it is published again by the next attempt.",
        ) from error
    raise StoreError(
        f"{where} has version {version}, this artifact-sync reads version {VERSION}",
        hint="Run the newer artifact-sync that wrote it.",
    )


def encode(manifest: Manifest) -> bytes:
    """UTF-8 JSON with sorted keys, indented, with a line break at its end: the same manifest, the same bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a manifest."""
    schema = msgspec.json.schema(Manifest)
    definitions: dict[str, Any] = schema["$defs"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **definitions.pop("Manifest"),
        "$defs": dict(sorted(definitions.items())),
    }


def merged(publication: Publication, earlier: Manifest | None) -> Manifest:
    """The manifest after this publication: the union of what was there and what comes, under all rules' names.

    The same as ``earlier`` when nothing is new. Raises StoreError for a file that is no item of the transfer, and
    Corrupt when ``earlier`` is of another job.
    """
    transfer = publication.transfer
    if earlier is not None:
        _require_same_job(transfer, earlier)
        transfer = _union(transfer, earlier.transfer)
    items = {item.name: item for item in transfer.items}
    files = dict(earlier.by_name) if earlier is not None else {}
    for file in publication.shown:
        known = files.get(file.name)
        if known is None or (known.sha256, known.size) != (file.sha256, file.size):
            files[file.name] = _entry(file, items)
    unpacked = {entry.name: entry for entry in (earlier.unpacked if earlier is not None else ())}
    unpacked |= {file.name: ArchiveEntry.of(file, file.contents) for file in publication.files if file.contents}
    provenance = dict(earlier.provenance) if earlier is not None else {}
    provenance |= {file.name: file.provenance for file in publication.files if file.provenance}
    manifest = _manifest(transfer, files.values(), unpacked.values(), provenance, publication.at)
    if (
        earlier is not None
        and msgspec.structs.replace(manifest, published_at=earlier.published_at, tool=earlier.tool) == earlier
    ):
        return earlier
    return manifest


def _manifest(
    transfer: Transfer,
    files: Iterable[FileEntry],
    unpacked: Iterable[ArchiveEntry],
    provenance: Mapping[str, Provenance],
    at: datetime,
) -> Manifest:
    job = transfer.job
    pipeline = PipelineEntry(id=job.pipeline.id, source=job.pipeline_source) if job.pipeline else None
    return Manifest(
        tool=f"artifact-sync {__version__}",
        published_at=at,
        project=ProjectEntry(id=transfer.project_id, path=transfer.project_path),
        job=JobEntry(
            id=job.id,
            name=job.name,
            stage=job.stage,
            status=job.status,
            ref=job.ref,
            ref_type=job.ref_type,
            sha=job.sha,
            web_url=job.web_url,
            finished_at=job.finished_at,
            pipeline=pipeline,
        ),
        rules=transfer.rules,
        files=tuple(sorted(files, key=lambda file: file.name)),
        artifacts_expire_at=job.artifacts_expire_at,
        transfer=transfer,
        unpacked=tuple(unpacked),
        provenance=provenance,
    )


def _entry(file: StagedFile, items: Mapping[str, Item]) -> FileEntry:
    item = items.get(file.name)
    return FileEntry(
        name=file.name,
        kind=item.kind if item is not None else _kind(file, items.values()),
        path=item.path if item is not None else file.path,
        size=file.size,
        sha256=file.sha256,
        etag=file.etag,
        source=_without_query(file.source),
        expected_size=item.size if item is not None else None,
        executable=file.executable,
    )


def _kind(file: StagedFile, items: Iterable[Item]) -> FileKind:
    """Of a file that came out of an archive by an item with another name."""
    wanted = tuple(items)
    if file.path is not None and file.name.startswith(f"{CONTENT}/"):
        if any(item.unpack is not Unpack.NO for item in wanted):
            return "content"
    elif file.path is not None and any(item.kind == "files" for item in wanted):
        return "file"
    raise StoreError(
        f"{file.name!r} is no item of its transfer", hint="This is an error in artifact-sync: please report it."
    )


def _without_query(url: str) -> str:
    """A signed URL is a credential for as long as it lives; what comes here has lost its query already."""
    return urlsplit(url)._replace(query="", fragment="").geturl() if "?" in url or "#" in url else url


def _require_same_job(transfer: Transfer, earlier: Manifest) -> None:
    ours, theirs = (transfer.project_id, transfer.job.id), (earlier.project.id, earlier.job.id)
    if ours != theirs:
        raise Corrupt(
            f"{transfer.dest} holds job {theirs[1]} of project {theirs[0]}, not job {ours[1]} of project {ours[0]}",
            hint="Two jobs must not share a destination: put {job_id} into the rule's publish.path.",
        )


def _union(transfer: Transfer, earlier: Transfer) -> Transfer:
    names = {item.name for item in transfer.items}
    return msgspec.structs.replace(
        transfer,
        rules=tuple(dict.fromkeys((*earlier.rules, *transfer.rules))),
        items=(*(item for item in earlier.items if item.name not in names), *transfer.items),
    )
