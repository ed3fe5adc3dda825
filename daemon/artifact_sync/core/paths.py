"""Destination paths: names that anybody may choose become path components that cannot lie.

Every field is encoded as ONE component: reversible, without two names meeting in one, never ``.``, ``..``, hidden, or with
a meaning to a shell or another system's file names. Only slashes that stand in the template itself make folders.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches

from artifact_sync.core.model import Candidate
from artifact_sync.core.semver import Version

__all__ = ["FIELDS", "Template", "TemplateError", "decode", "encode", "encode_path", "fields_of"]

FIELDS = (
    "project",
    "project_id",
    "ref",
    "ref_type",
    "job",
    "job_id",
    "pipeline_id",
    "stage",
    "sha",
    "short_sha",
    "source",
    "rule",
    "date",
    "version",
)
#: Fields that nest of their own: GitLab's groups are folders to everybody.
_NESTED = frozenset({"project"})
_MAY_NEST = frozenset({"ref", "job", "stage"})
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+@=,()[]{} ")
_NOT_FIRST = frozenset(".-~ ")
_NOT_LAST = frozenset(". ")
_EMPTY = "%"
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
#: Bytes of a component before it is cut and told apart by a hash; file systems stop at 255.
_LONGEST = 200
_HASH_MARK = "%~"
_HASH_BYTES = 16
_SHORT_SHA = 8
#: Written into every publication, and found there by name: no folder above one may have it.
_SUMS = "SHA256SUMS"
_NOT_SUMS = "%53HA256SUMS"


class TemplateError(ValueError):
    """The template cannot be used; the text says why and what to write."""


def encode(name: str) -> str:
    """The name as one path component of at most 255 bytes of ASCII.

    Reversible by ``decode`` up to 200 bytes; longer ones are cut and end in ``%~`` and a hash of the whole.
    """
    raw = name.encode("utf-8", "surrogatepass")
    out = [chr(b) if b in _SAFE else f"%{b:02X}" for b in raw]
    if not out:
        return _EMPTY
    if out[0] in _NOT_FIRST or _DEVICE.fullmatch(name):
        out[0] = f"%{raw[0]:02X}"
    if out[-1] in _NOT_LAST:
        out[-1] = f"%{raw[-1]:02X}"
    whole = "".join(out)
    if len(whole) <= _LONGEST:
        return whole
    digest = hashlib.sha256(raw).digest()[:_HASH_BYTES].hex()
    kept, length = [], 0
    for piece in out:
        length += len(piece)
        if length > _LONGEST - len(_HASH_MARK) - len(digest):
            break
        kept.append(piece)
    return f"{''.join(kept)}{_HASH_MARK}{digest}"


def decode(component: str) -> str:
    """The name that ``encode`` was given. Raises ValueError for a cut one, or for what encode never writes."""
    if _HASH_MARK in component:
        raise ValueError(f"{component!r} was too long to be reversible; its manifest has the name")
    if component == _EMPTY:
        return ""
    parts = component.split("%")
    raw = parts[0].encode("ascii")
    for part in parts[1:]:
        raw += bytes.fromhex(part[:2]) + part[2:].encode("ascii")
    name = raw.decode("utf-8", "surrogatepass")
    if encode(name) != component and component != _NOT_SUMS:
        raise ValueError(f"{component!r} is not an encoded name")
    return name


def encode_path(path: str) -> str:
    """A path with each of its components encoded; empty ones are kept apart from missing ones."""
    return "/".join(encode(part) for part in path.split("/"))


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    nested: bool

    def render(self, fields: Mapping[str, str]) -> str:
        value = fields[self.name]
        return encode_path(value) if self.nested else encode(value)

    def outline(self, rule: str) -> str:
        """What two templates have in common where they have the same."""
        return encode(rule) if self.name == "rule" else f"{{{self.name}{'|path' if self.nested else ''}}}"


@dataclass(frozen=True, slots=True)
class Template:
    """A destination with fields, such as ``{project}/{ref}/{job}/{job_id}``."""

    text: str
    #: Path components, each of literals and fields.
    components: tuple[tuple[str | _Field, ...], ...]

    @classmethod
    def parse(cls, text: str, *, needs_id: bool = True) -> Template:
        """From the text as written.

        ``needs_id``: without ``{job_id}`` two jobs would meet in one folder, so that is refused; and where two jobs are to
        meet, it is refused with it. Raises TemplateError.
        """
        components = tuple(_component(part, text) for part in text.split("/"))
        names = {piece.name for component in components for piece in component if isinstance(piece, _Field)}
        if needs_id and "job_id" not in names:
            raise TemplateError(f"{text}: two jobs would meet there; add /{{job_id}}")
        if not needs_id and "job_id" in names:
            raise TemplateError(f"{text}: no two jobs would ever meet there; leave {{job_id}} out")
        return cls(text, components)

    def outline(self, rule: str) -> tuple[str, ...]:
        """Its components under a rule of this name: where two templates have the same, they make the same of one job."""
        return tuple(
            "".join(piece if isinstance(piece, str) else piece.outline(rule) for piece in component)
            for component in self.components
        )

    def render(self, fields: Mapping[str, str]) -> str:
        """The path, relative, POSIX. ``fields`` has a value for each of ``FIELDS``."""
        path = "/".join(
            "".join(piece if isinstance(piece, str) else piece.render(fields) for piece in component)
            for component in self.components
        )
        # Here and not in ``encode``: a literal and a field can make the name together.
        return "/".join(_NOT_SUMS if part == _SUMS else part for part in path.split("/"))


def _component(part: str, whole: str) -> tuple[str | _Field, ...]:
    pieces: list[str | _Field] = []
    at = 0
    for found in re.finditer(r"\{([^{}]*)\}", part):
        pieces += _literal(part[at : found.start()], whole)
        pieces.append(_field(found[1], whole))
        at = found.end()
    pieces += _literal(part[at:], whole)
    if not pieces:
        raise TemplateError(f"{whole}: an empty path component; write a relative path such as {{project}}/{{job_id}}")
    if isinstance(pieces[0], str) and pieces[0][0] in _NOT_FIRST:
        raise TemplateError(f"{whole}: {part} begins with {pieces[0][0]!r}; begin it with a letter, a digit or a field")
    if isinstance(pieces[-1], str) and pieces[-1][-1] in _NOT_LAST:
        raise TemplateError(f"{whole}: {part} ends with {pieces[-1][-1]!r}; leave that out")
    nesting = [piece for piece in pieces if isinstance(piece, _Field) and piece.nested]
    if nesting and len(pieces) > 1:
        raise TemplateError(f"{whole}: {{{nesting[0].name}}} makes folders, so it stands alone between slashes")
    return tuple(pieces)


def _literal(text: str, whole: str) -> list[str | _Field]:
    if "{" in text or "}" in text:
        raise TemplateError(f"{whole}: a brace without its partner; write a field as {{job}}")
    bad = next((c for c in text if ord(c) > 127 or ord(c) not in _SAFE), None)  # noqa: PLR2004 - ASCII
    if bad is not None:
        raise TemplateError(f"{whole}: {bad!r} cannot stand in a path; use letters, digits and . _ - + @ = ,")
    return [text] if text else []


def _field(written: str, whole: str) -> _Field:
    name, bar, modifier = written.partition("|")
    if name not in FIELDS:
        near = get_close_matches(name, FIELDS, n=1)
        meant = f"did you mean {{{near[0]}}}? " if near else ""
        raise TemplateError(f"{whole}: no field {{{name}}}; {meant}fields are {', '.join(FIELDS)}")
    if bar and (modifier != "path" or name not in _MAY_NEST | _NESTED):
        raise TemplateError(
            f"{whole}: {{{written}}} is not known; only {{ref|path}}, {{job|path}} and {{stage|path}} nest"
        )
    return _Field(name, nested=bool(bar) or name in _NESTED)


def fields_of(candidate: Candidate, rule: str) -> dict[str, str]:
    """The template fields of a job under a rule. What the job does not have is an empty string."""
    job, project = candidate.job, candidate.project
    ended = job.ended_at or job.created_at
    version = Version.parse(job.ref) if job.tag else None
    return {
        "project": project.path_with_namespace,
        "project_id": str(project.id),
        "ref": job.ref,
        "ref_type": job.ref_type.value,
        "job": job.name,
        "job_id": str(job.id),
        "pipeline_id": str(job.pipeline.id) if job.pipeline else "",
        "stage": job.stage,
        "sha": job.sha,
        "short_sha": job.sha[:_SHORT_SHA],
        "source": job.pipeline_source or "",
        "rule": rule,
        # 'UTC day': the offset of the server's answer is not the reader's.
        "date": _utc_day(ended) if ended else "",
        "version": job.ref.removeprefix("v") if version else "",
    }


def _utc_day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")
