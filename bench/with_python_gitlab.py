"""The script that one would write with python-gitlab: `URL TOKEN PROJECT FOLDER [CA]`, every archive of the project by 16 threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gitlab
import requests
from gitlab.v4.objects import ProjectJob
from requests.adapters import HTTPAdapter

_THREADS = 16
#: python-gitlab's own default is 1 KiB, which takes ten times as long for a large archive.
_CHUNK = 1 << 20


def main() -> None:
    """Download them all; the first failure ends it."""
    url, token, path, folder, *ca = sys.argv[1:]
    session = requests.Session()
    # Its pool is of ten connections otherwise, and says so for each further one.
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_THREADS))
    server = gitlab.Gitlab(url, private_token=token, session=session, ssl_verify=ca[0] if ca else True)
    project = server.projects.get(path)

    def fetch(job: ProjectJob) -> None:
        with Path(folder, f"{job.id}.zip").open("wb") as file:
            job.artifacts(streamed=True, action=file.write, chunk_size=_CHUNK)

    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = project.jobs.list(iterator=True, per_page=100, pagination="keyset", order_by="id", sort="desc")
        for _ in pool.map(fetch, (job for job in jobs if isinstance(job, ProjectJob))):
            pass


if __name__ == "__main__":
    main()
