"""The command `artifact-sync`, also as `python -m artifact_sync`: how its process begins and ends.

Both take longer than anything that a short command does in between, so what nobody needs is left out of them.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

__all__ = ["main"]

#: Objects made and not freed before cycles among them are looked for. CPython's 700 has it look dozens of times while
#: modules are imported, and what a module holds is never garbage.
_YOUNG = 10_000


def main() -> NoReturn:
    """Run the command and end the process with its exit code."""
    if "run" in sys.argv[1:]:
        # The daemon takes it for a reload, as soon as it can; until then it must not end it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Ctrl-C while modules are imported ends it without a word; later each command has its own way to end.
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(_YOUNG)
    # No package that happens to be installed beside this one has a say in what a configuration means; pydantic would
    # read the metadata of each to find out (https://docs.pydantic.dev/latest/concepts/plugins/).
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _import_without("structlog", "rich")
    cli = import_module("artifact_sync.cli")
    signal.signal(signal.SIGINT, interrupted)
    code = cli.main()
    # Everything is closed and durable here. The interpreter would go on to free each object on its own before it ends.
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _import_without(name: str, optional: str) -> None:
    """Import a module as if another one were not installed.

    structlog loads rich and Pygments for tracebacks in colour, with the values of variables; the log has plain ones.
    """
    sys.modules[optional] = None  # type: ignore[assignment]  # "not there", see importlib's documentation
    try:
        import_module(name)
    finally:
        del sys.modules[optional]


if __name__ == "__main__":
    main()
