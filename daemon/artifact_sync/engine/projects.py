"""Which projects the rules mean, as GitLab knows them now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar
from urllib.parse import quote

import msgspec

from artifact_sync.core.model import Project
from artifact_sync.core.rules import Rule
from artifact_sync.errors import CredentialRefused, Refused, RemoteError
from artifact_sync.ports import Page, Remote

__all__ = ["Resolved", "known_as", "resolve"]

T = TypeVar("T")

#: Projects of one list, of which each is held in memory: a kilobyte or less, as long as their texts are what GitLab allows.
_MOST = 1_000_000
#: Characters of all of them: as many as such projects have, and no more where single ones are monstrous.
_MOST_TEXT = 1 << 29
#: Pages in a row on which nothing is new. One may be: a list that is paged by number moves on while it is read.
_MOST_STALE = 3


class Resolved:
    """Projects by id, and what could not be resolved by how a rule names it."""

    def __init__(self) -> None:
        self.projects: dict[int, Project] = {}
        self.failures: dict[str, RemoteError] = {}


async def resolve(remote: Remote, rules: Sequence[Rule], *, most: int = _MOST) -> Resolved:
    """Ask GitLab for every project that some rule means.

    What is not visible is left out; the others go on. A list of more than ``most`` projects, or of the same ones again and
    again, is a failure of its own, and what it had shown by then stays. Raises CredentialRefused.
    """
    resolved = Resolved()
    named: list[str | int] = []
    for rule in rules:
        named += [*sorted(rule.projects.ids), *rule.projects.exact_paths]
    for name in _distinct(named):
        try:
            project = await remote.project(name)
        except CredentialRefused:
            raise
        except RemoteError as error:
            resolved.failures[str(name)] = error
        else:
            _take(resolved, _named(project, name), rules)
    for prefix in _distinct(p for rule in rules for p in rule.projects.group_prefixes):
        pages = remote.group_projects(prefix) if prefix else remote.projects()
        try:
            await _listed(resolved, pages, rules, f"GET /api/v4/{_list_of(prefix)}", most)
        except CredentialRefused:
            raise
        except RemoteError as error:
            resolved.failures[f"{prefix}/" if prefix else "all projects"] = error
    return resolved


async def _listed(
    resolved: Resolved, pages: AsyncIterator[Page[Project]], rules: Sequence[Rule], asked: str, most: int
) -> None:
    seen: set[int] = set()
    text = stale = 0
    async for page in pages:
        known = len(seen)
        seen.update(project.id for project in page.items)
        stale = 0 if len(seen) > known else stale + bool(page.items)
        if stale >= _MOST_STALE:
            hint = "Something between here and GitLab serves old pages: let it not cache the API."
            raise Refused(asked, "pages that show the same projects again and again", hint=hint)
        text += sum(len(project.path_with_namespace) + len(project.web_url) for project in page.items)
        if len(seen) > most or text > _MOST_TEXT:
            what = f"more than {most} projects" if len(seen) > most else "paths of projects beyond all measure"
            hint = "Name groups in rules.projects in place of all; or something that is not GitLab's API answers there."
            raise Refused(asked, what, hint=hint)
        for project in page.items:
            _take(resolved, project, rules)


def _list_of(prefix: str) -> str:
    return f"groups/{quote(prefix, safe='')}/projects" if prefix else "projects"


async def known_as(remote: Remote, project: Project, rules: Sequence[Rule]) -> Project:
    """The project with the path by which a rule still names it. Raises CredentialRefused."""
    if any(rule.projects.matches(project) for rule in rules):
        return project
    for name in _distinct(path for rule in rules for path in rule.projects.exact_paths):
        try:
            if (await remote.project(name)).id == project.id:
                return _named(project, name)
        except CredentialRefused:
            raise
        except RemoteError:
            continue
    return project


def _named(project: Project, name: str | int) -> Project:
    """GitLab leads from a former path to where the project is now, and takes no notice of case: the rule means it."""
    if isinstance(name, int) or name == project.path_with_namespace:
        return project
    return msgspec.structs.replace(project, named=(*project.named, name))


def _take(resolved: Resolved, project: Project, rules: Sequence[Rule]) -> None:
    if any(rule.projects.matches(project) for rule in rules):
        known = resolved.projects.get(project.id)
        named = dict.fromkeys((*known.named, *project.named)) if known is not None else project.named
        resolved.projects[project.id] = msgspec.structs.replace(project, named=tuple(named))


def _distinct(names: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(names))
