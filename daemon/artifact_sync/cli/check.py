"""`artifact-sync check`: is everything there that a run needs; each line ok, warn or fail, with the cure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import click

from artifact_sync import app
from artifact_sync.cli import checks_local, checks_remote
from artifact_sync.cli.finding import Finding, Level
from artifact_sync.cli.jsonl import dumps
from artifact_sync.cli.options import Selection, config_option, json_option, load_settings, selection_options
from artifact_sync.cli.process import finish, supervise
from artifact_sync.cli.words import count
from artifact_sync.config import Settings
from artifact_sync.errors import ConfigError

__all__ = ["command"]


@click.command("check")
@config_option
@selection_options
@click.option("--offline", is_flag=True, help="Only what this machine can tell: configuration, disk, lock, state.")
@json_option
def command(config_path: Path | None, *, selection: Selection, offline: bool, as_json: bool) -> int:
    """Check the configuration, GitLab, the token, its rights and the disk."""
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            print(f"{finding.level:<4}  {finding.subject}: {finding.text}", flush=True)
            if finding.cure and finding.level is not Level.OK:
                print(f"      cure: {finding.cure}", flush=True)

    async def work() -> int:
        async for finding in _look(config_path, selection, offline=offline):
            tell(finding)
        failed = [finding for finding in findings if finding.level is Level.FAIL]
        if as_json:
            print(dumps({"ok": not failed, "findings": [finding.facts() for finding in findings]}))
        return max((finding.exit_code for finding in failed), default=0)

    return finish(supervise(work))


async def _look(config_path: Path | None, selection: Selection, *, offline: bool) -> AsyncIterator[Finding]:
    try:
        settings = load_settings(config_path, selection)
    except ConfigError as error:
        yield Finding.fail("configuration", error)
        return
    rules = count(len(settings.compiled_rules), "rule")
    yield Finding.ok("configuration", f"{rules}: {', '.join(rule.name for rule in settings.compiled_rules)}")
    usable = True
    for finding in checks_local.look(settings):
        yield finding
        # Without its token GitLab is not asked: every answer would be about the token, once more.
        usable = usable and not (finding.subject == checks_local.TOKEN and finding.level is Level.FAIL)
    if usable and not offline:
        async for finding in _remote(settings):
            yield finding


async def _remote(settings: Settings) -> AsyncIterator[Finding]:
    async with app.read(settings) as reading:
        async for finding in checks_remote.look(settings, reading.remote, reading.clock.now()):
            yield finding
