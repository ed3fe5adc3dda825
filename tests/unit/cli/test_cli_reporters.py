"""What is told of each event: plain lines, JSON lines, bars."""

import io
import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from rich.console import Console

from artifact_sync.cli.jsonl import JsonLines
from artifact_sync.cli.lines import line
from artifact_sync.cli.plain import Plain
from artifact_sync.cli.progress import Bars
from artifact_sync.core import events
from artifact_sync.core.after import HookKind
from artifact_sync.core.inspection import Damage, Fault
from artifact_sync.core.model import KeepResult
from artifact_sync.errors import Outcome

SOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JOB: dict[str, Any] = {
    "project": "group/app",
    "job_id": 7,
    "job": "package",
    "ref": "v1.0",
    "dest": "group/app/v1.0/package/7",
}
EVENTS = (
    events.Started(version="1.0", url="https://gitlab.example.com", store="/mirror"),
    events.ProjectFound(project_id=1, path="group/app"),
    events.ProjectFailed(project="group/app", error="GET /projects/1: 502", hint="wait"),
    events.Discovered(project_id=1, path="group/app", jobs=100, selected=3),
    events.Selected(**JOB, rules=("releases",), size=2048, deadline=SOON, late=True),
    events.TransferStarted(
        transfer_id=1, project="group/app", job_id=7, job="package", ref="v1.0", dest="d", total=2048
    ),
    events.Received(transfer_id=1, received=1024),
    events.TransferEnded(transfer_id=1, **JOB, outcome=Outcome.PUBLISHED, size=2048, seconds=2.0),
    events.TransferEnded(transfer_id=2, **JOB, outcome=Outcome.CORRUPT, error="CRC", hint="tell", retry_at=SOON),
    events.Kept(project="group/app", job_id=7, job="package", rule="r", expire_at=SOON, result=KeepResult.KEPT),
    events.Damaged(**JOB, damages=(Damage(fault=Fault.CONTENT, name="artifacts.zip"),), count=1),
    events.Mended(**JOB, whole=False),
    events.Foreign(dest=JOB["dest"], names=("notes.txt",)),
    events.LatestMoved(link="group/app/latest", dest=JOB["dest"]),
    events.LatestFailed(link="group/app/latest", dest=JOB["dest"], error="in the way", hint="move it"),
    events.PublicationPruned(**JOB, size=2048, why="not among last 2"),
    events.PublicationRestored(**JOB, size=2048),
    events.PruneRefused(removable=8, publications=10, most=1, hint="look"),
    events.TrashEmptied(publications=2, freed=2048, early=True),
    events.HookEnded(
        **JOB, rule="r", kind=HookKind.WEBHOOK, result="failed", attempt=2, detail="503", hint="look", retry_at=SOON
    ),
    events.HooksDropped(rule="r", kind=HookKind.COMMAND, count=2),
    events.WebhookReceived(result="accepted"),
    events.Audited(project_id=1, path="group/app", jobs=100, selected=3, missing=1),
    events.Recovered(republished=1, restarted=2, strays_removed=0, missing=0),
    events.Stopping(reason="SIGTERM"),
)


def test_every_event_is_here():
    """The events of these tests are all that there are."""
    assert {type(event) for event in EVENTS} == set(get_args(events.Event))


def test_plain_lines_are_one_a_happening():
    """Plain output has a dated line for each happening, and none for bytes, pages without news, or what goes with a happening."""
    out = io.StringIO()
    with Plain(out) as tell:
        for event in EVENTS:
            tell(event)
    lines = out.getvalue().splitlines()
    assert len(lines) == len(EVENTS) - 5
    assert all(text[:4].isdigit() and text[20] == " " for text in lines)
    assert (
        "mirrored  group/app v1.0 package #7: 2.0 KiB in 2 s, 1.0 KiB/s -> group/app/v1.0/package/7" in out.getvalue()
    )
    assert "corrupt: CRC; next try 2026-03-01 12:00:00 UTC (hint: tell)" in out.getvalue()
    assert "finished late" in out.getvalue()


def test_verbose_tells_more_but_never_bytes():
    """Verbose output adds pages and starts; arriving bytes are no line in any mode."""
    assert [type(event).__name__ for event in EVENTS if line(event) is None] == [
        "Discovered",
        "TransferStarted",
        "Received",
        "LatestMoved",
        "WebhookReceived",
    ]
    assert [type(event).__name__ for event in EVENTS if line(event, verbose=True) is None] == ["Received"]


def test_a_job_name_cannot_forge_a_line():
    """Control characters of a job's name are shown as escapes: no second line, no cursor movement."""
    out = io.StringIO()
    Plain(out)(events.Stopping(reason="a\nmirrored  b\x1b[2J"))
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()
    assert "a\\nmirrored  b\\x1b[2J" in out.getvalue()


def test_json_lines_hold_every_field():
    """Each line of JSON is an object with the event's name, the moment, and its fields."""
    out = io.StringIO()
    with JsonLines(out) as tell:
        for event in EVENTS:
            tell(event)
    told = [json.loads(text) for text in out.getvalue().splitlines()]
    assert [entry["event"] for entry in told][:3] == ["started", "project_found", "project_failed"]
    assert all(datetime.fromisoformat(entry["at"]) for entry in told)
    ended = next(entry for entry in told if entry["event"] == "transfer_ended")
    assert (ended["outcome"], ended["size"], ended["dest"]) == ("published", 2048, "group/app/v1.0/package/7")


def test_json_progress_is_paced():
    """A transfer's progress comes at most once a second, however many batches arrive."""
    out = io.StringIO()
    tell = JsonLines(out)
    for received in range(1000):
        tell(events.Received(transfer_id=1, received=received))
    assert out.getvalue().count("\n") < 5


@pytest.mark.parametrize("width", [40, 120])
def test_bars_show_transfers_and_a_total(width):
    """On a terminal the running transfer has a bar, the end becomes a line, and the total counts both."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None)
    with Bars(console) as tell:
        for event in EVENTS:
            tell(event)
        assert len(tell._progress.tasks) == 1
        assert tell._progress.tasks[0].completed == 2048
        assert tell._progress.tasks[0].description == "total, 1 of 1 mirrored"
    assert "mirrored  group/app v1.0 package #7" in out.getvalue().replace("\n", "")


def test_bars_do_not_take_names_for_markup():
    """A job called [red] is shown as it is called."""
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=True, width=120, color_system=None)) as tell:
        tell(events.Stopping(reason="[red]x[/red]"))
    assert "[red]x[/red]" in out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_bars_do_not_wrap(width):
    """Each running transfer is one row of the terminal, however narrow it is and whatever its name."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None)
    with Bars(console) as tell:
        for number in range(3):
            tell(
                events.TransferStarted(
                    transfer_id=number,
                    project="a-group/with-a-long-path/app",
                    job_id=number,
                    job="package: [linux, x86_64]",
                    ref="refs/merge-requests/123/head",
                    dest="d",
                    total=3 << 30,
                )
            )
            tell(events.Received(transfer_id=number, received=1 << 30))
        rows = console.render_lines(tell._progress.get_renderable(), pad=False)
        shown = ["".join(segment.text for segment in row).rstrip() for row in rows]
    assert len(shown) == 4
    assert all(len(text) <= width for text in shown)
    # Cut, never folded: the bytes are on the row of their transfer.
    if width >= 60:
        assert all("1.0/3.0 GiB" in text for text in shown[1:])


def test_an_audit_says_what_was_missed():
    """What discovery missed is told apart from what it had not come to."""
    seen = events.Audited(project_id=1, path="group/app", jobs=100, selected=3, missing=0, ahead=2)
    assert line(seen) == "audited   group/app: 100 jobs, 3 selected, none missed, 2 new"
    assert line(EVENTS[-3]) == "audited   group/app: 100 jobs, 3 selected, 1 missed, wanted now"


def test_retention_in_lines():
    """What went and why, what came back, what was too much, and why the trash was emptied early."""
    job = "group/app v1.0 package #7"
    dest = "group/app/v1.0/package/7"
    gone = events.PublicationPruned(**JOB, size=2048, why="not among last 2")
    assert line(gone) == f"pruned    {job}: 2.0 KiB, not among last 2 -> trash (was {dest})"
    assert line(events.PublicationRestored(**JOB, size=2048)) == f"restored  {job}: 2.0 KiB -> {dest}"
    refused = events.PruneRefused(removable=8, publications=10, most=1, hint="look")
    assert line(refused) == "unpruned  8 of 10 publications would go, more than 1 at once (hint: look)"
    emptied = events.TrashEmptied(publications=2, freed=2048, early=True)
    early = ", before its time: the disk is below store.min_free"
    assert line(emptied) == f"emptied   2 publications from the trash, 2.0 KiB free{early}"
