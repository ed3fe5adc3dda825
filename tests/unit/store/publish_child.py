"""A process that publishes, or points a link, and is disturbed. Not a test module."""

from pathlib import Path
from typing import Any

from artifact_sync.core.newest import Link, Linkable
from artifact_sync.ports import Publication
from artifact_sync.store.disk import Syncer
from artifact_sync.store.latest import Pointer
from artifact_sync.store.layout import Layout, laid_out
from artifact_sync.store.publish import Publisher
from tests.unit.store import faults


class Order(faults.Order, frozen=True, kw_only=True):
    """What to do. With ``latest`` what is published already is pointed at, and nothing is published."""

    publication: Publication
    #: Others that are published in the same batch.
    beside: tuple[Publication, ...] = ()
    latest: Link | None = None


def _publish(publisher: Publisher, order: Order) -> None:
    """Raise the first failure of all."""
    for result in publisher.publish_all([order.publication, *order.beside]):
        if isinstance(result, Exception):
            raise result


def _point(layout: Layout, link: Link, order: Order) -> None:
    transfer = order.publication.transfer
    Pointer(layout=layout, sync=Syncer()).point(link, Linkable(transfer.dest, transfer.job))


def carry_out(order: Order) -> dict[str, Any]:
    """Publish or point once; what came of it."""
    with laid_out(Path(order.store), Syncer()) as layout:
        publisher = Publisher(layout=layout, sync=Syncer())
        if order.latest is not None:
            link = order.latest
            return faults.disturbed(order, lambda: _point(layout, link, order))
        return faults.disturbed(order, lambda: _publish(publisher, order))


if __name__ == "__main__":
    faults.serve(Order, carry_out)
