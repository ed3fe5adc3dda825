"""Every section of the configuration but the rules, as frozen models. The defaults stand as one would write them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from artifact_sync.config.keys import NOT_EMPTY, REQUIRED, Flag, Section, Whole, key
from artifact_sync.config.leaves import (
    Backfill,
    DatabaseUrl,
    Duration,
    FilePath,
    GitLabUrl,
    Group,
    Host,
    Listen,
    Mode,
    ObjectUrl,
    Part,
    PositiveDuration,
    PositiveRate,
    ProxyUrl,
    Rate,
    Share,
    Size,
    SystemName,
    TimeOfDay,
    VariableName,
)
from artifact_sync.config.problems import Wrong
from artifact_sync.config.selectors import ProjectSelector
from artifact_sync.core.timetable import Entry, Timetable

__all__ = [
    "BANDWIDTH_SHAPES",
    "Downloads",
    "GitLab",
    "Hooks",
    "Log",
    "Poll",
    "Reader",
    "Requests",
    "Retention",
    "Secret",
    "Server",
    "State",
    "Store",
    "Token",
    "Window",
]


class Secret(Section):
    """Where a secret is read from; exactly one source. The secret itself never stands in the configuration."""

    file: FilePath | None = key(None, "File with the secret; read again when it changes.", "/run/secrets/gitlab-token")
    env: VariableName | None = key(None, "Environment variable with the secret.", "GITLAB_TOKEN")
    credential: SystemName | None = key(None, "Name of a systemd credential (LoadCredential=).", "gitlab-token")

    @model_validator(mode="before")
    @classmethod
    def _no_secret_in_place(cls, data: Any) -> Any:
        if isinstance(data, str):
            what = "a secret must not stand in the configuration"
            raise Wrong(
                what, "save it in a file of its own and write {file: /path/of/that/file}, or {env: NAME_OF_A_VARIABLE}"
            )
        return data

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources that are written."""
        return tuple(name for name in ("file", "env", "credential") if getattr(self, name) is not None)


class Token(Secret):
    """A token for GitLab: its source and its kind."""

    kind: Literal["private", "bearer", "job", "none"] = key(
        "private",
        "private (PRIVATE-TOKEN), bearer (OAuth), job (CI_JOB_TOKEN), or none for a public instance.",
        "private",
    )


class Requests(Section):
    """How much is asked of GitLab."""

    per_minute: Whole = key(
        600, "One budget for every request; the server's quotas lower it by themselves.", 600, ge=1, le=1_000_000
    )
    keep_share: Part = key(0.1, "Part of the budget that only `keep` may use.", 0.1)
    concurrency: Whole = key(16, "Requests at the same time.", 16, ge=1, le=1024)
    timeout: PositiveDuration = key("30s", "No byte for this long ends a wait.", "30s")


class GitLab(Section):
    """The GitLab instance and how it is reached."""

    url: GitLabUrl = key(
        REQUIRED,
        "Address of the instance; also https://host/gitlab for one under a path.",
        "https://gitlab.example.com",
    )
    token: Token = key(
        {"env": "GITLAB_TOKEN", "kind": "private"},
        "One source of the token, read again when it changes. Default: the variable GITLAB_TOKEN.",
        {"file": "/run/secrets/gitlab-token", "kind": "private"},
    )
    keep_token: Token | None = key(
        None,
        "A second token (scope api) used for writes alone; `token` can then be read_api.",
        {"file": "/run/secrets/gitlab-keep-token"},
    )
    ca_file: FilePath | None = key(None, "Certificates to trust beside the system's.", "/etc/ssl/certs/our-ca.pem")
    proxy: ProxyUrl | None = key(
        None, "HTTP proxy. Default: the environment's proxy variables.", "http://proxy.example.com:3128"
    )
    requests: Requests = key({}, "How much is asked of GitLab.", {"per_minute": 600})
    redirect_hosts: tuple[Host, ...] = key(
        [],
        "Hosts a download may be redirected to; empty: any https host, never with a credential.",
        ["objects.example.com"],
    )


class Store(Section):
    """Where publications go: a folder, or an object store."""

    path: FilePath | None = key(None, "Folder of the store; relative to the configuration's folder.", "./mirror")
    url: ObjectUrl | None = key(None, "An object store instead of a folder.", "s3://bucket/prefix")
    mode: Mode | None = key(
        None,
        'Permissions of new publications: of their files, such as "0640"; folders get x where that has r. Default: by umask.',
        "0640",
    )
    group: Group | None = key(
        None, "Group of new publications, for readers in another container: a name or a number.", "artifacts", 2000
    )
    min_free: Size = key("5GiB", "New downloads pause below this much free space.", "5GiB")


class State(Section):
    """Where the state database lies: a file on a local disk, or PostgreSQL."""

    path: FilePath | None = key(
        None, "Default: artifact-sync.db beside the store.", "/var/lib/artifact-sync/artifact-sync.db"
    )
    url: DatabaseUrl | None = key(None, "PostgreSQL instead of a file.", "postgresql://user@host/name")


class Poll(Section):
    """How GitLab is watched."""

    interval: PositiveDuration = key("1m", "Between two polls of a busy project.", "1m")
    max_interval: PositiveDuration = key("30m", "Between two polls of an idle project.", "30m")
    backfill: Backfill = key("30d", "How far back the first pass goes: a duration, all, or none.", "30d")
    audit: PositiveDuration | None = key("24h", "Between two complete re-listings.", "24h")
    settle: Duration = key("0s", "Wait after a job has finished.", "0s")

    @property
    def horizon(self) -> timedelta | None:
        """How far back the first pass goes; None: to the beginning."""
        if self.backfill == "all":
            return None
        return timedelta() if isinstance(self.backfill, str) else self.backfill


class Window(Section):
    """A part of the day with its own limit."""

    start: TimeOfDay = key(
        REQUIRED, "Begin of the window, in the local time of the daemon's machine (TZ).", "08:00", alias="from"
    )
    to: TimeOfDay = key(REQUIRED, "End of the window, local time; before `from`: on the next day.", "18:00")
    limit: PositiveRate = key(REQUIRED, "Limit within the window.", "10MiB/s")


#: Names that the choice between the two notations of ``bandwidth`` adds to the location of an error.
BANDWIDTH_SHAPES = ("one-rate", "timetable")


def _bandwidth_shape(value: Any) -> str:
    return BANDWIDTH_SHAPES[isinstance(value, list | tuple)]


Bandwidth = Annotated[
    Annotated[PositiveRate, Tag("one-rate")] | Annotated[tuple[Window, ...], Tag("timetable")],
    Discriminator(_bandwidth_shape),
]


class Downloads(Section):
    """How bytes are brought over."""

    concurrency: Whole = key(8, "Transfers at the same time.", 8, ge=1, le=256)
    segments: Whole = key(4, "Parallel ranges of one large archive.", 4, ge=1, le=64)
    segment_above: Size = key("64MiB", "Archives from this size on are fetched in parallel ranges.", "64MiB")
    bandwidth: Bandwidth | None = key(
        None,
        "Limit of all transfers together: a rate, or a timetable of rates in the local time of the daemon's machine (TZ)."
        " The first window that holds decides; outside of all there is no limit.",
        "50MiB/s",
        [{"from": "08:00", "to": "18:00", "limit": "10MiB/s"}],
    )
    min_rate: Rate = key("1KiB/s", "Slower than this for 60 s is a stall.", "1KiB/s")
    attempts: Whole = key(8, "Attempts before a transfer is left to the next pass.", 8, ge=1, le=1000)

    @property
    def timetable(self) -> Timetable:
        """``bandwidth`` as the core understands it."""
        if isinstance(self.bandwidth, tuple):
            windows = self.bandwidth
            return Timetable(entries=tuple(Entry(start=w.start, end=w.to, limit=w.limit) for w in windows))
        return Timetable(otherwise=self.bandwidth)


class Retention(Section):
    """How much one prune may remove, and for how long that can be undone."""

    max_delete: Share = key(
        "10%",
        "One prune never removes more than this share of the publications (but one in any case) without --yes.",
        "10%",
    )
    trash: Duration = key(
        "7d", "What was pruned stays in the trash for this long, or until the disk is below store.min_free.", "7d"
    )


class Hooks(Section):
    """Limits of the commands and webhooks that run after a publication."""

    timeout: PositiveDuration = key("5m", "Longest run of a hook.", "5m")
    retries: Whole = key(5, "Attempts after the first.", 5, ge=0, le=100)
    secret: Secret | None = key(
        None,
        "What webhooks are signed with (Standard Webhooks): a whsec_ key, or any text without spaces. Default: they are not signed.",
        {"file": "/run/secrets/hooks"},
    )


class Reader(Secret):
    """A token that may read what is mirrored: its source, and what it opens."""

    projects: Annotated[tuple[ProjectSelector, ...], *NOT_EMPTY] | None = key(
        None,
        "Projects that it opens: paths, globs over paths, numeric ids. Default: all.",
        ["group/app", "group/libs/**"],
    )


class Server(Section):
    """The HTTP server: read replica, webhook receiver, metrics, dashboard."""

    listen: Listen | None = key("127.0.0.1:8700", "Address and port; null: no HTTP at all.", "127.0.0.1:8700")
    tokens: tuple[Reader, ...] = key(
        [],
        "Tokens that may read, each with its projects; required off loopback.",
        [{"file": "/run/secrets/readers"}, {"env": "TEAM_TOKEN", "projects": ["group/app"]}],
    )
    read_through: Flag = key(False, "Fetch what is asked for and not yet mirrored, where a rule selects it.", True)
    webhook_secret: Secret | None = key(
        None,
        "The X-Gitlab-Token, or a whsec_ signing key, that webhooks must carry.",
        {"file": "/run/secrets/webhook"},
    )


class Log(Section):
    """The log on standard error."""

    format: Literal["auto", "console", "json"] = key("auto", "auto: console on a terminal, JSON elsewhere.", "auto")
    level: Literal["debug", "info", "warning", "error"] = key("info", "The least level that is written.", "info")


def default_state_path(store: Path) -> Path:
    """The state database beside the store: the folder it lies in is on the same machine, and not read by others."""
    return store.parent / "artifact-sync.db"


def state_of_its_own(store: Path) -> Path:
    """The state of a store that was filled without a configuration: there may be others in the folder, with theirs."""
    return store.with_name(f"{store.name}.db") if store.name else store / "artifact-sync.db"
