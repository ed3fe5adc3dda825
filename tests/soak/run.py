"""The soak: `make soak`. The real daemon beside a living GitLab that fails in every way, watched for half an hour.

In the end GitLab is calm, the daemon catches up, and everything that should be mirrored is compared byte by byte. Memory and
descriptors are read from /proc, the event loop's delay from the daemon's own metrics. Written into RESULTS.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

_HERE = Path(__file__).parent
_SAMPLE = 10
_CATCH_UP = 600
_MIB = 1 << 20
#: Growth over the second half, in MiB and in descriptors; seconds; and how often each fault must have struck.
_FLAT, _FLAT_FILES, _DELAY, _STRUCK = 4.0, 4, 0.05, 30
_BUCKET = re.compile(r'^artifact_sync_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The daemon at one moment: seconds since its start, bytes, open descriptors, and published archives."""

    at: float
    memory: int
    files: int
    published: int


def main() -> int:
    """Run it; 1 where a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="artifact-sync-soak-") as name:
        here = Path(name)
        command = [sys.executable, "-m", "tests.soak.gitlab", "--rate", str(options.rate)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gitlab:
            try:
                text, kept = _soak(here, gitlab, options.minutes, options.rate)
            finally:
                gitlab.terminate()
    print(text)
    if options.minutes >= 30:
        _HERE.joinpath("RESULTS.md").write_text(text)
    return 0 if kept else 1


def _soak(here: Path, gitlab: subprocess.Popen[str], minutes: float, rate: float) -> tuple[str, bool]:
    assert gitlab.stdout is not None
    ready = json.loads(gitlab.stdout.readline())
    configuration = _configured(here, ready)
    daemon = [str(Path(sys.executable).with_name("artifact-sync")), "run", "--config", str(configuration)]
    with (here / "log").open("wb") as log, subprocess.Popen(daemon, stdout=log, stderr=log) as process:
        try:
            samples = _watched(process, here, minutes * 60)
            delays = _delays(_metrics(here))
            gitlab.send_signal(signal.SIGUSR1)
            told = json.loads(gitlab.stdout.readline())
            seconds = _caught_up(here, told["archives"])
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            code = process.wait(15)
            stopped = time.monotonic() - began
        except BaseException:
            process.kill()
            print((here / "log").read_text()[-3000:], file=sys.stderr)
            raise
    wrong = _wrong(here, told["archives"])
    return _report(samples, delays, told, wrong, rate=rate, seconds=seconds, stopped=stopped, code=code)


def _configured(here: Path, ready: dict[str, str]) -> Path:
    (here / "token").write_text(ready["token"])
    written = {
        "version": 1,
        "gitlab": {
            "url": ready["url"],
            "token": {"file": "token"},
            "requests": {"per_minute": 20_000, "timeout": "3s", "concurrency": 32},
        },
        "store": {"path": "mirror", "min_free": "1MiB"},
        "poll": {"interval": "5s", "audit": "5m"},
        "downloads": {"concurrency": 16},
        "rules": [{"name": "all", "projects": ["acme/*"], "retain": {"last": 1_000_000}}],
        "server": {"listen": f"127.0.0.1:{_port(here)}"},
    }
    path = here / "artifact-sync.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(written))
    return path


def _port(here: Path) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    (here / "port").write_text(str(port))
    return port


def _watched(process: subprocess.Popen[bytes], here: Path, seconds: float) -> list[Sample]:
    began = time.monotonic()
    samples: list[Sample] = []
    while (passed := time.monotonic() - began) < seconds:
        if process.poll() is not None:
            raise RuntimeError(f"the daemon ended with {process.returncode} after {passed:.0f} s")
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        samples.append(
            Sample(
                at=passed,
                memory=int(resident.split()[1]) * 1024,
                files=len(os.listdir(f"/proc/{process.pid}/fd")),  # noqa: PTH208 - names alone
                published=_published(here),
            )
        )
        if len(samples) % 6 == 1:
            last = samples[-1]
            print(
                f"  {passed / 60:4.1f} min: {last.memory / _MIB:.0f} MiB, {last.files} files, {last.published} published",
                flush=True,
            )
        time.sleep(_SAMPLE)
    return samples


def _published(here: Path) -> int:
    return sum(1 for _ in (here / "mirror/tree").rglob("artifacts.zip"))


def _metrics(here: Path) -> str:
    port = (here / "port").read_text()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def _delays(metrics: str) -> dict[float, float]:
    """Upper bounds of the event loop's delay in seconds, each with the share of the looks that were below it."""
    rows = [(float(bound), float(count)) for bound, count in _BUCKET.findall(metrics)]
    if not rows:
        raise RuntimeError("the daemon's metrics say nothing of the event loop's delay")
    return {bound: count / rows[-1][1] for bound, count in rows}


def _caught_up(here: Path, archives: dict[str, str]) -> float:
    """Seconds until everything is there."""
    began = time.monotonic()
    while time.monotonic() - began < _CATCH_UP and _published(here) < len(archives):
        time.sleep(1)
    return time.monotonic() - began


def _wrong(here: Path, archives: dict[str, str]) -> list[str]:
    """What is missing, and what has other bytes than GitLab's."""
    found = {path.parent.name: path for path in (here / "mirror/tree").rglob("artifacts.zip")}
    wrong = [f"job {job} is not mirrored" for job in archives if job not in found]
    for job, path in found.items():
        if hashlib.sha256(path.read_bytes()).hexdigest() != archives.get(job):
            wrong.append(f"job {job} is not what GitLab has")
    if list((here / "mirror/.staging").iterdir()):
        wrong.append("something is left in staging")
    return wrong


def _report(
    samples: Sequence[Sample],
    delays: dict[float, float],
    told: dict[str, Any],
    wrong: Sequence[str],
    *,
    rate: float,
    seconds: float,
    stopped: float,
    code: int,
) -> tuple[str, bool]:
    half, end = samples[len(samples) // 3 : 2 * len(samples) // 3], samples[2 * len(samples) // 3 :]
    grown = (mean(s.memory for s in end) - mean(s.memory for s in half)) / _MIB
    files = mean(s.files for s in end) - mean(s.files for s in half)
    delay = next(bound for bound, share in delays.items() if share >= 0.99)
    rows = {
        f"memory in the last third beside the third before: {grown:+.1f} MiB (at most {_FLAT:+.1f})": grown <= _FLAT,
        f"descriptors, the same: {files:+.1f} (at most {_FLAT_FILES:+d})": files <= _FLAT_FILES,
        f"delay of the event loop: 99 % below {delay * 1000:g} ms (at most {_DELAY * 1000:g})": delay <= _DELAY,
        f"{len(told['archives']):,} archives of {told['jobs']:,} jobs: {len(wrong)} wrong, {sum('what GitLab has' in row for row in wrong)} of them other bytes": not wrong,
        f"caught up {seconds:.0f} s after GitLab became calm; ended {stopped:.1f} s after SIGTERM with {code}": code
        == 0,
        f"each fault struck at least {_STRUCK} times": all(n >= _STRUCK for n in told["faults"].values()),
    }
    minutes = samples[-1].at / 60
    curve = "\n".join(
        f"| {s.at / 60:.0f} | {s.memory / _MIB:.1f} | {s.files} | {s.published:,} |"
        for s in samples[:: _every(samples)]
    )
    struck = "\n".join(f"| {name} | {count:,} |" for name, count in told["faults"].items())
    verdicts = "\n".join(f"| {row} | {'kept' if kept else 'MISSED'} |" for row, kept in rows.items())
    text = f"""# Soak

Written by `make soak`: the daemon for {minutes:.0f} minutes beside a living GitLab in which {rate:g} jobs a second end, out of order, played
by hand, retried, their artifacts expiring after 90 seconds, a day or a week; 3 % of all reads are struck by each of the faults below, and 60 % of
those for a part of a file by each of the last two. A 429 says Retry-After: 0, for whoever is told to wait longer waits with everything.
CPython {platform.python_version()}, Linux {platform.release().split("-")[0]}, {os.cpu_count()} processors for the daemon, GitLab and whatever else ran.

| | |
|---|---|
{verdicts}

{"".join(f"- {row}{chr(10)}" for row in wrong[:20])}
| fault | struck |
|---|--:|
{struck}

| minute | resident MiB | descriptors | published |
|--:|--:|--:|--:|
{curve}
"""
    return text, all(rows.values())


def _every(samples: Sequence[Sample]) -> int:
    return max(1, len(samples) // 15)


if __name__ == "__main__":
    sys.exit(main())
