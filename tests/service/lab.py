"""``make service``: the real daemon's system calls, compared with the unit's filter, and the daemon under that filter.

The daemon discovers, downloads, unpacks, publishes, links, runs hooks, serves, prunes, is asked to reload and stops, once under
strace(1), which counts the calls of all its threads and children, and once with every other call refused as the unit refuses it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.harness import COMMAND, Simulated, environment, simulated_gitlab
from tests.acceptance.supervised import managing
from tests.acceptance.test_replica import free_port
from tests.service.units import FOLDER, UNITS, allowed_calls, analyzer

_RESULTS = FOLDER / "RESULTS.md"
_CONFINED = Path(__file__).with_name("confined.py")
#: Calls that the filter refuses and the daemon does without; why.
TOLERATED = {
    "fchown": "SQLite gives its files to the database's owner, as root alone, and goes on without",
    "ioprio_set": "the scrub asks for idle IO priority and reads on without; examples/scrub-idle.conf allows it",
}
_WORLD = "jobs:12:20000"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run came to."""

    done: tuple[str, ...]
    calls: frozenset[str] = frozenset()


def main() -> int:
    """1 when the daemon needs a call that is not allowed, or does not do everything without those."""
    systemd = analyzer()
    refused = "there is no systemd-analyze" if systemd is None else _require_strace()
    if systemd is None or refused:
        _say(f"Not run: {refused}")
        return 1 if os.environ.get("CI") else 0
    allowed = allowed_calls(systemd, (FOLDER / UNITS[0]).read_text())
    with (
        tempfile.TemporaryDirectory(prefix="artifact-sync-service-") as folder,
        simulated_gitlab(_WORLD) as gitlab,
    ):
        _say("The daemon under strace ...")
        counts = Path(folder) / "counts"
        seen = _run(Path(folder) / "traced", gitlab, ["strace", "-f", "-qq", "-c", "-U", "name", "-o", str(counts)])
        calls = frozenset(re.findall(r"^\s*(\w+)$", counts.read_text(), re.MULTILINE)) - {"syscall", "total"}
        _say(f"  did: {', '.join(seen.done)}; {len(calls)} calls")
        _say("The daemon with the unit's calls alone ...")
        names = Path(folder) / "allowed"
        names.write_text("\n".join(sorted(allowed)))
        confined = _run(Path(folder) / "confined", gitlab, [sys.executable, str(_CONFINED), str(names)])
        _say(f"  did: {', '.join(confined.done)}")
    denied = calls - allowed
    _RESULTS.write_text(_report(calls, allowed, denied, seen, confined, systemd.version))
    _say(f"Written: {_RESULTS.name}; denied: {', '.join(sorted(denied)) or 'nothing'}")
    return 0 if denied <= TOLERATED.keys() and seen.done == confined.done else 1


def _run(folder: Path, gitlab: Simulated, before: Sequence[str]) -> Run:
    """A daemon's whole life, started by ``before``. Raises TimeoutError where a step of it does not come."""
    folder.mkdir()
    port = free_port()
    (deploy := folder / "deploy").write_text(f"#!/bin/sh\nsha256sum < $1/artifacts.zip >> {folder}/deployed\n")
    deploy.chmod(0o755)
    (folder / "secret").write_text("a-secret-of-ours")
    configuration = folder / "artifact-sync.yaml"
    text = (
        f"version: 1\ngitlab: {{url: '{gitlab.url}', token: {{env: GITLAB_TOKEN}}, requests: {{per_minute: 10000}}}}\n"
        "store: {path: mirror, min_free: 1MiB, mode: '0640'}\npoll: {interval: 1s}\nlog: {format: json}\n"
        f"server: {{listen: '127.0.0.1:{port}', read_through: true, webhook_secret: {{file: secret}}}}\n"
        "retention: {max_delete: 100%, trash: 0s}\n"
        "rules:\n  - {name: some, projects: [acme/app], when: {jobs: [package]}, fetch: {archive: true, trace: true},"
        f" publish: {{extract: true, latest: newest}}, after: {{command: [{deploy}, '{{path}}']}}}}\n"
    )
    configuration.write_text(text)
    done: list[str] = []
    with managing(folder) as manager, (folder / "run.log").open("wb") as output:
        env = environment({**manager.env(WATCHDOG_USEC="2000000"), "WATCHDOG_PID": ""})
        del env["WATCHDOG_PID"]
        command = [*before, str(COMMAND), "run", "-c", str(configuration)]
        with subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output) as process:
            log = folder / "run.log"

            def step(name: str, holds: Callable[[], object]) -> None:
                _until(holds, process, log)
                done.append(name)

            def said(event: str) -> bool:
                return f'"event": "{event}"' in log.read_text()

            try:
                step("became ready", lambda: manager.values("READY"))
                step("published", lambda: said("transfer.published"))
                step("linked", (folder / "mirror" / "tree" / "newest").is_symlink)
                step("ran hooks", lambda: (folder / "deployed").exists() and said("hook.ended"))
                step("petted the watchdog", lambda: manager.values("WATCHDOG"))
                step("served", lambda: _served(port))
                # strace and the confining program pass no signal on.
                daemon = _daemon(process.pid)
                configuration.write_text(text.replace("when: {jobs: [package]}, ", "retain: {last: 1}, "))
                os.kill(daemon, signal.SIGHUP)
                step("reloaded", lambda: said("config.reloaded"))
                step("published more", lambda: log.read_text().count('"event": "transfer.published"') >= 12)
                pruned = subprocess.run(
                    [COMMAND, "prune", "--yes", "-c", configuration], env=environment(), check=False, timeout=60
                )
                assert pruned.returncode == 0
                step("pruned", lambda: said("publication.pruned") and said("trash.emptied"))
                os.kill(daemon, signal.SIGTERM)
                step("stopped", lambda: manager.values("STOPPING") and process.poll() is not None)
                assert process.returncode == 0, log.read_text()[-2000:]
            finally:
                process.kill()
    return Run(done=tuple(done))


def _daemon(pid: int) -> int:
    """The daemon below strace, or the process itself."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if Path(f"/proc/{pid}/comm").read_text().strip() == "strace" else pid


def _served(port: int) -> bool:
    """A project, its jobs, and the bytes of an archive."""
    api = f"http://127.0.0.1:{port}/api/v4"
    try:
        with urllib.request.urlopen(f"{api}/projects", timeout=10) as answer:
            (project,) = json.load(answer)
        with urllib.request.urlopen(f"{api}/projects/{project['id']}/jobs", timeout=10) as answer:
            jobs = [job for job in json.load(answer) if "artifacts_file" in job]
        place = f"{api}/projects/{project['id']}/jobs/{jobs[0]['id']}/artifacts"
        with urllib.request.urlopen(place, timeout=10) as answer:
            return len(answer.read()) > 0
    except (OSError, ValueError, IndexError):
        return False


def _until(holds: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 90
    while not holds():
        if time.monotonic() > end or (process.poll() is not None and not holds()):
            raise TimeoutError(log.read_text()[-4000:])
        time.sleep(0.05)


def _require_strace() -> str:
    """Install it where it is missing, and say so; why it cannot be had, or nothing."""
    if shutil.which("strace") is None:
        _say("Installing strace by apt-get")
        try:
            subprocess.run(["apt-get", "install", "-qq", "--yes", "strace"], check=True, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"strace could not be installed: {error}"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False, capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"strace cannot trace here: {tried.stderr.strip()}"


def _report(
    calls: frozenset[str], allowed: frozenset[str], denied: frozenset[str], seen: Run, confined: Run, systemd: int
) -> str:
    rows = [f"| `{name}` | {TOLERATED.get(name, 'NEEDED: the filter is too narrow')} |" for name in sorted(denied)]
    return "\n".join(
        [
            "# System calls of the service",
            "",
            "Written by `make service`, which runs the real daemon against the simulated GitLab twice: under strace, which sees",
            "the calls of all threads, of processes that unpack and of hooks' commands; and with every call refused that",
            "`SystemCallFilter=` in `artifact-sync.service` refuses.",
            "",
            "| | |",
            "|---|--:|",
            f"| calls that the filter allows | {len(allowed)} |",
            f"| calls that were used | {len(calls)} |",
            f"| of those, refused by the filter | {len(denied)} |",
            f"| steps of the traced run | {len(seen.done)} |",
            f"| the same steps under the filter | {len(confined.done)} |",
            "",
            f"Steps: {', '.join(seen.done)}.",
            "",
            "| refused | and why that does no harm |",
            "|---|---|",
            *rows,
            "",
            f"Used: {', '.join(f'`{name}`' for name in sorted(calls))}.",
            "",
            f"Measured with systemd {systemd} (its groups of calls), Linux {platform.release()} ({platform.machine()}), CPython",
            f"{platform.python_version()}, as {'root' if os.geteuid() == 0 else 'a user'}. No systemd ran the unit: what its other",
            "lines do together is not shown by this.",
            "",
        ]
    )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the laboratory talks to a person


if __name__ == "__main__":
    sys.exit(main())
