"""A rule as written becomes a rule as the core judges by it."""

from __future__ import annotations

from artifact_sync.config.rule_sections import After as AfterSection
from artifact_sync.config.rule_sections import Publish, RuleSection, When
from artifact_sync.core import rules
from artifact_sync.core.after import After, CommandLine
from artifact_sync.core.model import FINISHED_STATUSES, RefType
from artifact_sync.core.newest import LatestBy
from artifact_sync.core.paths import Template
from artifact_sync.core.patterns import PatternList
from artifact_sync.core.semver import SemverRange
from artifact_sync.core.unpacking import Unpack

__all__ = ["compile_rule"]

_UNPACK = {False: Unpack.NO, True: Unpack.ALSO, "only": Unpack.ONLY}


def compile_rule(rule: RuleSection) -> rules.Rule:
    """The core's rule. The texts were checked when they were read, so nothing is raised for a loaded configuration."""
    return rules.Rule(
        name=rule.name,
        projects=rules.ProjectSelectors.parse(list(rule.projects)),
        when=_when(rule.when),
        fetch=rules.Fetch(
            archive=rule.fetch.archive,
            files=rule.fetch.files,
            reports=rule.fetch.reports,
            trace=rule.fetch.trace,
            max_size=rule.fetch.max_size,
        ),
        publish=_publish(rule.publish),
        keep=rules.Keep(policy=rules.KeepPolicy(rule.keep.policy), lead=rule.keep.lead),
        retain=rules.Retain(
            last=rule.retain.last,
            daily=rule.retain.daily,
            weekly=rule.retain.weekly,
            monthly=rule.retain.monthly,
            max_age=rule.retain.max_age,
            quota=rule.retain.quota,
        ),
        priority=rule.priority,
        after=_after(rule.after),
    )


def _after(after: AfterSection) -> After:
    return After(
        command=CommandLine.parse(after.command) if after.command is not None else None,
        webhook=after.webhook,
        delete_remote=after.delete_remote,
    )


def _publish(publish: Publish) -> rules.Publish:
    return rules.Publish(
        path=Template.parse(publish.path),
        unpack=_UNPACK[publish.extract],
        latest=Template.parse(publish.latest, needs_id=False) if publish.latest is not None else None,
        latest_by=LatestBy(publish.latest_by),
    )


def _when(when: When) -> rules.When:
    return rules.When(
        refs=PatternList.parse(when.refs, separator=False),
        ref_types=frozenset(RefType(name) for name in when.ref_type),
        semver=SemverRange.parse(when.semver) if when.semver is not None else None,
        jobs=PatternList.parse(when.jobs, separator=False),
        stages=PatternList.parse(when.stages, separator=False),
        # An empty list asks nothing; a job must still have ended, or there is nothing to fetch.
        statuses=frozenset(when.statuses) or FINISHED_STATUSES,
        sources=PatternList.parse(when.sources, separator=False),
        max_age=when.max_age,
        retried=when.retried,
        child_pipelines=when.child_pipelines,
        downstream=when.downstream,
    )
