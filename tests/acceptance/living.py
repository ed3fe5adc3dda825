"""A simulated GitLab in the test's own process, whose world the test moves while the installed command runs beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from anyio import to_thread

from artifact_sync.simulator import JobSpec, SimJob, SimToken, World, serve, small
from tests.acceptance.harness import TOKEN, Ran, artifact_sync, configuration

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Place:
    """A world with the project acme/app, and a folder with a configuration for it."""

    world: World
    folder: Path

    async def run(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Ran:
        """The installed command in the folder."""
        return await to_thread.run_sync(partial(artifact_sync, *words, cwd=self.folder, env=env))

    def build(
        self, *names: str, ago: timedelta = timedelta(), expire_in: timedelta | None = 30 * 24 * HOUR
    ) -> list[SimJob]:
        """A pipeline of jobs that ended so long ago, each with an archive."""
        at = datetime.now(UTC) - ago
        specs = [JobSpec(name, archive=small(f"{name} {len(self.world.jobs)}"), expire_in=expire_in) for name in names]
        project = next(iter(self.world.projects.values()))
        return [self.world.finish(job, at=at) for job in self.world.add_pipeline(project, "main", specs, at=at).jobs]

    def forget(self, job: SimJob) -> None:
        """Take the job's transfers out of the state, as if it had never been found."""
        with closing(sqlite3.connect(self.folder / "artifact-sync.db")) as database, database:
            taken = database.execute("DELETE FROM transfer WHERE job_id = ?", (job.id,)).rowcount
            database.execute("DELETE FROM keep_due WHERE job_id = ?", (job.id,))
        assert taken == 1

    def asked(self, method: str, ending: str) -> list[str]:
        """Paths of requests that the world saw."""
        return [seen.path for seen in self.world.requests if seen.method == method and seen.path.endswith(ending)]

    @property
    def mirrored(self) -> set[int]:
        """Jobs with a published archive."""
        return {int(path.parent.name) for path in (self.folder / "mirror" / "tree").rglob("artifacts.zip")}


@asynccontextmanager
async def place(folder: Path, *, rule: str = "", role: int | None = None, more: str = "") -> AsyncIterator[Place]:
    """``rule`` is what the only rule has beside its projects; ``role`` the role of the token's user."""
    world = World()
    world.add_project("acme/app")
    token = SimToken(value=TOKEN) if role is None else SimToken(value=TOKEN, role=role)
    world.add_token(token)
    async with serve(world):
        path = configuration(folder, world.url, more=more)
        if rule:
            path.write_text(path.read_text().replace("projects: [acme/app]}", f"projects: [acme/app], {rule}}}"))
        yield Place(world, folder)
