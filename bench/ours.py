"""The command that is measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.processes import installed

from artifact_sync import config
from artifact_sync.errors import ConfigError

__all__ = ["accepts_segments", "run", "sync", "verify"]


def sync(
    gitlab: dict[str, str],
    here: Path,
    *,
    files: Sequence[str] = (),
    concurrency: int | None = None,
    segments: int | None = None,
) -> list[str]:
    """The command of a complete pass into a folder. The budget is as high as it goes: GitLab's patience is not measured.

    ``files`` are patterns to fetch instead of whole archives.
    """
    configuration = _configured(gitlab, here, _configuration(gitlab, files, concurrency, segments))
    return [installed(), "sync", "--strict", "--config", configuration]


def run(gitlab: dict[str, str], here: Path, *, listen: str) -> list[str]:
    """The daemon on a folder's store, which answers there."""
    configuration = json.loads(_configuration(gitlab, (), None, None)) | {"server": {"listen": listen}}
    return [installed(), "run", "--config", _configured(gitlab, here, json.dumps(configuration, indent=1))]


def verify(gitlab: dict[str, str], here: Path) -> list[str]:
    """The command that reads every published file of a folder's store, whose state lies beside it."""
    return [installed(), "verify", "--config", _configured(gitlab, here, _configuration(gitlab, (), None, None))]


def _configured(gitlab: dict[str, str], here: Path, text: str) -> str:
    (here / "token").write_text(gitlab["token"])
    configuration = here / "artifact-sync.yaml"
    configuration.write_text(text)
    return str(configuration)


def accepts_segments(segments: int) -> bool:
    """Whether the configuration takes parallel ranges: a key whose effect is not built is refused."""
    try:
        config.loads(
            _configuration({"url": "https://gitlab.example.com", "project": "a/b"}, (), None, segments), "bench"
        )
    except ConfigError:
        return False
    return True


def _configuration(gitlab: dict[str, str], files: Sequence[str], concurrency: int | None, segments: int | None) -> str:
    downloads = {"concurrency": concurrency, "segments": segments}
    written = {
        "version": 1,
        "gitlab": {
            "url": gitlab["url"],
            "token": {"file": "token"},
            "requests": {"per_minute": 100_000},
            **({"ca_file": gitlab["ca"]} if gitlab.get("ca") else {}),
        },
        "store": {"path": "mirror", "min_free": "1MiB"},
        "poll": {"backfill": "all"},
        "downloads": {key: value for key, value in downloads.items() if value is not None},
        "rules": [
            {
                "name": "all",
                "projects": [gitlab["project"]],
                **({"fetch": {"archive": False, "files": list(files)}} if files else {}),
            }
        ],
    }
    # JSON is YAML.
    return json.dumps(written, indent=1)
