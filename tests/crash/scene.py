"""The small world that the sweeps work in: three jobs, of which one is unpacked, one also comes as files, one with its log."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.harness import Simulated, simulated_gitlab
from tests.crash.auditor import Auditor
from tests.crash.daemon_process import Fault, Outcome, Place, Zygote, zygote
from tests.crash.installation import Installation, Patch, install
from tests.crash.served import Served, everything

__all__ = ["RULES", "Scene", "configure", "scene"]

WORLD = "jobs:3:20000"
RULES = """\
  - {name: all, projects: [acme/app], when: {jobs: ["!package", "!test"]}, fetch: {archive: true, trace: true}}
  - {name: some, projects: [acme/app], when: {jobs: [test]}, fetch: {files: ["**"]}}
  - {name: unpacked, projects: [acme/app], when: {jobs: [package]}, publish: {extract: true}}
"""
#: In seconds; an undisturbed run takes less than one.
_LONGEST = 60.0


def configure(place: Place, gitlab: Simulated, *, rules: str = RULES, transfers: int = 1, attempts: int = 1) -> None:
    """Write the configuration. Each transfer is tried once a run, so that runs are alike and short."""
    place.folder.mkdir(parents=True, exist_ok=True)
    (place.folder / "artifact-sync.yaml").write_text(
        f"version: 1\ngitlab: {{url: '{gitlab.url}', token: {{env: GITLAB_TOKEN}}, requests: {{per_minute: 100000}}}}\n"
        f"store: {{path: '{place.store}', min_free: 0B}}\nstate: {{path: '{place.state}'}}\n"
        f"downloads: {{concurrency: {transfers}, attempts: {attempts}}}\npoll: {{interval: 1s}}\nrules:\n{rules}"
    )


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One installation of the daemon, one GitLab, and a folder to work in."""

    gitlab: Simulated
    served: Served
    zygote: Zygote
    installation: Installation
    folder: Path

    def place(self, name: str = "place", *, transfers: int = 1) -> Place:
        """An empty place with its configuration: so many transfers at the same time."""
        place = Place.below(self.folder / name)
        shutil.rmtree(place.folder, ignore_errors=True)
        configure(place, self.gitlab, transfers=transfers)
        return place

    def auditor(self, place: Place) -> Auditor:
        """For a store and a state."""
        return Auditor(store=place.store, state=place.state, served=self.served)

    def sync(
        self,
        place: Place,
        fault: Fault | None = None,
        *,
        kinds: tuple[str, ...] = ("change",),
        timeout: float = _LONGEST,
    ) -> Outcome:
        """One complete pass, disturbed or not."""
        words = ("sync", "--strict", "--json")
        return self.zygote.run(*words, place=place, fault=fault, kinds=kinds, timeout=timeout)

    def calls(self, *, kinds: tuple[str, ...] = ("change",)) -> list[str]:
        """Those of an undisturbed run into an empty place, which is whole."""
        place = self.place("undisturbed")
        ran = self.sync(place, kinds=kinds)
        assert ran.code == 0, ran.err
        assert self.auditor(place).look_complete() == []
        shutil.rmtree(place.folder)
        return list(ran.calls)

    def recovered(self, place: Place, *, timeout: float = _LONGEST) -> list[str]:
        """What is wrong after a start and a clean pass."""
        ran = self.sync(place, kinds=(), timeout=timeout)
        wrong = [] if ran.code == 0 else [f"the next pass ended with {ran.code}: {ran.err.strip()[-300:]}"]
        return wrong + self.auditor(place).look_complete()


@contextmanager
def scene(
    folder: Path, *, patches: tuple[Patch, ...] = (), source: Path | None = None, beside: Scene | None = None
) -> Iterator[Scene]:
    """A scene in a folder that it makes; ``beside`` shares the other's GitLab."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        made = install(folder / "installed", patches=patches, source=source)
        gitlab = beside.gitlab if beside else stack.enter_context(simulated_gitlab(WORLD))
        served = beside.served if beside else everything(gitlab)
        running = stack.enter_context(zygote(made))
        yield Scene(gitlab=gitlab, served=served, zygote=running, installation=made, folder=folder / "work")
