"""Verification runs beside the event loop and ends when nobody waits for it any more."""

from __future__ import annotations

import io
import threading

import anyio
import pytest

from artifact_sync.errors import Corrupt, StoreDamaged
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
    in_memory = False
    watch = None

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


class HeldPart(MemoryPart):
    """A part that has no file yet."""

    in_memory = True

    def reader(self) -> io.BytesIO:
        return io.BytesIO(self.file.getvalue())


async def test_a_small_archive_in_memory_is_proved_without_a_thread():
    """All threads are taken; it is proved all the same, and refused as any other where a byte of it is wrong."""
    data = real_zip({"a.txt": b"content" * 1000, "b/c.txt": b""})
    wrong = real_zip({"a.txt": b"content"}, compression=0).replace(b"content", b"contEnt", 1)
    taken = anyio.CapacityLimiter(1)
    taken.acquire_on_behalf_of_nowait("somebody else")
    # Whoever proves it may be interrupted for longer than is waited for, but not again and again.
    for _ in range(50):
        with anyio.move_on_after(0.2):
            report = await verify_archive(HeldPart(io.BytesIO(data)), limiter=taken)  # type: ignore[arg-type]  # as much of a Part as is used
            with pytest.raises(Corrupt, match="CRC") as caught:
                await verify_archive(HeldPart(io.BytesIO(wrong)), limiter=taken)  # type: ignore[arg-type]  # as much of a Part as is used
            break
    else:
        pytest.fail("it was left to a thread each time")
    assert (report.members, report.untested) == (2, 0)
    assert caught.value.hint


async def test_a_small_archive_that_takes_long_is_left_to_a_thread():
    """What unpacks to a thousand times its size does not hold up the event loop; it is proved as well."""
    data = real_zip({"zeros": bytes(24 << 20)})
    assert len(data) < 32 << 10
    limiter = anyio.CapacityLimiter(1)
    limiter.acquire_on_behalf_of_nowait("somebody else")
    with anyio.move_on_after(0.3) as waiting:
        await verify_archive(HeldPart(io.BytesIO(data)), limiter=limiter)  # type: ignore[arg-type]  # as much of a Part as is used
    assert waiting.cancelled_caught
    limiter.release_on_behalf_of("somebody else")
    report = await verify_archive(HeldPart(io.BytesIO(data)), limiter=limiter)  # type: ignore[arg-type]  # as much of a Part as is used
    assert (report.members, report.untested) == (1, 0)
