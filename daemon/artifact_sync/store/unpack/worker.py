"""The process that unpacks one archive: ``python -I -m artifact_sync.store.unpack.worker``.

It takes one order from standard input and tells on standard output what it does. Standard input stays open for as long as the
daemon wants the work; when it is closed, because the daemon was killed, the process ends.
"""

from __future__ import annotations

import os
import resource
import select
import sys

from artifact_sync.core.unpacking import UnpackLimits
from artifact_sync.store.unpack.extract import carry_out
from artifact_sync.store.unpack.wire import Advanced, Failed, Message, encode, order_from

__all__ = ["limited", "main"]

_STDIN, _STDOUT = 0, 1
#: Messages are collected up to this many bytes.
_BATCH = 32 * 1024
#: Seconds.
_CPU_MARGIN = 5
#: Characters of an unforeseen error.
_SHOWN = 300


def limited(limits: UnpackLimits) -> None:
    """Bound this process for good. Inherited bounds that are tighter stay."""
    bounds = {
        resource.RLIMIT_AS: (limits.memory, limits.memory),
        # SIGXCPU at the soft bound says what happened; SIGKILL at the hard one could be anybody's.
        resource.RLIMIT_CPU: (limits.cpu_time, limits.cpu_time + _CPU_MARGIN),
        resource.RLIMIT_FSIZE: (limits.total, limits.total),
        resource.RLIMIT_NOFILE: (limits.open_files, limits.open_files),
        resource.RLIMIT_CORE: (0, 0),
    }
    for kind, wanted in bounds.items():
        _, inherited = resource.getrlimit(kind)
        most = max(wanted) if inherited == resource.RLIM_INFINITY else inherited
        soft, hard = (min(bound, most) for bound in wanted)
        resource.setrlimit(kind, (soft, hard))


def main() -> int:
    """Carry out one order; the exit code is 0 when the last message was told, whatever it says."""
    order = order_from(os.read(_STDIN, _BATCH))
    limited(order.limits)
    speaker = _Speaker()
    try:
        carry_out(order, speaker.tell, speaker.pulse)
    except Exception as error:  # noqa: BLE001 - the daemon has to learn of it, whatever it is
        speaker.tell(Failed(number=0, text=f"{type(error).__name__}: {error}"[:_SHOWN]))
    speaker.flush()
    return 0


class _Speaker:
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._poll = select.poll()
        # POLLHUP is reported unasked.
        self._poll.register(_STDIN, 0)

    def tell(self, message: Message) -> None:
        self._buffer += encode(message)
        if len(self._buffer) >= _BATCH or isinstance(message, Advanced):
            self.flush()

    def pulse(self) -> None:
        """Between blocks: let the daemon know, and end when it is gone."""
        if self._poll.poll(0):
            os._exit(1)

    def flush(self) -> None:
        rest = memoryview(bytes(self._buffer))
        self._buffer.clear()
        while rest:
            rest = rest[os.write(_STDOUT, rest) :]


if __name__ == "__main__":
    sys.exit(main())
