"""Where GitLab refuses to keep, and when it may be asked again.

A refusal is about the rights of the token's user in a project, or on its protected refs (app/policies/ci/build_policy.rb),
or about a GitLab in maintenance: the next job of the same ref is refused as well, and likely that of another ref, too. One
question now and then is enough to learn that it is granted again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

__all__ = ["Refusals"]

#: Wait after the first refusal, doubled with each one. Another ref is tried again within a fraction of the least margin
#: before an expiry; the same one, which has its answer, later.
_FIRST_WAIT = timedelta(seconds=15)
_LONGEST_WAIT = timedelta(minutes=15)
_LONGEST_OF_A_REF = timedelta(minutes=30)
#: A ref that nobody asked about for so long is forgotten; there are new ones for ever.
_REMEMBERED = timedelta(days=1)


@dataclass(slots=True)
class _Waits:
    """Of one project: for refs that were not asked about, and for each that was refused."""

    until: datetime
    refs: dict[str, tuple[int, datetime]] = field(default_factory=dict)


class Refusals:
    """By project id and ref."""

    def __init__(self) -> None:
        self._projects: dict[int, _Waits] = {}

    def until(self, project_id: int, ref: str, now: datetime) -> datetime | None:
        """Before which moment it is not to be asked; None: it may be asked now."""
        waits = self._projects.get(project_id)
        if waits is None:
            return None
        _, until = waits.refs.get(ref, (0, waits.until))
        return until if until > now else None

    def refused(self, project_id: int, ref: str, now: datetime) -> datetime:
        """It refused; before which moment it is not to be asked again. Refusals of one moment count as one."""
        if (until := self.until(project_id, ref, now)) is not None and ref in self._projects[project_id].refs:
            return until
        waits = self._projects.setdefault(project_id, _Waits(until=now))
        waits.refs = {one: wait for one, wait in waits.refs.items() if now - wait[1] < _REMEMBERED}
        count, _ = waits.refs.get(ref, (0, now))
        until = now + _wait(count, _LONGEST_OF_A_REF)
        waits.refs[ref] = count + 1, until
        # That the same ref is refused again tells nothing new of the others.
        if not count:
            waits.until = now + _wait(len(waits.refs) - 1, _LONGEST_WAIT)
        return until

    def granted(self, project_id: int) -> datetime | None:
        """It kept; up to when it would not have been asked, if it had refused before."""
        waits = self._projects.pop(project_id, None)
        return None if waits is None else max((waits.until, *(until for _, until in waits.refs.values())))


def _wait(count: int, longest: timedelta) -> timedelta:
    return min(_FIRST_WAIT * (1 << min(count, 16)), longest)
