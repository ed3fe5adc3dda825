"""One rule of the configuration as frozen models: which jobs, what of them, where to, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal

from artifact_sync.config.keys import NOT_EMPTY, REQUIRED, Flag, Section, Whole, key
from artifact_sync.config.leaves import Duration, Name, PositiveDuration, Size, WebhookUrl
from artifact_sync.config.selectors import (
    ArtifactPath,
    Command,
    Extract,
    LatestTemplate,
    PathTemplate,
    ProjectSelector,
    SemverRange,
    TextPattern,
    Word,
)

__all__ = ["After", "Fetch", "Keep", "Publish", "Retain", "RuleSection", "When"]

_REPORT_TYPES = "junit, cyclonedx, dotenv, sast and the other types of GitLab's artifacts:reports"


class When(Section):
    """The conditions of a rule. All hold; a list is "one of", ``!pattern`` excludes, an empty list asks nothing."""

    refs: tuple[TextPattern, ...] = key([], "Globs over refs; /.../ is a regular expression (RE2).", ["v*", "!*-rc*"])
    ref_type: tuple[Literal["tag", "branch", "merge_request"], ...] = key([], "What the job ran for.", ["tag"])
    semver: SemverRange | None = key(None, "Versions to take, for tags.", ">=1.2 <3")
    jobs: tuple[TextPattern, ...] = key([], "Globs over job names.", ["package*"])
    stages: tuple[TextPattern, ...] = key([], "Globs over stages.", ["build"])
    statuses: tuple[Literal["success", "failed", "canceled"], ...] = key(["success"], "How the job ended.", ["success"])
    sources: tuple[TextPattern, ...] = key([], "What started the pipeline.", ["push", "web", "schedule"])
    max_age: PositiveDuration | None = key(None, "Longest time since the job's end.", "90d")
    retried: Flag = key(False, "Also jobs that were superseded by a retry.", True)
    child_pipelines: Flag = key(True, "Also jobs of child pipelines.", True)
    downstream: Flag = key(False, "Follow trigger jobs into other projects.", True)


class Fetch(Section):
    """What to bring over of a job."""

    archive: Flag = key(True, "The whole archive, as artifacts.zip.", True)
    files: tuple[ArtifactPath, ...] = key(
        [],
        "Single files of the archive, instead of or beside it: paths and globs (* stops at /, ** crosses it); "
        "!pattern excludes, and a ? at the end allows that there is none.",
        ["dist/**/*.whl", "sbom.json?"],
    )
    reports: tuple[Word, ...] = key([], f"Reports: {_REPORT_TYPES}, where the server can give them.", ["junit"])
    trace: Flag = key(False, "The job's log, as job.log.", True)
    max_size: Size | None = key(None, "Larger transfers are refused.", "2GiB")


class Publish(Section):
    """Where a publication goes."""

    path: PathTemplate = key(
        "{project}/{ref}/{job}/{job_id}",
        "Folder below tree/; every field is one component.",
        "{project}/{ref}/{job}/{job_id}",
    )
    extract: Extract = key(False, "true: also unpacked, beside the archive; only: instead of it.", True)
    latest: LatestTemplate | None = key(
        None,
        "A symbolic link below tree/ to the newest of the publications for which this gives the same path.",
        "{project}/{ref}/{job}/latest",
    )
    latest_by: Literal["finished", "version"] = key(
        "finished", "What newest means: the job that ended last, or the highest semantic version of a tag.", "finished"
    )


class Keep(Section):
    """When GitLab is asked to keep a job's artifacts."""

    policy: Literal["never", "before_expiry", "always"] = key(
        "before_expiry",
        "never; before_expiry: only what is not mirrored by then; always.",
        "before_expiry",
    )
    lead: Duration = key("2d", "How long before the expiry.", "2d")


class Retain(Section):
    """How long publications stay, per project, ref and job name. With nothing set: for ever."""

    last: Whole | None = key(None, "The newest so many.", 5, ge=1)
    daily: Whole | None = key(None, "The newest of each of so many days.", 7, ge=1)
    weekly: Whole | None = key(None, "The newest of each of so many weeks.", 4, ge=1)
    monthly: Whole | None = key(None, "The newest of each of so many months.", 12, ge=1)
    max_age: PositiveDuration | None = key(None, "Younger ones stay in any case.", "90d")
    quota: Size | None = key(None, "Space of this rule; then the oldest go first.", "500GiB")


class After(Section):
    """What happens after a publication."""

    command: Command | None = key(
        None,
        "A program and its arguments, run without a shell; {path}, {manifest} and the fields of publish.path stand for their"
        " values, which ARTIFACT_SYNC_* in its environment are as well.",
        ["/usr/local/bin/deploy", "{path}"],
    )
    webhook: WebhookUrl | None = key(
        None, "A URL that gets a POST with the manifest, signed with hooks.secret.", "https://example.com/hook"
    )
    delete_remote: Flag = key(
        False, "Delete the artifacts in GitLab once the copy is verified; needs keep_token.", True
    )


class RuleSection(Section):
    """One rule. A job may be taken by several; each publishes on its own."""

    name: Name = key(REQUIRED, "Name of the rule, unique.", "releases")
    projects: Annotated[tuple[ProjectSelector, ...], *NOT_EMPTY] = key(
        REQUIRED,
        "Paths, globs over paths (** crosses groups), numeric ids.",
        ["group/app", "group/libs/**", 42],
    )
    when: When = key({}, "The conditions; all hold.", {"refs": ["v*"]})
    fetch: Fetch = key({}, "What to bring over.", {"archive": True})
    publish: Publish = key({}, "Where it goes.", {"path": "{project}/{ref}/{job}/{job_id}"})
    keep: Keep = key({}, "When GitLab is asked to keep the artifacts.", {"policy": "before_expiry"})
    retain: Retain = key({}, "How long publications stay here.", {"last": 5})
    priority: Whole = key(0, "Higher goes first among equal deadlines.", 0, ge=-1000, le=1000)
    after: After = key({}, "What happens after a publication.", {"webhook": "https://example.com/hook"})
