"""Which projects the rules mean, as GitLab knows them now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

from artifact_sync.core.model import Project
from artifact_sync.core.rules import Rule
from artifact_sync.errors import CredentialRefused, Refused, RemoteError
from artifact_sync.ports import Page, Remote

__all__ = ["Resolved", "resolve"]

T = TypeVar("T")


class Resolved:
    """Projects by id, and what could not be resolved by how a rule names it."""

    def __init__(self) -> None:
        self.projects: dict[int, Project] = {}
        self.failures: dict[str, RemoteError] = {}


async def resolve(remote: Remote, rules: Sequence[Rule]) -> Resolved:
    """Ask GitLab for every project that some rule means.

    What is not visible is left out; the others go on. Raises CredentialRefused.
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
            if not _take(resolved, project, rules) and name not in {project.id, project.path_with_namespace}:
                resolved.failures[str(name)] = _moved(name, project)
    for prefix in _distinct(p for rule in rules for p in rule.projects.group_prefixes):
        pages = remote.group_projects(prefix) if prefix else remote.projects()
        try:
            await _listed(resolved, pages, rules)
        except CredentialRefused:
            raise
        except RemoteError as error:
            resolved.failures[f"{prefix}/" if prefix else "all projects"] = error
    return resolved


async def _listed(resolved: Resolved, pages: AsyncIterator[Page[Project]], rules: Sequence[Rule]) -> None:
    async for page in pages:
        for project in page.items:
            _take(resolved, project, rules)


def _take(resolved: Resolved, project: Project, rules: Sequence[Rule]) -> bool:
    if not any(rule.projects.matches(project) for rule in rules):
        return False
    resolved.projects[project.id] = project
    return True


def _moved(name: str | int, project: Project) -> Refused:
    """GitLab redirects from a former path, and finds a path in other case, but rules are about the path as it is."""
    return Refused(
        f"GET /api/v4/projects/{name}",
        f"it is {project.path_with_namespace} now, which no rule means",
        hint=f"Write {project.path_with_namespace} in the rule, or {project.id}, which stays the same.",
    )


def _distinct(names: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(names))
