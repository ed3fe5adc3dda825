"""How explain tells the way of single files."""

from __future__ import annotations

from artifact_sync.cli.file_words import file_ways, files_not_there, files_words
from artifact_sync.core.file_patterns import items_of
from artifact_sync.core.model import Artifact, Item, Job, StagedFile, Transfer
from artifact_sync.ports import QueuedTransfer, TransferState


def transfer(*items: Item) -> Transfer:
    """Of an archive that is worth not being fetched."""
    artifacts = (Artifact(file_type="archive", size=1 << 30),)
    job = Job(id=7, name="build", status="success", artifacts=artifacts)
    return Transfer(project_id=1, project_path="g/p", job=job, rules=("r",), items=items, dest="g/p/7")


def test_the_ways_are_told_in_order_and_with_the_reason_of_the_first():
    """A line for each transfer that wants files, none for others."""
    wanted = [transfer(*items_of(["dist/*"])), transfer(Item(kind="trace", name="job.log"))]

    (line,) = files_words([], wanted)

    assert line == (
        "ranges of the archive (1 pattern: the directory and what is wanted, if the server sends ranges); "
        "else listed files; else whole archive"
    )


def test_files_of_an_archive_that_comes_anyway():
    """No way but that one."""
    archive = Item(kind="archive", name="artifacts.zip")

    assert [choice.way.value for choice in file_ways(transfer(archive, *items_of(["a"])))] == ["archive at hand"]


def test_what_a_complete_transfer_did_not_find_is_told():
    """Patterns and optional files; of one that is not complete nothing is known."""
    of = transfer(*items_of(["dist/*", "no/*", "sbom.json?"]))
    there = (StagedFile(name="files/dist/a", part="", sha256="", size=1, path="dist/a"),)
    complete = QueuedTransfer(id=1, transfer=of, state=TransferState.PUBLISHED, files=there)

    assert files_not_there(complete) == ("no/*", "sbom.json")
    assert list(files_words([complete], [])) == ["the archive has none for no/*, sbom.json"]
    assert files_not_there(QueuedTransfer(id=1, transfer=of, state=TransferState.WANTED, files=there)) == ()
