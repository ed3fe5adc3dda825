"""What the daemon believes of the process that unpacks for it."""

from __future__ import annotations

import errno

import pytest
from anyio import EndOfStream
from anyio.abc import ByteReceiveStream

from artifact_sync.core.unpacking import Rejected, SkippedLink, Unpacked
from artifact_sync.errors import NoSpace, StoreDamaged, StoreError
from artifact_sync.store.disk import disk_errors
from artifact_sync.store.unpack.account import Account, lines
from artifact_sync.store.unpack.wire import Advanced, Done, Failed, Foreseen, Message, Stored, encode

A = Foreseen(member="a", path=("a",), size=1, executable=False)
STORED = Stored(size=1, sha256="0" * 64)


def told(*messages: Message) -> Unpacked | Rejected | None:
    """What the daemon makes of these words."""
    account = Account("artifacts.zip", None)
    verdict = None
    with disk_errors("unpacking artifacts.zip"):
        for message in messages:
            verdict = account.take(encode(message))
    return verdict


def test_a_report_that_covers_the_plan_is_believed():
    """Files, links and progress in their order."""
    verdict = told(A, Advanced(packed=1), STORED, SkippedLink(member="l", target="a"), Done())

    assert isinstance(verdict, Unpacked)
    assert [(file.name, file.size, file.sha256) for file in verdict.files] == [("a", 1, "0" * 64)]
    assert verdict.size == 1


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        pytest.param((A, Done()), "1 files were planned, 0 written", id="too few"),
        pytest.param((A, STORED, STORED), "more files were written than planned", id="too many"),
        pytest.param((STORED,), "more files were written than planned", id="none planned"),
        pytest.param((A, Stored(size=2, sha256="0" * 64)), "planned with 1 bytes, 2 were written", id="other size"),
        pytest.param((A, STORED, A), "planned after files were written", id="late plan"),
        pytest.param((Failed(number=0, text="KeyError: 'x'"),), "KeyError", id="its own error"),
    ],
)
def test_a_report_that_contradicts_itself_is_not_believed(messages, words):
    """The daemon does not publish what it cannot account for."""
    with pytest.raises(StoreError, match=words) as caught:
        told(*messages)
    assert caught.value.hint


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b'{"type":"done"', b"[1]", b'{"type":"stored","size":"1"}'])
def test_what_is_no_message_is_an_error(line):
    """Whatever stands on the pipe."""
    with pytest.raises(StoreError, match="no message"):
        Account("artifacts.zip", None).take(line)


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EIO, StoreDamaged), (errno.EACCES, StoreError)],
)
def test_the_disk_fails_as_it_does_elsewhere(number, error):
    """An errno of the process is judged like one of the daemon."""
    with pytest.raises(error):
        told(A, Failed(number=number, text="failed"))


class Pipe(ByteReceiveStream):
    """A stream of these chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._chunks:
            raise EndOfStream
        return self._chunks.pop(0)

    async def aclose(self) -> None:
        self._chunks.clear()


async def test_lines_are_put_together():
    """However the pipe cuts them; what has no end was never said."""
    assert [line async for line in lines(Pipe(b"on", b"e\ntwo\nth", b"ree\n", b"half"), "x")] == [
        b"one",
        b"two",
        b"three",
    ]


async def test_an_endless_line_is_an_error():
    """Memory is bounded."""
    with pytest.raises(StoreError, match="does not end"):
        async for _ in lines(Pipe(*[b"x" * 65536] * 5), "x"):
            pass
