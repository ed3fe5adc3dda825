"""What an event calls a transfer."""

from artifact_sync.core.events import PublicationRestored, names_of
from tests.storage import transfer


def test_an_event_of_a_transfer_has_its_names():
    """The project's path, the job with its number and ref, and the destination."""
    told = PublicationRestored(**names_of(transfer(7, dest="mirror/7")), size=1)
    assert (told.project, told.job_id, told.job, told.ref, told.dest) == ("group/app", 7, "package", "v1.0", "mirror/7")
