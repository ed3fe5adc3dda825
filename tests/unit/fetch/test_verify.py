"""Verification runs beside the event loop and ends when nobody waits for it any more."""

from __future__ import annotations

import io
import threading

import anyio
import pytest

from artifact_sync.errors import StoreDamaged
from artifact_sync.fetch.verify import verify_archive
from tests.zips import craft, real_zip, text


class Opened(io.BytesIO):
    """A file in memory that tells when it is closed, and how often it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0
        self.began = threading.Event()
        self.ended = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads > 8:
            self.began.set()
        return super().read(size)

    def close(self) -> None:
        self.ended.set()
        super().close()


class MemoryPart:
    """As much of a part as verification needs."""

    name = "1-0.part"

    def __init__(self, file: io.BytesIO) -> None:
        self.file = file
        self.size = len(file.getvalue())

    def reader(self) -> io.BytesIO:
        return self.file


async def test_the_event_loop_goes_on_while_many_members_are_verified():
    """Forty thousand small members are looked at one by one in Python; a heartbeat keeps beating meanwhile."""
    data = craft([text(f"{number:06}", b"content") for number in range(40_000)])
    beats = 0
    verified = anyio.Event()

    async def beat() -> None:
        nonlocal beats
        while not verified.is_set():
            await anyio.sleep(0.001)
            beats += 1

    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        report = await verify_archive(MemoryPart(io.BytesIO(data)), limiter=anyio.CapacityLimiter(1))  # type: ignore[arg-type]  # as much of a Part as is used
        verified.set()

    assert report.members == 40_000
    assert beats > 10


async def test_a_cancelled_verification_ends_its_thread():
    """The large member is not read to its end."""
    file = Opened(real_zip({"large": bytes(range(256)) * (1 << 20)}, compression=0))

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: verify_archive(MemoryPart(file), limiter=anyio.CapacityLimiter(1)))  # type: ignore[arg-type]  # as much of a Part as is used
        assert await anyio.to_thread.run_sync(file.began.wait, 20)
        group.cancel_scope.cancel()

    assert await anyio.to_thread.run_sync(file.ended.wait, 20)
    assert file.reads < 500


async def test_a_part_that_cannot_be_read_back_is_a_damaged_store():
    """EIO while reading is no fault of the archive."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(StoreDamaged, match=r"reading 1-0.part back .* failed: Input/output error"):
        await verify_archive(MemoryPart(Broken(b"x")), limiter=anyio.CapacityLimiter(1))  # type: ignore[arg-type]  # as much of a Part as is used
