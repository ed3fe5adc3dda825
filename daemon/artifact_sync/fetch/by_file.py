"""Files each by a request of its own: the exact paths that are written down, or those that GitLab lists.

GitLab unpacks such a file while it sends it, with its size as Content-Length, and does not serve ranges of it (workhorse
internal/artifacts/entry.go).
"""

from __future__ import annotations

from http import HTTPStatus

from artifact_sync.core.model import Item, TreeEntry
from artifact_sync.core.selection import select
from artifact_sync.core.ways import Choice, dearer_than_archive
from artifact_sync.errors import NotFound, Refused, TooLarge, Transient
from artifact_sync.fetch.errand import Closed, Errand, too_large
from artifact_sync.fetch.missing import explain_gone, no_such_file
from artifact_sync.fetch.receiver import Receiver

__all__ = ["by_single", "by_tree"]

#: A hundred entries each; more are read from the archive itself.
_PAGES = 1000


async def by_single(receiver: Receiver, errand: Errand, choice: Choice) -> None:
    """Exact paths. Raises as ``Fetcher.fetch``."""
    errand.chose(choice, requests=len(errand.items), size=None)
    for item in errand.items:
        try:
            await _bring(receiver, errand, item)
        except NotFound as error:
            transfer, now = errand.queued.transfer, receiver.clock.now()
            gone = await explain_gone(receiver.remote, transfer, error, now=now)
            if gone is not None:
                raise gone from error
            if not item.optional:
                raise no_such_file(transfer, [item.path or ""], asked=error.asked) from error


async def by_tree(receiver: Receiver, errand: Errand, choice: Choice) -> None:
    """Patterns, among what GitLab lists. Raises Closed, and as ``Fetcher.fetch``."""
    listed = await _listed(receiver, errand)
    if any(entry.length is None and not entry.is_dir for entry in listed):
        raise Closed("the server's list leaves out sizes")
    selection = select(errand.items, listed, entry=lambda entry: entry)
    if selection.clash:
        # Which of two files of one name GitLab would send is not known; the archive tells whether there are two.
        raise Closed(selection.clash, whole=True)
    chosen = errand.agreed(selection)
    archive = errand.archive.size
    if dearer_than_archive(requests=len(chosen), size=selection.size, archive=archive):
        raise Closed(f"{len(chosen)} single files cost more than the archive of {archive} bytes", whole=True)
    errand.chose(choice, requests=len(chosen), size=selection.size)
    for one in chosen:
        item = Item(kind="file", name=one.name, path=one.path, size=one.size)
        try:
            await _bring(receiver, errand, item)
        except NotFound as error:
            raise Closed(f"{one.path} is listed, and not found", whole=True) from error


async def _listed(receiver: Receiver, errand: Errand) -> list[TreeEntry]:
    """Everything. GitLab leaves out paths that climb (lib/gitlab/ci/build/artifacts/metadata.rb), as runners do."""
    transfer = errand.queued.transfer
    listed: list[TreeEntry] = []
    pages = 0
    try:
        async for page in receiver.remote.tree(transfer.project_id, transfer.job.id):
            pages += 1
            listed += page.items
            if page.undecodable:
                raise Closed("the server's list has entries that are not understood")
            if pages > _PAGES or dearer_than_archive(requests=pages, size=0, archive=errand.archive.size):
                raise Closed("the list of the files alone costs more than the archive", whole=True)
    except (NotFound, Refused) as error:
        missing = receiver.remote.known.tree is False
        raise Closed("the server does not list the files of archives" if missing else str(error)) from error
    except Transient as error:
        # A file of the list's name, where there is no such list, that begins as JSON does.
        if error.status != HTTPStatus.OK:
            raise
        raise Closed(str(error)) from error
    return listed


async def _bring(receiver: Receiver, errand: Errand, item: Item) -> None:
    max_size = errand.queued.transfer.max_size
    before = sum(file.size for file in errand.haul.files if file.path is not None)
    room = None if max_size is None else max_size - before
    name = f"file{len(errand.haul.files)}"
    try:
        async with receiver.opened(errand.queued, item, name=name) as into:
            staged = await receiver.download(errand.queued, item, into, errand.report, max_size=room)
    except TooLarge as error:
        raise error if max_size is None or not before else too_large(max_size + 1, max_size) from error
    errand.haul.add(staged, into)
    errand.report.item_ended(staged.size)
