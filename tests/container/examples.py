"""The files of config/ for containers, read by the programs that they are for, and the Dockerfile by its critic."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tests.container.engine import reached, require

__all__ = ["compose", "dockerfile", "kubernetes", "served"]

ROOT = Path(__file__).parents[2]
#: The oldest Kubernetes with native sidecars, and the newest that the checker knows.
_VERSIONS = ("1.29", "1.37")
_PORT = 8710


def dockerfile(tools: Path) -> str:
    """hadolint finds nothing to say. Raises Failed."""
    done = _run(tools / "hadolint", "--no-color", ROOT / "Dockerfile")
    require(done.returncode == 0, done.stdout)
    return "hadolint: nothing"


def kubernetes(tools: Path) -> str:
    """Kubernetes knows every field. Raises Failed."""
    files = sorted((ROOT / "config" / "kubernetes").glob("*.yaml"))
    for version in _VERSIONS:
        done = _run(tools / "kubernetes-validate", "--strict", "-k", version, *files)
        require(done.returncode == 0, done.stdout + done.stderr)
    return f"{len(files)} files, by the schemas of {' and '.join(_VERSIONS)}"


def compose() -> str:
    """Compose understands its file. Raises Failed."""
    done = _run("docker-compose", "--file", ROOT / "config" / "compose" / "compose.yaml", "config", "--quiet")
    require(done.returncode == 0, done.stderr)
    return "understood"


def served(tree: Path, work: Path) -> str:
    """nginx with config/compose/nginx.conf gives out what is in the tree, also through a link. Raises Failed."""
    file = next(path for path in sorted(tree.rglob("latest/artifacts.zip")) if path.is_file())
    with _nginx(tree, work):
        url = f"http://127.0.0.1:{_PORT}/{file.relative_to(tree)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            require(sha256(answer.read()).digest() == sha256(file.read_bytes()).digest(), f"{url}: other bytes")
            headers = answer.headers
    require(headers["X-Content-Type-Options"] == "nosniff", "no nosniff")
    require("sandbox" in headers["Content-Security-Policy"], "no sandbox")
    return "the same bytes through `latest`, as an attachment of no type"


@contextmanager
def _nginx(tree: Path, work: Path) -> Iterator[None]:
    text = (ROOT / "config" / "compose" / "nginx.conf").read_text()
    for theirs, ours in (("/srv/mirror/tree", str(tree)), ("listen 8080", f"listen 127.0.0.1:{_PORT}")):
        require(theirs in text, f"nginx.conf: no {theirs}")
        text = text.replace(theirs, ours)
    folder = work / "nginx"
    folder.mkdir()
    (folder / "site.conf").write_text(text)
    # Its workers read as root does: who may read is tried with containers.
    main = f"user root; pid {folder}/pid; daemon off; error_log {folder}/error.log;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{ access_log off; include {folder}/site.conf; }}\n")
    with subprocess.Popen(["nginx", "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL) as process:
        try:
            reached((folder / "pid").exists, "nginx listens", within=10)
            yield
        finally:
            process.terminate()


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
