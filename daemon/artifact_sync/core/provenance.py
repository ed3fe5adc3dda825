"""What the runner said of the files that it uploaded, and whether these are they.

With ``RUNNER_GENERATE_ARTIFACTS_METADATA`` a runner adds ``{name}-metadata.json`` to the archive: an in-toto statement with
the sha256 of each file (gitlab-runner, commands/helpers/artifact_metadata.go;
https://docs.gitlab.com/ci/runners/configure_runners/#artifact-provenance-metadata). It is not signed: it tells a file that
changed between the runner and here, not who made it.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import Struct

from artifact_sync.core.archive import Member

__all__ = ["LARGEST", "Differing", "Judging", "Provenance", "Verdict", "may_be_statement", "subjects"]

#: Bytes of a statement that is read: some 100,000 subjects.
LARGEST = 16 << 20
_ENDING = b"-metadata.json"
_STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
#: Subjects that are named.
_TOLD = 20


class Verdict(StrEnum):
    """Whether the archive's files are those that the runner hashed."""

    VERIFIED = "verified"
    DIFFERS = "differs"


class Differing(Struct, frozen=True, kw_only=True):
    """A subject of the statement that is not so in the archive."""

    name: str
    reason: str


class Provenance(Struct, frozen=True, kw_only=True):
    """What came of comparing."""

    verdict: Verdict
    #: The statement, as the archive names it.
    statement: str
    subjects: int
    #: The first subjects that differ, and how many do.
    differing: tuple[Differing, ...] = ()
    differ: int = 0
    #: Regular files of the archive that the statement does not name, without itself.
    unnamed: int = 0


class _Subject(Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Statement(Struct, frozen=True):
    kind: str = msgspec.field(name="_type")
    subject: tuple[_Subject, ...]


def may_be_statement(member: Member) -> bool:
    """By its name and size: at the archive's top, where the runner puts it."""
    return (
        member.raw_name.endswith(_ENDING)
        and b"/" not in member.raw_name
        and member.size <= LARGEST
        and member.testable
        and stat.S_IFMT(member.mode) in {0, stat.S_IFREG}
    )


def subjects(content: bytes) -> Mapping[str, str] | None:
    """sha256 in hex by path, as the statement has them; None where it is none."""
    try:
        statement = msgspec.json.decode(content, type=_Statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if statement.kind not in _STATEMENTS:
        return None
    return {subject.name.removeprefix("./"): subject.digest.get("sha256", "") for subject in statement.subject}


class Judging:
    """Compares an archive's members with a statement, one after the other."""

    def __init__(self, statement: str, wanted: Mapping[str, str]) -> None:
        self._statement = statement
        self._subjects = len(wanted)
        self._left = dict(wanted)
        self._differing: list[Differing] = []
        self._differ = self._unnamed = 0

    def wants(self, member: Member) -> bool:
        """Whether the statement names it, so that its sha256 is needed. A link's content is not what the runner hashed."""
        if member.is_dir or stat.S_IFMT(member.mode) not in {0, stat.S_IFREG}:
            self._left.pop(member.name.rstrip("/"), None)
            return False
        if member.name in self._left:
            return True
        self._unnamed += member.name != self._statement
        return False

    def compare(self, member: Member, digest: str | None) -> None:
        """One that is wanted; None: it cannot be read here."""
        said = self._left.pop(member.name)
        if digest is None:
            self._differs(member.name, "it cannot be unpacked here")
        elif digest != said.lower():
            self._differs(member.name, f"its sha256 is {digest}, the runner said {said or 'none'}")

    def end(self) -> Provenance:
        """The verdict, once all members were shown."""
        for name in self._left:
            self._differs(name, "it is not in the archive")
        self._left = {}
        return Provenance(
            verdict=Verdict.DIFFERS if self._differ else Verdict.VERIFIED,
            statement=self._statement,
            subjects=self._subjects,
            differing=tuple(self._differing),
            differ=self._differ,
            unnamed=self._unnamed,
        )

    def _differs(self, name: str, reason: str) -> None:
        self._differ += 1
        if len(self._differing) < _TOLD:
            self._differing.append(Differing(name=name[:300], reason=reason[:300]))
