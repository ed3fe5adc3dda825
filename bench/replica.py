"""Measures what is served: the replica of GitLab's API beside nginx with the same files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import tools
from bench.ours import run, sync
from bench.processes import Failed, folder, free_ports, measure, simulator, wait_for_port

__all__ = ["Served", "replica"]

_HOST = "127.0.0.1"
_MIB = 1 << 20
#: About 10 KiB with what a zip adds.
_SMALL = "9013B"
_STOP = 10
#: Of wrk's report.
_REQUESTS = re.compile(r"Requests/sec:\s+([\d.]+)")
_TRANSFER = re.compile(r"Transfer/sec:\s+([\d.]+)(B|KB|MB|GB)")
_UNITS = {"B": 1, "KB": 1 << 10, "MB": _MIB, "GB": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The one large archive, how many small ones of 10 KiB, how often, and seconds of each run."""

    size: str = "1GiB"
    archives: int = 5000
    rounds: int = 5
    seconds: int = 8


@dataclass(frozen=True, slots=True)
class _Rate:
    """Of one run of wrk."""

    requests: float
    #: A second.
    bytes: float


def replica(plan: Served) -> str:
    """Measure, and write the section of the results."""
    lacking = tools.provide("nginx", "wrk", "curl")
    if lacking:
        return "## What is served\n\nLeft out: " + ", ".join(f"{name} {why}" for name, why in lacking.items()) + ".\n"
    print(f"what is served: one archive of {plan.size} ...", flush=True)
    large = _contest(f"big:{plan.size}", plan, lambda rate: rate.bytes / _MIB)
    print(f"what is served: {plan.archives:,} small archives ...", flush=True)
    small = _contest(f"jobs:{plan.archives}:{_SMALL}", plan, lambda rate: rate.requests)
    print("what is served: one file out of an archive ...", flush=True)
    members = _members(plan)
    return f"""## What is served

The daemon's replica of GitLab's API beside nginx with sendfile and {os.cpu_count()} workers, both with the same files of the store,
in memory; wrk asks on the same machine: 8 connections, {plan.seconds} s, ours and theirs in turn,
{plan.rounds} pairs; the median, and in brackets the smallest and the largest ratio. For each request the replica
looks the job up in the state, compares the size of the file with what was published, and sends it with its sha256 as ETag.

| | replica | nginx | ratio |
|---|---|---|---|
| one archive of {plan.size}: MiB a second | {large} |
| {plan.archives:,} archives of 10 KiB, in turn: requests a second | {small} |

{members}"""


def _contest(world: str, plan: Served, value: Callable[[_Rate], float]) -> str:
    with folder() as here, _mirror(world, here) as (port, jobs), _nginx(here) as theirs:
        paths = {job: f"/api/v4/projects/1/jobs/{job}/artifacts" for job in jobs}
        files = {int(path.parent.name): path for path in (here / "mirror/tree").rglob("artifacts.zip")}
        others = [f"/{files[job].relative_to(here / 'mirror/tree')}" for job in jobs]
        pairs = []
        for _ in range(plan.rounds):
            ours = value(_wrk(here, port, list(paths.values()), plan.seconds))
            pairs.append((ours, value(_wrk(here, theirs, others, plan.seconds))))
    ratios = sorted(ours / other for ours, other in pairs)
    shown = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"{median(ours for ours, _ in pairs):,.0f} | {median(other for _, other in pairs):,.0f} | {shown}"


def _members(plan: Served) -> str:
    """Of an archive of a thousand files: how long the first byte of one takes, and what the daemon's memory comes to."""
    with folder() as here, _mirror(f"files:1000:{plan.size}", here) as (port, jobs):
        (job,) = jobs
        pid = int((here / "pid").read_text())
        names = _tree(port, job)
        before = _peak(pid, forget=True)
        first = [_first_byte(port, job, name) for name in names]
        after = _peak(pid)
    return f"""One file of an archive of {plan.size} with 1,000 files, straight out of it: first byte after {median(first) * 1000:.1f} ms
({min(first) * 1000:.1f} to {max(first) * 1000:.1f} ms, {len(first)} files); the daemon's memory was {before / _MIB:.0f} MiB
before and {after / _MIB:.0f} MiB at its peak.
"""


def _tree(port: int, job: int) -> list[str]:
    url = f"http://{_HOST}:{port}/api/v4/projects/1/jobs/{job}/artifacts/tree?recursive=true&per_page=100"
    with urllib.request.urlopen(url) as answer:
        return [row["path"] for row in json.load(answer) if row["type"] == "file"]


def _first_byte(port: int, job: int, name: str) -> float:
    url = f"http://{_HOST}:{port}/api/v4/projects/1/jobs/{job}/artifacts/{name}"
    command = ["curl", "-q", "-sSf", "-o", "/dev/null", "-w", "%{time_starttransfer}", url]
    return float(subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout)


def _peak(pid: int, *, forget: bool = False) -> int:
    """Of the resident memory, in bytes (proc_pid_status(5), VmHWM); or from now on (proc_pid_clear_refs(5), 5)."""
    if forget:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("VmHWM:"))


def _wrk(here: Path, port: int, paths: Sequence[str], seconds: int) -> _Rate:
    (here / "paths").write_text("\n".join(paths))
    script = here / "paths.lua"
    script.write_text(f"""local paths = {{}}
for line in io.lines("{here}/paths") do paths[#paths + 1] = line end
local at = 0
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at])
end
""")
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "60s", "-s", str(script), f"http://{_HOST}:{port}"]
    told = subprocess.run(command, capture_output=True, check=True, text=True, timeout=seconds + 120).stdout
    requests, transfer = _REQUESTS.search(told), _TRANSFER.search(told)
    if requests is None or transfer is None or "Non-2xx" in told or "Socket errors" in told:
        raise Failed(f"wrk: {told}")
    return _Rate(float(requests[1]), float(transfer[1]) * _UNITS[transfer[2]])


@contextmanager
def _mirror(world: str, here: Path) -> Iterator[tuple[int, list[int]]]:
    """A daemon that serves all archives of a world, which it has mirrored: its port, and the jobs."""
    (port,) = free_ports(1)
    with simulator(world) as gitlab:
        with urllib.request.urlopen(f"{gitlab['url']}/-/simulator/expected") as answer:
            jobs = sorted(int(job) for job in json.load(answer))
        measure(sync(gitlab, here), output=here / "log")
        with (here / "daemon").open("wb") as log:
            command = run(gitlab, here, listen=f"{_HOST}:{port}")
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
                try:
                    wait_for_port(port, process)
                    (here / "pid").write_text(str(process.pid))
                    # What it does at its start is over.
                    time.sleep(2)
                    yield port, jobs
                finally:
                    process.send_signal(signal.SIGTERM)
                    process.wait(_STOP)


@contextmanager
def _nginx(here: Path) -> Iterator[int]:
    (port,) = free_ports(1)
    user = "user root;" if os.geteuid() == 0 else ""
    places = "\n".join(
        f"{kind}_temp_path {here}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (here / "nginx.conf").write_text(f"""{user}
daemon off;
pid {here}/nginx.pid;
worker_processes auto;
events {{ worker_connections 1024; }}
http {{
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  access_log off;
  {places}
  server {{ listen {_HOST}:{port}; root {here}/mirror/tree; }}
}}
""")
    command = [
        tools.path("nginx") or "nginx",
        "-p",
        str(here),
        "-c",
        str(here / "nginx.conf"),
        "-e",
        str(here / "errors"),
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port, process)
            yield port
        finally:
            process.terminate()
