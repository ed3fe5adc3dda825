"""Which publications stay: per project, ref and job name, as their rules say.

Newest first, one of each period, and periods without any do not count: ``daily: 7`` keeps the newest of each of the 7 newest
days that have one. That is how restic (https://restic.readthedocs.io/en/stable/060_forget.html) and kopia
(https://kopia.io/docs/advanced/retention/) count. Days are those of UTC, weeks those of ISO 8601.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from artifact_sync.core.retention_words import age_words, bytes_words, day, month, week

__all__ = ["ORPHAN", "Group", "Held", "Retain", "RetentionPlan", "Verdict", "plan_retention"]

_FOR_EVER = "no retain: stays for ever"
_PINNED = "pinned"
_LATEST = "latest"
ORPHAN = "orphan: no present rule selects it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retain:
    """How long a rule keeps publications. None asks nothing; where nothing is set but ``quota``, they stay for ever."""

    last: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    max_age: timedelta | None = None
    #: Bytes of what the rule keeps; beyond them the oldest go.
    quota: int | None = None

    @property
    def limited(self) -> bool:
        """Whether it lets go of anything by number or age."""
        return any(value is not None for value in (self.last, self.daily, self.weekly, self.monthly, self.max_age))

    @property
    def endless(self) -> bool:
        """Whether it never lets go of anything."""
        return not self.limited and self.quota is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A publication as retention sees it."""

    #: Of its transfer.
    id: int
    project_id: int
    project: str
    ref: str
    #: A tag and a branch may have one name.
    tag: bool
    job: str
    job_id: int
    dest: str
    #: Bytes.
    size: int
    #: When the job ended, or what came of it was published.
    at: datetime
    #: Names of the present rules that it is kept for; none: no rule selects it.
    rules: tuple[str, ...]
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one publication, with every reason."""

    held: Held
    stays: bool
    reasons: tuple[str, ...]
    #: When it goes though nothing newer comes; None: that is not foreseen.
    until: datetime | None = None

    @property
    def orphan(self) -> bool:
        """Whether no present rule selects it."""
        return not self.held.rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The publications of one job name on one ref of a project, newest first."""

    project_id: int
    project: str
    ref: str
    job: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlan:
    """What stays and what goes."""

    groups: tuple[Group, ...]
    #: Publications that are in no group, because their rules let nothing go.
    others: int = 0

    @property
    def verdicts(self) -> Iterator[Verdict]:
        """All of them, group by group."""
        return (verdict for group in self.groups for verdict in group.verdicts)

    @property
    def count(self) -> int:
        """How many publications there are."""
        return self.others + sum(len(group.verdicts) for group in self.groups)

    @property
    def removed(self) -> tuple[Verdict, ...]:
        """What goes, oldest first."""
        gone = (verdict for verdict in self.verdicts if not verdict.stays)
        return tuple(sorted(gone, key=lambda verdict: _age(verdict.held)))

    @property
    def orphans(self) -> tuple[Verdict, ...]:
        """What no present rule selects, whether or not it stays."""
        return tuple(verdict for verdict in self.verdicts if verdict.orphan)


@dataclass(slots=True)
class _Keep:
    """What one rule says to one publication."""

    held: Held
    #: Why it stays for this rule; empty: it does not.
    reasons: list[str]
    gone: str = ""
    #: Among the newest ``last``, which no quota takes.
    last: bool = False
    until: datetime | None = None


def plan_retention(
    publications: Iterable[Held],
    retains: Mapping[str, Retain],
    *,
    now: datetime,
    latest: Collection[str] = (),
    orphans: bool = False,
) -> RetentionPlan:
    """What stays and what goes, the same in whatever order the publications come.

    ``retains`` has every rule that a publication names; ``latest`` are the destinations that links point at. With ``orphans``
    what no present rule selects goes, too. A publication stays while any of its rules keeps it, and also when it is pinned or
    the latest.
    """
    groups: defaultdict[tuple[int, str, bool, str], list[Held]] = defaultdict(list)
    for held in publications:
        groups[held.project_id, held.ref, held.tag, held.job].append(held)
    sacred = frozenset(latest)
    said: defaultdict[int, list[tuple[str, _Keep]]] = defaultdict(list)
    kept: defaultdict[str, list[_Keep]] = defaultdict(list)
    ordered = [(key, sorted(groups[key], key=_age, reverse=True)) for key in sorted(groups)]
    for _, members in ordered:
        for rule in sorted({rule for held in members for rule in held.rules}):
            for keep in _judged([held for held in members if rule in held.rules], retains[rule], now):
                said[keep.held.id].append((rule, keep))
                kept[rule].append(keep)
    for rule in sorted(kept):
        _within_quota(kept[rule], retains[rule], sacred)
    return RetentionPlan(
        groups=tuple(
            Group(
                project_id=members[0].project_id,
                project=members[0].project,
                ref=members[0].ref,
                job=members[0].job,
                verdicts=tuple(_verdict(held, said[held.id], sacred, orphans=orphans) for held in members),
            )
            for _, members in ordered
        )
    )


def _age(held: Held) -> tuple[datetime, int, int]:
    """Ordered by this, the oldest comes first, and no two are equal."""
    return held.at, held.job_id, held.id


def _judged(newest_first: Sequence[Held], retain: Retain, now: datetime) -> Iterator[_Keep]:
    """One rule's word on the publications of a group. Those of one job, under two paths, are one to it."""
    counted: list[tuple[str, int, Callable[[datetime], str], dict[str, int]]] = [
        (name, most, of, {})
        for name, most, of in (
            ("daily", retain.daily, day),
            ("weekly", retain.weekly, week),
            ("monthly", retain.monthly, month),
        )
        if most is not None
    ]
    jobs: dict[int, int] = {}
    for held in newest_first:
        moment = held.at.astimezone(UTC)
        place = jobs.setdefault(held.job_id, len(jobs) + 1)
        reasons: list[str] = []
        last = retain.last is not None and place <= retain.last
        if last:
            reasons.append(f"last {place} of {retain.last}")
        for name, most, of, periods in counted:
            period = of(moment)
            if len(periods) < most:
                periods.setdefault(period, held.job_id)
            if periods.get(period) == held.job_id:
                reasons.append(f"{name} {period}")
        until = None
        if retain.max_age is not None and now - held.at < retain.max_age:
            until = None if reasons else held.at + retain.max_age
            reasons.append(f"younger than {age_words(retain.max_age)}")
        if not retain.limited:
            reasons.append(_FOR_EVER)
        yield _Keep(held, reasons, gone="" if reasons else _why_gone(retain), last=last, until=until)


def _why_gone(retain: Retain) -> str:
    numbers = ("last", "daily", "weekly", "monthly")
    asked = [f"{name} {number}" for name in numbers if (number := getattr(retain, name)) is not None]
    words = [f"not among {', '.join(asked)}"] if asked else []
    if retain.max_age is not None:
        words.append(f"older than {age_words(retain.max_age)}")
    return "; ".join(words)


def _within_quota(keeps: Iterable[_Keep], retain: Retain, latest: frozenset[str]) -> None:
    """Let the oldest go until the rest fits. The newest ``last``, pins and the latest count, and stay."""
    if retain.quota is None:
        return
    staying = [keep for keep in keeps if keep.reasons or _sacred(keep.held, latest)]
    left = sum(keep.held.size for keep in staying)
    for keep in sorted(staying, key=lambda keep: _age(keep.held)):
        if left <= retain.quota:
            return
        if not keep.last and not _sacred(keep.held, latest):
            keep.reasons.clear()
            keep.until = None
            keep.gone = f"beyond the quota of {bytes_words(retain.quota)}, oldest first"
            left -= keep.held.size


def _sacred(held: Held, latest: frozenset[str]) -> bool:
    return held.pinned or held.dest in latest


def _verdict(held: Held, said: Sequence[tuple[str, _Keep]], latest: frozenset[str], *, orphans: bool) -> Verdict:
    reasons = [_told(held, rule, reason) for rule, keep in said for reason in keep.reasons]
    untils = [keep.until for _, keep in said if keep.reasons]
    if held.pinned:
        reasons.append(_PINNED)
    if held.dest in latest:
        reasons.append(_LATEST)
    if not held.rules and not orphans:
        reasons.append(ORPHAN)
    if reasons:
        foreseen = [until for until in untils if until is not None]
        certain = len(foreseen) == len(untils) and not _sacred(held, latest)
        return Verdict(
            held=held, stays=True, reasons=tuple(reasons), until=max(foreseen, default=None) if certain else None
        )
    gone = tuple(_told(held, rule, keep.gone) for rule, keep in said)
    return Verdict(held=held, stays=False, reasons=gone or (ORPHAN,))


def _told(held: Held, rule: str, reason: str) -> str:
    """Which rule says so matters where there are several."""
    return f"{rule}: {reason}" if len(held.rules) > 1 else reason
