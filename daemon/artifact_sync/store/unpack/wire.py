"""What the daemon and the process that unpacks say to each other: JSON, one message a line."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from artifact_sync.core.unpacking import Rejected, SkippedLink, UnpackLimits

__all__ = [
    "Advanced",
    "Done",
    "Failed",
    "Foreseen",
    "Message",
    "Order",
    "Stored",
    "encode",
    "message_from",
    "order_from",
]


class Order(Struct, frozen=True, kw_only=True):
    """The only message to the process. ``archive`` and ``root`` are descriptors that it inherits."""

    archive: int
    root: int
    limits: UnpackLimits
    #: Bytes that may be written.
    available: int
    #: Of files; who may read one may execute it too where its owner may.
    mode: int = 0o644


class Foreseen(Struct, frozen=True, kw_only=True, tag="foreseen"):
    """A file that will be written; all of them are told before the first one is."""

    member: str
    path: tuple[str, ...]
    size: int
    executable: bool


class Stored(Struct, frozen=True, kw_only=True, tag="stored"):
    """The next of them is whole and on disk."""

    size: int
    sha256: str


class Advanced(Struct, frozen=True, kw_only=True, tag="advanced"):
    """Packed bytes read so far."""

    packed: int


class Done(Struct, frozen=True, tag="done"):
    """Everything is on disk, directories included."""


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """Not the archive's fault: ``number`` is an errno, or 0 for an error of the program."""

    number: int
    text: str


Message: TypeAlias = Foreseen | Stored | SkippedLink | Advanced | Done | Rejected | Failed

_MESSAGES: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode(message: Order | Message) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


def message_from(line: bytes) -> Message:
    """Raises msgspec.DecodeError."""
    return _MESSAGES.decode(line)


def order_from(line: bytes) -> Order:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Order)
