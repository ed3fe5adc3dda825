"""Which projects a rule is about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from artifact_sync.core.model import Project
from artifact_sync.core.patterns import ANY, Pattern, PatternList

__all__ = ["ProjectSelectors"]

#: A project's path always has a slash, so digits alone can only be meant as an id.
_ID = re.compile(r"!?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSelectors:
    """Projects by numeric id, path, or glob over paths (``**`` crosses groups); ``!`` excludes."""

    ids: frozenset[int] = frozenset()
    excluded_ids: frozenset[int] = frozenset()
    paths: PatternList = ANY

    @classmethod
    def parse(cls, selectors: Iterable[str | int]) -> ProjectSelectors:
        """From the list as written; digits in quotes are an id too. Raises PatternError."""
        written = [str(selector) for selector in selectors]
        ids = [text for text in written if _ID.fullmatch(text)]
        return cls(
            ids=frozenset(int(text) for text in ids if text[0] != "!"),
            excluded_ids=frozenset(int(text[1:]) for text in ids if text[0] == "!"),
            paths=PatternList.parse([text for text in written if not _ID.fullmatch(text)], separator=True),
        )

    def __str__(self) -> str:
        shown = [str(i) for i in sorted(self.ids)]
        shown += [str(self.paths)] if self.paths.wanted or self.paths.excluded else []
        shown += [f"!{i}" for i in sorted(self.excluded_ids)]
        return " ".join(shown) or "any"

    @property
    def exact_paths(self) -> tuple[str, ...]:
        """Paths without a wildcard: asked for one by one."""
        return tuple(p.text for p in self.paths.wanted if p.literal)

    @property
    def group_prefixes(self) -> tuple[str, ...]:
        """For each glob the group to list: the whole components before its first wildcard; empty for the instance.

        Where nothing but exclusions is written, everything else is meant, so that is the instance too.
        """
        if not self.paths.wanted and not self.ids:
            return ("",)
        return tuple(dict.fromkeys(_group_of(p) for p in self.paths.wanted if not p.literal))

    def judge(self, project: Project) -> tuple[bool, str]:
        """Whether the project is meant, and by which selector. An exclusion beats the rest."""
        path = project.path_with_namespace
        if project.id in self.excluded_ids:
            return False, f"!{project.id}"
        if excluding := self.paths.exclusion(path):
            return False, excluding
        if project.id in self.ids:
            return True, str(project.id)
        for named in set(project.named).intersection(self.exact_paths):
            return True, named
        # With nothing but ids written, a path is not asked for by the absence of patterns.
        return self.paths.judge(path) if self.paths.wanted or not self.ids else (False, "no id or pattern matches")

    def matches(self, project: Project) -> bool:
        """Whether the project is meant."""
        return self.judge(project)[0]


def _group_of(pattern: Pattern) -> str:
    whole = []
    for component in pattern.text.split("/")[:-1]:
        # A regular expression begins with an empty component.
        if not component or any(c in component for c in "*?[]{}\\"):
            break
        whole.append(component)
    return "/".join(whole)
