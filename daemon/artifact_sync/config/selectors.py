"""The notations of a rule: patterns, selectors, templates, version ranges. Each is checked by the core's own parser."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from artifact_sync.config.keys import NOT_EMPTY, Text, leaf
from artifact_sync.config.problems import Wrong
from artifact_sync.core.after import CommandError, CommandLine
from artifact_sync.core.file_patterns import FilePattern
from artifact_sync.core.glob_faults import check_name, check_path, check_project
from artifact_sync.core.paths import Template, TemplateError
from artifact_sync.core.patterns import PatternError, PatternList
from artifact_sync.core.rules import ProjectSelectors
from artifact_sync.core.semver import SemverError
from artifact_sync.core.semver import SemverRange as CoreRange

__all__ = [
    "ArtifactPath",
    "Command",
    "Extract",
    "LatestTemplate",
    "PathTemplate",
    "ProjectSelector",
    "SemverRange",
    "TextPattern",
    "Word",
]

#: How a cure begins; RE2 repeats the expression in its messages, which may have a semicolon as well.
_CURE = re.compile(r"(add|begin|did|fields|leave|only|spell|use|write) ")
_PATTERN_CURE = (
    "write a glob such as v*, or /a regular expression/ that RE2 understands (no lookaround, no backreference)"
)


def _wrong(kind: str, error: ValueError, written: str, cure: str) -> Wrong:
    """The core's words, in one line and without the text that stands in the file anyway; its own cure, if it has one."""
    said = str(error).removeprefix(f"{written.removeprefix('!')}: ")
    what, _, own_cure = " ".join(said.split()).partition("; ")
    return Wrong(f"not a usable {kind}: {what}", own_cure if _CURE.match(own_cure) else cure)


def _pattern(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong("not text", "put it in quotes")
    if value.strip("! \t") == "":
        raise Wrong("an empty pattern", "write * for everything, or leave the list empty")
    try:
        PatternList.parse([value], separator=False)
        check_name(value.removeprefix("!"))
    except PatternError as error:
        raise _wrong("pattern", error, value, _PATTERN_CURE) from None
    return value


def _project(value: object) -> str | int:
    cure = "write a path such as group/app, a glob such as group/**, or a numeric id"
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise Wrong("not the id of a project", cure)
        return value
    if not isinstance(value, str) or value.strip("!/ ") == "":
        raise Wrong("not a project", cure)
    if value.endswith("/") and not value.startswith("/"):
        raise Wrong("a path with a slash at its end", f"write {value.rstrip('/')}, or {value}** for what lies below it")
    if "://" in value:
        raise Wrong("a URL", f"{cure}, without the address of the instance")
    try:
        selectors = ProjectSelectors.parse([value])
        if selectors.paths.wanted or selectors.paths.excluded:
            check_project(value.removeprefix("!"), excludes=value.startswith("!"))
    except PatternError as error:
        raise _wrong("pattern", error, value, cure) from None
    return value


def _template(value: object, *, needs_id: bool) -> str:
    cure = "write a path below tree/, such as {project}/{ref}/{job}/" + ("{job_id}" if needs_id else "latest")
    if not isinstance(value, str):
        raise Wrong("not text", cure)
    try:
        Template.parse(value, needs_id=needs_id)
    except TemplateError as error:
        raise _wrong("template", error, value, cure) from None
    return value


def _path_template(value: object) -> str:
    return _template(value, needs_id=True)


def _latest_template(value: object) -> str:
    return _template(value, needs_id=False)


def _semver(value: object) -> str:
    cure = 'write a range in quotes, such as ">=1.2 <3"'
    if not isinstance(value, str):
        raise Wrong("not text", cure)
    try:
        CoreRange.parse(value)
    except SemverError as error:
        raise _wrong("range of versions", error, value, cure) from None
    return value


def _artifact_path(value: object) -> str:
    cure = "write the path inside the archive, such as dist/app.tar.gz, or a glob such as dist/**/*.whl"
    if not isinstance(value, str):
        raise Wrong("not text", "put it in quotes")
    if value.strip("!? \t") == "":
        raise Wrong("an empty pattern", "write ** for everything, or leave the list empty")
    try:
        if value.startswith("!"):
            PatternList.parse([value], separator=True)
            check_path(value[1:])
            return value
        pattern = FilePattern.parse(value)
        if not pattern.exact:
            check_path(pattern.path)
    except PatternError as error:
        raise _wrong("pattern", error, value, cure) from None
    path = pattern.path
    if pattern.exact and (
        path.startswith("/") or "\\" in path or not all(part.strip(". ") for part in path.split("/"))
    ):
        raise Wrong("not a path inside an archive", cure)
    return value


#: Types of artifacts that are no reports, the last of which the API gives to nobody (DOWNLOADABLE_TYPES of
#: app/models/concerns/enums/ci/job_artifact.rb).
_NO_REPORTS = {
    "archive": "write archive: true instead",
    "trace": "write trace: true instead",
    "metadata": "remove it: GitLab gives it to nobody",
}


def _word(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[a-z][a-z0-9_]{0,63}", value):
        raise Wrong("not the name of a report type", "write a type such as junit or cyclonedx")
    if value in _NO_REPORTS:
        raise Wrong("no report", _NO_REPORTS[value])
    return value


def _command(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        CommandLine.parse(value)
    except CommandError as error:
        cure = 'write a list such as ["/usr/local/bin/deploy", "{path}"]'
        raise _wrong("command", error, "", cure) from None
    return value


def _extract(value: object) -> bool | str:
    if value == "only" or isinstance(value, bool):
        return value
    raise Wrong("not one of true, false, only", "write true, false, or only")


_STRING: dict[str, Any] = {"type": "string", "minLength": 1}

TextPattern = Annotated[str, *leaf(_pattern, _STRING)]
ProjectSelector = Annotated[str | int, *leaf(_project, {"anyOf": [_STRING, {"type": "integer", "minimum": 1}]})]
PathTemplate = Annotated[str, *leaf(_path_template, _STRING)]
LatestTemplate = Annotated[str, *leaf(_latest_template, _STRING)]
SemverRange = Annotated[str, *leaf(_semver, _STRING)]
ArtifactPath = Annotated[str, *leaf(_artifact_path, _STRING)]
Command = Annotated[tuple[Text, ...], *NOT_EMPTY, AfterValidator(_command)]
Word = Annotated[str, *leaf(_word, {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"})]
Extract = Annotated[bool | Literal["only"], *leaf(_extract, {"enum": [True, False, "only"]})]
