"""Settings from command-line options, for a first use without a file; validated exactly as a file is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from artifact_sync.config.judge import judge
from artifact_sync.config.problems import ConfigProblems, Fault, Problem, render_path
from artifact_sync.config.sections import state_of_its_own
from artifact_sync.config.settings import Settings

__all__ = ["quick"]

#: Which option a person wrote for a key.
_OPTIONS: dict[tuple[str, ...], str] = {
    ("gitlab", "url"): "--url",
    ("gitlab", "token", "env"): "--token-env",
    ("gitlab", "token", "file"): "--token-file",
    ("gitlab", "token", "kind"): "--token-kind",
    ("gitlab", "token"): "--token-file",
    ("gitlab", "ca_file"): "--ca-file",
    ("store", "path"): "--into",
    ("poll", "backfill"): "--backfill",
    ("downloads", "concurrency"): "--concurrency",
    ("rules", "projects"): "--project",
    ("rules", "when", "refs"): "--ref",
    ("rules", "when", "jobs"): "--job",
    ("rules", "when", "statuses"): "--status",
    ("rules", "fetch", "files"): "--file",
    ("rules", "fetch", "trace"): "--trace",
    ("rules", "publish", "path"): "--path",
    ("rules", "keep", "policy"): "--keep",
}


def quick(
    *,
    url: str,
    projects: Sequence[str | int],
    into: str | Path,
    refs: Sequence[str] = (),
    jobs: Sequence[str] = (),
    statuses: Sequence[str] = (),
    files: Sequence[str] = (),
    trace: bool = False,
    backfill: str | None = None,
    keep: str | None = None,
    path: str | None = None,
    token_env: str | None = None,
    token_file: str | Path | None = None,
    token_kind: str | None = None,
    no_token: bool = False,
    ca_file: str | Path | None = None,
    overrides: dict[str, Any] | None = None,
) -> Settings:
    """Settings with one rule, ``quick``, and the defaults for everything that is not given.

    ``projects`` of digits alone are numeric ids. With ``files`` the archive is not fetched as a whole. Relative paths begin
    at the current folder. Without a token option the variable GITLAB_TOKEN is read; ``no_token`` is for a public instance.
    ``overrides`` are whole sections as a file would have them (``{"poll": {"interval": "5s"}}``), for programs.

    Raises:
        ConfigError: an option is wrong; the message has one line for every problem, each naming its option.
    """
    when = {"refs": list(refs), "jobs": list(jobs), **({"statuses": list(statuses)} if statuses else {})}
    rule = {
        "name": "quick",
        "projects": [_project(project) for project in projects],
        "when": when,
        "fetch": {"archive": not files, "files": list(files), "trace": trace},
        **({"publish": {"path": path}} if path is not None else {}),
        **({"keep": {"policy": keep}} if keep is not None else {}),
    }
    token = _given(file=token_file, env=token_env, kind="none" if no_token else token_kind)
    if set(token) == {"kind"} and not no_token:
        token["env"] = "GITLAB_TOKEN"
    data: dict[str, Any] = {
        "gitlab": {"url": url, **_given(ca_file=ca_file), **({"token": token} if token else {})},
        "store": {"path": str(into)},
        "state": {"path": str(state_of_its_own(Path(into)))},
        "rules": [rule],
        **({"poll": {"backfill": backfill}} if backfill is not None else {}),
    }
    for section, keys in (overrides or {}).items():
        data[section] = {**data.get(section, {}), **keys}
    verdict = judge(data, folder=Path.cwd())
    if verdict.settings is None:
        raise ConfigProblems(_problem(fault) for fault in verdict.faults)
    return verdict.settings


def _project(text: str | int) -> str | int:
    """Digits alone are an id; 18 of them always fit into 64 bits."""
    return int(text) if isinstance(text, str) and re.fullmatch("[0-9]{1,18}", text) else text


def _given(**values: Any) -> dict[str, Any]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _problem(fault: Fault) -> Problem:
    names = tuple(part for part in fault.path if isinstance(part, str))
    option = _OPTIONS.get(names)
    if option is None:
        return Problem(file="command line", path=render_path(fault.path), what=fault.what, cure=fault.cure)
    return Problem(file=option, what=fault.what, cure=fault.cure.replace("token: {kind: none}", "--no-token"))
