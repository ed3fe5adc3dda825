"""The image at work: what it is, mirrors, may and leaves behind. ``tests/container/run`` builds it first.

Each row of the table is a function that returns what was seen, and raises Failed where something does not hold; then the
exit code is 1. All rows together become RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import SubprocessError

from tests.acceptance.harness import TOKEN, Simulated, checksums_hold, simulated_gitlab
from tests.container import examples
from tests.container.engine import IMAGE, MEMORY, USER, Container, Engine, Failed, reached, require
from tests.container.site import Site

_RESULTS = Path(__file__).with_name("RESULTS.md")
_BASE = "docker.io/library/debian:bookworm-slim"
#: Seconds that a stop may take, podman's own share included.
_STOP = 5.0
#: MB that the image may have: a place where growth is noticed.
_LARGEST = 200
_BIG = "512MiB"
#: 128 + SIGKILL.
_KILLED = 137
#: No shell is left in the image.
_SHELLS = [f"--volume=/dev/null:/usr/bin/{shell}:ro" for shell in ("bash", "dash")]
#: A command that leaves a process of its own session behind, which ends when nobody waits for it.
_LEAVES = "import os,time; os.fork() or (os.setsid(), [os.close(n) for n in (0, 1, 2)], time.sleep(0.3))"
_HOOK = f"    after: {{command: [python3, -c, {json.dumps(_LEAVES)}]}}"
_numbers = count()


class Checks:
    """All of them, over one engine."""

    def __init__(self, engine: Engine, work: Path, tools: Path) -> None:
        self._engine = engine
        self._work = work
        self.rows: tuple[tuple[str, Callable[[], str]], ...] = (
            ("Dockerfile", partial(examples.dockerfile, tools)),
            ("`config/kubernetes`", partial(examples.kubernetes, tools)),
            ("`config/compose/compose.yaml`", examples.compose),
            ("image", self._image),
            ("what is not in it", self._absent),
            ("rights", self._rights),
            ("`sync`, once", self._sync),
            ("`run` on a GitLab that goes on", self._run),
            (f"an archive of {_BIG} in {MEMORY}, stopped meanwhile", self._big),
            ("SIGTERM where artifact-sync is PID 1, and there is no shell", self._bare),
            ("what commands leave behind", self._orphans),
            ("a configuration that is wrong", self._wrong),
        )

    def _site(self, url: str, *, listen: str = "'127.0.0.1:8709'", rule: str = "", more: str = "") -> Site:
        return Site.laid_out(self._work / f"site-{next(_numbers)}", url, listen=listen, rule=rule, more=more)

    def _image(self) -> str:
        (image,) = json.loads(self._engine.podman("inspect", "--type=image", IMAGE).stdout)
        (base,) = json.loads(self._engine.podman("inspect", "--type=image", _BASE).stdout)
        size, below = image["Size"] / 1e6, base["Size"] / 1e6
        require(size < _LARGEST, f"{size:.0f} MB")
        user = image["Config"].get("User", "")
        require(user == f"{USER}:{USER}", f"user {user!r}")
        require(image["Config"].get("StopSignal") == "SIGTERM", "StopSignal")
        require(image.get("Healthcheck", {}).get("Test", [""])[0] == "CMD", "a health check without a shell")
        require("org.opencontainers.image.title" in (image["Labels"] or {}), "labels")
        return f"{size:.0f} MB, of which the base has {below:.0f}"

    def _absent(self) -> str:
        unwanted = ("pip", "setuptools", "wheel", "hatchling", "pytest", "mypy")
        code = (
            "import importlib.util, shutil\n"
            f"print([name for name in {unwanted} if importlib.util.find_spec(name)], shutil.which('pip'), shutil.which('gcc'))"
        )
        for python in ("/usr/bin/python3", "/opt/artifact-sync/bin/python"):
            done = self._engine.once([], "-c", code, entrypoint=python)
            require(done.stdout.strip() == "[] None None", f"{python}: {done.stdout}{done.stderr}")
        # PEP 552: flags of 1 are a hash that is not looked at.
        code = (
            "import pathlib\n"
            "lib = pathlib.Path('/opt/artifact-sync/lib')\n"
            "compiled = list(lib.rglob('*.pyc'))\n"
            "print(len(compiled) - len(list(lib.rglob('*.py'))), {path.read_bytes()[4:8] for path in compiled})\n"
        )
        done = self._engine.once([], "-c", code, entrypoint="python3")
        require(done.stdout.strip() == r"0 {b'\x01\x00\x00\x00'}", done.stdout + done.stderr)
        return "pip, setuptools, compilers, tools of the development; bytecode is there once for each module"

    def _rights(self) -> str:
        code = (
            "import os, re, pathlib\n"
            "status = pathlib.Path('/proc/self/status').read_text()\n"
            "print(os.getuid(), os.getgid(), *re.findall(r'^(?:CapBnd|CapEff|NoNewPrivs):\\s*(\\w+)', status, re.M))\n"
            "try: open('/opt/x', 'w')\n"
            "except OSError as error: print(error.strerror)\n"
        )
        done = self._engine.once([], "-c", code, entrypoint="python3")
        zero = "0" * 16
        require(done.stdout == f"{USER} {USER} {zero} {zero} 1\nRead-only file system\n", done.stdout + done.stderr)
        greedy = self._engine.once([], "-c", "print(len(b'x' * (400 << 20)))", entrypoint="python3")
        require(greedy.returncode == _KILLED, f"the limit of {MEMORY} is none: {greedy.stdout}{greedy.stderr}")
        return f"uid and gid {USER}, no capabilities, no new privileges, read-only root without a tmpfs; 400 MB are too much"

    def _sync(self) -> str:
        with simulated_gitlab("jobs:60") as gitlab:
            site = self._site(gitlab.url)
            done = self._engine.once(site.mounts, "sync")
            require(done.returncode == 0, f"exit code {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}")
            expected = _expected(gitlab)
        archives = site.identical(expected)
        require(archives == len(expected), f"{archives} of {len(expected)} archives")
        sums = checksums_hold(site.tree)
        owners = site.owners()
        require(owners == {(USER, USER)}, f"owners: {owners}")
        modes = {oct(path.stat().st_mode & 0o777) for path in site.tree.rglob("artifacts.zip")}
        require(modes == {"0o640"}, f"modes: {modes}")
        link = next(site.tree.rglob("latest")).relative_to(site.folder / "mirror") / "artifacts.zip"
        self._read(site, f"/builds/{link}")
        return (
            f"exit code 0; {archives} archives, byte for byte those of GitLab; `sha256sum -c` holds in {sums} folders; everything is"
            f" {USER}:{USER}, files 0640; another uid reads through `latest` with the group, and not without;"
            f" {examples.served(site.tree, self._work)} by nginx"
        )

    def _read(self, site: Site, path: str) -> None:
        """By another user, who has the group or not."""
        code = f"import hashlib; print(len(open({path!r}, 'rb').read()) > 0)"
        member = self._engine.once(
            [*site.reading, f"--group-add={USER}"], "-c", code, entrypoint="python3", user="20001:20001"
        )
        require(member.stdout.strip() == "True", member.stderr)
        stranger = self._engine.once(site.reading, "-c", code, entrypoint="python3", user="20001:20001")
        require("Permission denied" in stranger.stderr, f"a stranger: {stranger.stdout}{stranger.stderr}")

    def _run(self) -> str:
        with simulated_gitlab("demo") as gitlab:
            site = self._site(gitlab.url)
            with self._engine.started("run", site.mounts, "run") as daemon:
                reached(lambda: daemon.said("daemon.started"), "the daemon starts")
                reached(lambda: site.tree.exists() and len(list(site.tree.rglob("SHA256SUMS"))) > 5, "it mirrors")
                time.sleep(20)  # GitLab goes on: manual jobs are played, releases are made
                require(daemon.healthy(), "a daemon that answers is healthy")
                self._frozen(daemon)
                status = self._engine.podman("exec", daemon.name, "artifact-sync", "status").stdout
                require("transfers:" in status, status)
                # As docs/container.md says for where nobody can send a signal from outside; tini passes it on.
                self._engine.podman("exec", daemon.name, "python3", "-c", "import os; os.kill(1, 1)")
                reached(lambda: daemon.said("config.reloaded"), "it reads its configuration again")
                peak = _peak(daemon.daemon)
                seconds, code = daemon.stop()
                require((seconds < _STOP, code) == (True, 0), f"{seconds:.1f} s, exit code {code}")
                require(TOKEN not in daemon.log(), "the token is in the log")
            audit = self._engine.once(site.mounts, "sync")
            require(audit.returncode == 0, audit.stderr[-800:])
            archives = site.identical(_expected(gitlab))
            checksums_hold(site.tree)
        return (
            f"{archives} archives, byte for byte; healthy, unhealthy while it is held by SIGSTOP, healthy again; `status` beside it; reloaded by SIGHUP; peak of resident memory"
            f" {peak} MB; ended {seconds:.1f} s after SIGTERM with exit code {code}"
        )

    @staticmethod
    def _frozen(daemon: Container) -> None:
        process = daemon.daemon
        os.kill(process, signal.SIGSTOP)
        try:
            require(not daemon.healthy(), "a daemon that does not answer is unhealthy")
        finally:
            os.kill(process, signal.SIGCONT)
        reached(daemon.healthy, "it is healthy again", within=30)

    def _big(self) -> str:
        with simulated_gitlab(f"big:{_BIG}") as gitlab:
            # It would take half a minute; no address, so that there is nothing to be asked.
            site = self._site(gitlab.url, listen="null", more="downloads: {bandwidth: 16MiB/s}")
            with self._engine.started("big", site.mounts, "run") as daemon:
                reached(lambda: _bytes(site.folder / "mirror" / ".staging") > 64 << 20, "it comes")
                require(daemon.healthy(), "without an address a daemon is healthy as long as it runs")
                seconds, code = daemon.stop()
            require((seconds < _STOP, code) == (True, 0), f"{seconds:.1f} s, exit code {code}")
            part = _bytes(site.folder / "mirror" / ".staging")
            site.configure(gitlab.url, listen="null")
            with self._engine.started("rest", site.mounts, "sync") as rest:
                process = rest.daemon
                peak = 0
                while (now := _peak(process)) > 0:
                    peak = max(peak, now)
                    time.sleep(0.1)
                code = rest.ended()
                require(code == 0, f"exit code {code}: {rest.log()[-800:]}")
            require(site.identical(_expected(gitlab)) == 1, "it is not there")
        return (
            f"ended {seconds:.1f} s after SIGTERM with exit code 0; the next pass went on behind {part / (1 << 20):.0f} MiB, byte for"
            f" byte; peak of resident memory {peak} MB"
        )

    def _bare(self) -> str:
        with simulated_gitlab("jobs:5") as gitlab:
            site = self._site(gitlab.url)
            place = [*site.mounts, *_SHELLS]
            with self._engine.started("bare", place, "run", entrypoint="artifact-sync") as daemon:
                reached(lambda: daemon.said("daemon.started"), "the daemon starts")
                require(daemon.healthy(), "it is healthy")
                require(daemon.daemon == daemon.init, "it is PID 1")
                seconds, code = daemon.stop()
        require((seconds < _STOP, code) == (True, 0), f"{seconds:.1f} s, exit code {code}")
        return f"healthy; ended after {seconds:.1f} s with exit code {code}"

    def _orphans(self) -> str:
        left = {entrypoint: self._unburied(entrypoint) for entrypoint in ("", "artifact-sync")}
        require(left[""] == 0, f"{left['']} dead processes")
        # Else there was nothing to bury, and the row says nothing.
        require(left["artifact-sync"] > 0, "nothing was left behind without tini either")
        return f"tini buries it: 0 dead processes after 5 commands; without it {left['artifact-sync']} would stay"

    def _unburied(self, entrypoint: str) -> int:
        with simulated_gitlab("jobs:5") as gitlab:
            site = self._site(gitlab.url, rule=_HOOK)
            with self._engine.started("orphans", site.mounts, "run", entrypoint=entrypoint) as daemon:
                reached(lambda: len(daemon.said("hook.ended")) >= 5, "commands have run")
                time.sleep(1)
                return daemon.unburied()

    def _wrong(self) -> str:
        site = self._site("http://gitlab.example.com")
        done = self._engine.once(site.mounts, "run")
        require(done.returncode == 2, f"exit code {done.returncode}: {done.stderr[-500:]}")
        require("config.yaml:" in done.stderr, done.stderr[-500:])
        return "exit code 2, with the place in the file"


def _expected(gitlab: Simulated) -> dict[int, str]:
    return {int(job): str(facts["sha256"]) for job, facts in gitlab.ask("expected").items()}


def _peak(process: int) -> int:
    """MB of resident memory at the most; 0 when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 // 1_000_000 if found else 0


def _bytes(folder: Path) -> int:
    """Of all files in it."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def main() -> int:
    """All rows, or those whose name has the word of ``--only``; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True, help="folder of the engine's storage")
    parser.add_argument("--tools", type=Path, required=True, help="folder of hadolint and kubernetes-validate")
    parser.add_argument("--only", default="", help="a word")
    options = parser.parse_args()
    engine = Engine(options.work)
    seen, failed = [], 0
    for name, check in Checks(engine, options.work, options.tools).rows:
        if options.only not in name:
            continue
        try:
            result = check()
        except (Failed, SubprocessError, OSError) as error:
            failed += 1
            result = f"FAILED: {error}"
        print(f"{name}: {result}", flush=True)  # noqa: T201 - it talks to a person
        seen.append(f"| {name} | {result} |")
    print(f"{len(seen) - failed} passed, {failed} failed")  # noqa: T201 - as above
    if not options.only and not failed:
        _RESULTS.write_text(_table(engine, seen))
    return 1 if failed else 0


def _table(engine: Engine, seen: list[str]) -> str:
    tools = ", ".join((engine.podman("--version").stdout.strip(), f"Linux {platform.release()} ({platform.machine()})"))
    return _PREFACE.format(rows="\n".join(seen), tools=tools, base=_BASE, memory=MEMORY)


_PREFACE = """\
# The image at work

Written by `make container`. The shipped Dockerfile was built as it stands by buildah; its base image,
`{base}`, was **not** the one of the registry: none was at hand, so it was made by debootstrap from the same
packages, without documentation, and given that name. Sizes with the registry's own may differ by a few MB. Containers
ran under podman with runc on the host's network, so without Docker, Compose or Kubernetes; against the simulated GitLab; with
`--read-only --cap-drop=ALL --security-opt=no-new-privileges --memory={memory}` and root's volumes, open to the group.

| what | seen |
|---|---|
{rows}

{tools}.
"""


if __name__ == "__main__":
    sys.exit(main())
