"""What a rule wants after a publication, as it was written, and the words in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum

from artifact_sync.core.paths import FIELDS

__all__ = ["COMMAND_FIELDS", "After", "CommandError", "CommandLine", "HookKind"]

#: What stands for itself in a command: where the publication is, beside the fields of a path.
COMMAND_FIELDS = ("path", "manifest", *FIELDS)
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


class HookKind(StrEnum):
    """What runs after a publication."""

    COMMAND = "command"
    WEBHOOK = "webhook"
    #: The job's artifacts are deleted in GitLab.
    DELETE_REMOTE = "delete_remote"


class CommandError(ValueError):
    """The command cannot be used; the text says why, and after a semicolon what to write."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A program and its arguments, some with fields: ``["/usr/local/bin/deploy", "--ref={ref}", "{path}"]``.

    Each becomes one argument whatever its fields hold: there is no shell that could read more into it.
    """

    #: As written.
    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, arguments: tuple[str, ...]) -> CommandLine:
        """From the arguments as written. Raises CommandError."""
        program = arguments[0] if arguments else ""
        if not program:
            raise CommandError('no program; write a list that begins with one, such as ["/usr/local/bin/deploy"]')
        if "{" in program or "}" in program:
            raise CommandError("a field in the program's name; write the program itself, and fields in its arguments")
        if "/" in program and not program.startswith("/"):
            raise CommandError("a program with a relative path; write its absolute path, or a name to be found in PATH")
        for argument in arguments:
            if "\0" in argument:
                raise CommandError("an argument with a NUL in it; leave it out")
            for _ in _pieces(argument):
                pass
        return cls(arguments)

    def render(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """What is run. ``values`` has one for each of ``COMMAND_FIELDS``."""
        return tuple(
            "".join(values[text] if is_field else text for text, is_field in _pieces(argument))
            for argument in self.arguments
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What one rule wants after its publications."""

    command: CommandLine | None = None
    #: Where to the manifest is posted. In no representation: its path and its query may be all that protects it.
    webhook: str | None = field(default=None, repr=False)
    delete_remote: bool = False

    @property
    def kinds(self) -> tuple[HookKind, ...]:
        """What is wanted, in the order in which it is begun."""
        wanted = {
            HookKind.COMMAND: self.command is not None,
            HookKind.WEBHOOK: self.webhook is not None,
            HookKind.DELETE_REMOTE: self.delete_remote,
        }
        return tuple(kind for kind, is_wanted in wanted.items() if is_wanted)


def _pieces(argument: str) -> list[tuple[str, bool]]:
    """The texts and fields of one argument, each with whether it is a field. Raises CommandError."""
    pieces: list[tuple[str, bool]] = []
    for found in _PIECE.finditer(argument):
        text, name = found[0], found[1]
        if name is None:
            if text in {"{", "}"}:
                raise CommandError(f"a brace without its partner; write a field as {{path}}, and {text * 2} for {text}")
            pieces.append((text[:1] if text in {"{{", "}}"} else text, False))
            continue
        if name not in COMMAND_FIELDS:
            near = get_close_matches(name, COMMAND_FIELDS, n=1)
            meant = f"did you mean {{{near[0]}}}? " if near else ""
            raise CommandError(f"no field {{{name}}}; {meant}fields are {', '.join(COMMAND_FIELDS)}")
        pieces.append((name, True))
    return pieces
