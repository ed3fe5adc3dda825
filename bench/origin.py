"""GitLab and its object store as tools meet them: nginx in front of the simulator, and nginx with the archives' bytes."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from bench.processes import Failed, folder, free_ports, simulator, wait_for_port
from bench.tools import path

__all__ = ["Origin", "Sent", "Shape", "serve"]

_HOST = "127.0.0.1"
_SETTLE = 10
_ACTIVE = re.compile(r"Active connections: (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A link between the tools and nginx: seconds of a round trip, and bytes a second of each connection."""

    round_trip: float
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What nginx sent in answers, headers included: for artifacts (redirects among them), and for everything."""

    archives: int
    everything: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a tool has to know, and what it can be held to."""

    url: str
    token: str
    project: str
    #: Archives by the ids of their jobs, with their sizes in bytes.
    archives: dict[int, int]
    #: Where their bytes are for somebody who knows the object store's addresses.
    stored: dict[int, str]
    files: list[Path]
    ca: Path | None
    log: Path
    status_url: str

    @property
    def size(self) -> int:
        """Of all archives, in bytes."""
        return sum(self.archives.values())

    @property
    def gitlab(self) -> dict[str, str]:
        """For a configuration."""
        found = {"url": self.url, "token": self.token, "project": self.project}
        return found | ({"ca": str(self.ca)} if self.ca else {})

    def address(self, job: int) -> str:
        """Of a job's archive in GitLab's API."""
        return f"{self.url}/api/v4/projects/1/jobs/{job}/artifacts"

    def mark(self) -> int:
        """Now, in the log; waits until everything that goes on has ended. Raises Failed."""
        give_up = time.monotonic() + _SETTLE
        while time.monotonic() < give_up:
            with urllib.request.urlopen(self.status_url, timeout=_SETTLE) as answer:
                found = _ACTIVE.search(answer.read().decode())
            if found is not None and found[1] == "1":  # this one
                return self.log.stat().st_size
            time.sleep(0.02)
        raise Failed("nginx still has connections of a tool that has ended")

    def sent(self, since: int) -> Sent:
        """Since a mark."""
        self.mark()
        with self.log.open() as file:
            file.seek(since)
            rows = [line.rpartition(" ") for line in file]
        counts = [(path, int(size)) for path, _, size in rows]
        return Sent(
            archives=sum(size for path, size in counts if "/artifacts" in path or "/gitlab-artifacts" in path),
            everything=sum(size for _, size in counts),
        )


@contextmanager
def serve(world: str, *, tls: bool = False, shape: Shape | None = None) -> Iterator[Origin]:
    """A world of the simulator's behind nginx, its archives on disk and in the page cache. Raises Failed."""
    api, store, status, *shaped = free_ports(5)
    scheme = "https" if tls else "http"
    seen_api, seen_store = shaped if shape else (api, store)
    with ExitStack() as stack:
        here = stack.enter_context(folder())
        (shelf := here / "shelf").mkdir()
        url, storage = f"{scheme}://{_HOST}:{seen_api}", f"{scheme}://{_HOST}:{seen_store}"
        options = ["--delivery", "redirect", "--external-url", url, "--storage-url", storage]
        ready = stack.enter_context(simulator(world, *options, "--storage-folder", str(shelf)))
        ca = _certify(here) if tls else None
        files = sorted(shelf.rglob("artifacts.zip"))
        ports = {"api": api, "store": store, "status": status, "simulator": int(ready["url"].rpartition(":")[2])}
        redirect = f"{storage}/{files[0].parents[1].relative_to(shelf)}/$job/artifacts.zip"
        written = _configuration(here, ports, tls=tls, redirect=redirect, token=ready["token"])
        (here / "nginx.conf").write_text(written)
        nginx = [path("nginx") or "nginx", "-p", str(here), "-c", str(here / "nginx.conf"), "-e", str(here / "errors")]
        stack.enter_context(_running(nginx, listens=store))
        if shape is not None:
            numbers = ["--delay", str(shape.round_trip / 2), "--rate", str(shape.rate)]
            ways = [f"{seen_api}:{api}", f"{seen_store}:{store}"]
            stack.enter_context(_running([sys.executable, "-m", "bench.link", *numbers, *ways], listens=seen_store))
        for file in files:
            _warm(file)
        expected = _expected(ready["url"])
        yield Origin(
            url=url,
            token=ready["token"],
            project=ready["project"],
            archives=expected,
            stored={int(file.parent.name): f"{storage}/{file.relative_to(shelf)}" for file in files},
            files=files,
            ca=ca,
            log=here / "sent",
            status_url=f"http://{_HOST}:{status}/",
        )


def _expected(url: str) -> dict[int, int]:
    with urllib.request.urlopen(f"{url}/-/simulator/expected") as answer:
        return {int(job): facts["size"] for job, facts in json.load(answer).items()}


def _warm(file: Path) -> None:
    with file.open("rb", buffering=0) as opened:
        while opened.read(1 << 20):
            pass


def _certify(here: Path) -> Path:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(here / "ca.pem"))
    authority.issue_cert(_HOST).private_key_and_cert_chain_pem.write_to_path(str(here / "server.pem"))
    return here / "ca.pem"


@contextmanager
def _running(command: Sequence[str], *, listens: int) -> Iterator[None]:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            wait_for_port(listens, process)
            yield
        finally:
            process.terminate()


def _configuration(here: Path, ports: dict[str, int], *, tls: bool, redirect: str, token: str) -> str:
    """Of nginx, which answers requests for archives itself: the simulator would be slower than most of the tools."""
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name};" if os.geteuid() == 0 else ""
    secure = f"ssl_certificate {here}/server.pem; ssl_certificate_key {here}/server.pem;" if tls else ""
    ssl = " ssl" if tls else ""
    temporary = "\n".join(
        f"  {kind}_temp_path {here}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""{user}
daemon off;
pid {here}/nginx.pid;
worker_processes auto;
events {{ worker_connections 4096; }}
http {{
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  log_format sent '$uri $bytes_sent';
  access_log {here}/sent sent;
{temporary}
  {secure}
  upstream gitlab {{ server {_HOST}:{ports["simulator"]}; keepalive 64; }}
  server {{
    listen {_HOST}:{ports["api"]}{ssl};
    location ~ ^/api/v4/projects/1/jobs/(?<job>[0-9]+)/artifacts$ {{
      if ($http_private_token != "{token}") {{ return 401; }}
      return 302 {redirect};
    }}
    location / {{
      proxy_pass http://gitlab;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
  server {{
    listen {_HOST}:{ports["store"]}{ssl};
    root {here}/shelf;
  }}
  server {{
    listen {_HOST}:{ports["status"]};
    access_log off;
    location / {{ stub_status; }}
  }}
}}
"""
