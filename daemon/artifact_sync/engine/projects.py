"""Which projects the rules mean, as GitLab knows them now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TypeVar

from artifact_sync.core.events import Emit, ProjectFailed
from artifact_sync.core.model import Project
from artifact_sync.core.rules import Rule
from artifact_sync.errors import CredentialRefused, RemoteError
from artifact_sync.ports import Page, Remote

__all__ = ["Resolved", "resolve"]

T = TypeVar("T")


class Resolved:
    """Projects by id, and what could not be resolved."""

    def __init__(self) -> None:
        self.projects: dict[int, Project] = {}
        self.failures: list[RemoteError] = []


async def resolve(remote: Remote, rules: Sequence[Rule], emit: Emit) -> Resolved:
    """Ask GitLab for every project that some rule means.

    What is not visible is told and left out; the others go on. Raises CredentialRefused.
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
            _failed(resolved, emit, str(name), error)
        else:
            _take(resolved, project, rules)
    for prefix in _distinct(p for rule in rules for p in rule.projects.group_prefixes):
        pages = remote.group_projects(prefix) if prefix else remote.projects()
        try:
            await _listed(resolved, pages, rules)
        except CredentialRefused:
            raise
        except RemoteError as error:
            _failed(resolved, emit, f"{prefix}/" if prefix else "all projects", error)
    return resolved


async def _listed(resolved: Resolved, pages: AsyncIterator[Page[Project]], rules: Sequence[Rule]) -> None:
    async for page in pages:
        for project in page.items:
            _take(resolved, project, rules)


def _take(resolved: Resolved, project: Project, rules: Sequence[Rule]) -> None:
    if any(rule.projects.matches(project) for rule in rules):
        resolved.projects[project.id] = project


def _failed(resolved: Resolved, emit: Emit, what: str, error: RemoteError) -> None:
    resolved.failures.append(error)
    emit(ProjectFailed(project=what, error=str(error), hint=error.hint))


def _distinct(names: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(names))
