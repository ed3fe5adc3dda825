r"""Globs that mean something, and not what was meant: what never matches, and what was not finished.

``core.globs`` takes an opening bracket or brace without its closing one for itself, and so reads every text. Whoever writes
one seldom means that: job names of a matrix have brackets (``build: [linux, amd64]``,
https://docs.gitlab.com/ci/yaml/#parallelmatrix), which a glob has as ``\[``. Regular expressions are RE2's to judge.
"""

from __future__ import annotations

from artifact_sync.core.globs import PatternError, set_end

__all__ = ["check_name", "check_path", "check_project"]

_ITSELF = 'or write \\{0} for {0} itself (in double quotes: "\\\\{0}"), or /a regular expression/'
_NO_COMPONENTS = (".", "..")


def check_name(glob: str) -> None:
    """Of a ref, a job, a stage or a source. Raises PatternError, in the words of which the cure follows a semicolon."""
    if not _is_expression(glob):
        _check_finished(glob)


def check_project(glob: str, *, excludes: bool) -> None:
    """Of a project's path, which has a group and a slash. Raises as ``check_name``.

    A whole path that is none is not complained of unless it ``excludes``: GitLab is asked for it, and says so.
    """
    if _is_expression(glob):
        return
    _check_finished(glob)
    if "/" not in glob and "**" not in glob and (excludes or _has_wildcard(glob)):
        cure = f"write {glob}/** for what lies below that, **/{glob} for that in any group, or ** for everything"
        raise PatternError(f"never matches, because the path of a project has a slash, where wildcards stop; {cure}")
    if _has_wildcard(glob):
        _check_components(glob, "the path of a project")


def check_path(glob: str) -> None:
    """Of a file in an archive, with a wildcard in it. Raises as ``check_name``."""
    if not _is_expression(glob):
        _check_finished(glob)
        _check_components(glob, "a path inside an archive")


def _is_expression(text: str) -> bool:
    return len(text) > 1 and text.startswith("/") and text.endswith("/")


def _has_wildcard(glob: str) -> bool:
    return any(char in glob for char in "*?[]{}\\")


def _check_finished(glob: str) -> None:
    braces: list[int] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        if char == "\\" and at + 1 == len(glob):
            raise PatternError("a backslash at the end, which makes no character plain; leave it out, or write two")
        if char == "[":
            at = _after_set(glob, at)
            continue
        if char == "{":
            braces.append(at)
        elif char == "}" and braces:
            braces.pop()
        at += 2 if char == "\\" else 1
    if braces:
        raise PatternError(f"a {{ that is never closed; write }} behind its alternatives, {_ITSELF.format('{')}")


def _after_set(glob: str, begins: int) -> int:
    """Where the glob goes on behind a set."""
    ends = set_end(glob, begins)
    if ends is None:
        raise PatternError(f"a [ that is never closed; write ] behind its characters, {_ITSELF.format('[')}")
    inside = glob[begins + 1 : ends]
    if ", " in inside and "\\" not in inside:
        cure = f'write \\[{inside}\\] for that text (in double quotes: "\\\\[{inside}\\\\]"), or /a regular expression/'
        raise PatternError(f"[{inside}] is one character out of these, not this text; {cure}")
    return ends + 1


def _check_components(glob: str, what: str) -> None:
    """Where no component can be empty, what has one matches nothing."""
    first, *rest = glob.split("/")
    if not first:
        raise PatternError(f"never matches, because {what} begins with no slash; leave it out")
    if rest and not rest[-1]:
        raise PatternError(f"never matches, because {what} ends with no slash; write {glob}** for what lies below it")
    if bad := next((part for part in (first, *rest) if part in _NO_COMPONENTS), None):
        raise PatternError(f"never matches, because {what} has no part {bad}; leave it out")
    if "" in rest:
        raise PatternError(f"never matches, because {what} has no two slashes in a row; leave one out")
