"""From the text of a configuration, through everything that is built of it, to what it does against a simulated GitLab."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import anyio
import yaml

from artifact_sync import app
from artifact_sync.config import Settings, loads
from artifact_sync.core.events import Event
from artifact_sync.engine import Engine, SyncReport
from artifact_sync.simulator import TOKEN, JobSpec, SimJob, SimProject, World, small

E = TypeVar("E")

HOUR = timedelta(hours=1)
DAY = 24 * HOUR


@dataclass
class Mirror:
    """A folder with a store, filled from one world by what its configuration says."""

    world: World
    folder: Path
    events: list[Event] = field(default_factory=list)

    def settings(self, rules: str, more: str = "") -> Settings:
        """``rules`` are the keys of one rule, or a list of whole rules; ``more`` has other sections, over the usual ones."""
        (self.folder / "token").write_text(TOKEN)
        sections = {
            "gitlab": {"url": self.world.url, "token": {"file": "token"}},
            "store": {"path": "mirror", "min_free": "1MiB"},
        }
        written = yaml.safe_load(rules) or {}
        each = written if isinstance(written, list) else [written]
        sections["rules"] = [{"name": "r", "projects": ["acme/app"]} | rule for rule in each]
        for name, keys in (yaml.safe_load(more) or {}).items():
            sections[name] = sections.get(name, {}) | keys
        return loads(yaml.safe_dump(sections), folder=self.folder)

    @asynccontextmanager
    async def engine(self, rules: str = "", more: str = "") -> AsyncIterator[Engine]:
        """What the configuration is made into."""
        async with app.build(self.settings(rules, more), emit=self.events.append) as engine:
            yield engine

    async def sync(self, rules: str = "", more: str = "") -> SyncReport:
        """One pass. Raises TimeoutError where it takes longer than any of these can."""
        async with self.engine(rules, more) as engine:
            with anyio.fail_after(20):
                return await engine.sync()

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def files(self) -> set[str]:
        """Everything below tree/ that a reader sees but the checksums."""
        tree = self.folder / "mirror" / "tree"
        found = (path.relative_to(tree) for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path) for path in found if path.name not in {"SHA256SUMS", ".artifact-sync.json"}}

    @property
    def jobs(self) -> list[str]:
        """Names of the jobs whose archives are published below the usual path, sorted."""
        return sorted(path.split("/")[-3] for path in self.files if path.endswith("artifacts.zip"))

    def build(
        self, project: SimProject, name: str, *, ref: str = "main", ago: timedelta = HOUR, **pipeline: object
    ) -> SimJob:
        """A pipeline of one job that ended so long ago."""
        status = str(pipeline.pop("status", "success"))
        options = {key: pipeline.pop(key) for key in ("stage", "expire_in", "archive") if key in pipeline}
        at = datetime.now(UTC) - ago
        spec = JobSpec(name, **({"archive": small(name), "upload": "always"} | options))  # type: ignore[arg-type]  # as named
        made = self.world.add_pipeline(project, ref, [spec], at=at, **pipeline)  # type: ignore[arg-type]  # as named
        return self.world.finish(made.jobs[0], status, at=at)
