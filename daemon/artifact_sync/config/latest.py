"""Where links to the newest publication would be in the way of publications, or of one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from artifact_sync.config.problems import Fault, KeyPath
from artifact_sync.config.rule_sections import RuleSection
from artifact_sync.core.paths import Template

__all__ = ["collisions"]

_CURE = 'write a path of its own, such as "{project}/{ref}/{job}/latest"'


@dataclass(frozen=True, slots=True)
class _Place:
    """A template of a rule, and where it stands."""

    rule: RuleSection
    at: KeyPath
    name: str
    outline: tuple[str, ...]

    def leads_through(self, link: _Place) -> bool:
        """Whether it renders to the link's path, or to one below it."""
        return self.outline[: len(link.outline)] == link.outline


def collisions(rules: Sequence[RuleSection]) -> Iterator[tuple[Fault, KeyPath]]:
    """Faults of links, each with the key that it collides with.

    What depends on names of refs and jobs can be seen when they come only.
    """
    links = list(_places(rules, "latest"))
    for link in links:
        for path in _places(rules, "path"):
            if path.leads_through(link):
                what = f"publications go below it by {_said(path)}"
                yield Fault(path=link.at, what=what, cure=_CURE), path.at
        for other in links:
            if other is not link and other.leads_through(link):
                if other.outline != link.outline:
                    what = f"the link of {_said(other)} goes below it"
                    yield Fault(path=link.at, what=what, cure=_CURE), other.at
                elif link.at < other.at and link.rule.publish.latest_by != other.rule.publish.latest_by:
                    what = f"the link of {_said(link)} as well, which goes by {link.rule.publish.latest_by}"
                    cure = f"{_CURE}; or the same latest_by"
                    yield Fault(path=other.at, what=what, cure=cure), link.at


def _places(rules: Sequence[RuleSection], name: str) -> Iterator[_Place]:
    for index, rule in enumerate(rules):
        written = getattr(rule.publish, name)
        if written is not None:
            outline = Template.parse(written, needs_id=name == "path").outline(rule.name)
            yield _Place(rule, ("rules", index, "publish", name), name, outline)


def _said(place: _Place) -> str:
    return f"publish.{place.name} of rule {place.rule.name}"
