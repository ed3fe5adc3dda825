"""Standard output whose reader may go away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["CLOSED", "patient_output"]

#: As a shell reports SIGPIPE.
CLOSED = 141


class _Patient:
    """Writes until the reader is gone, and then to nowhere: what was asked for is done all the same."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.gone = False

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._give_up()

    def _give_up(self) -> None:
        # The interpreter flushes once more when it ends, and would complain.
        self.gone = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def patient_output() -> Iterator[_Patient]:
    """Standard output within the block is one that survives `| head`."""
    stream = sys.stdout
    patient = _Patient(stream)
    sys.stdout = patient
    try:
        yield patient
        patient.flush()
    finally:
        sys.stdout = stream
