"""The tests' side of a process that is stopped, or fails, at a chosen call of the operating system."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

__all__ = ["TYPED", "Ask", "child"]

#: What comes of an attempt that is not killed.
TYPED = {"done", "NoSpace", "StoreDamaged", "StoreError"}

#: Takes the fields of an order, gives the answer.
Ask = Callable[..., dict[str, Any]]


@contextmanager
def child(name: str) -> Iterator[Ask]:
    """One process for a whole module: it forks for each order."""
    command = [sys.executable, "-m", f"tests.unit.store.{name}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        orders, answers = process.stdin, process.stdout

        def ask(**order: Any) -> dict[str, Any]:
            orders.write(msgspec.json.encode(order, enc_hook=str) + b"\n")
            orders.flush()
            answer: dict[str, Any] = json.loads(answers.readline())
            return answer

        yield ask
        orders.close()
