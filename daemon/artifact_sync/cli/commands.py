"""The table of commands. A command's module is imported when it is used, so that `--help` stays quick."""

from __future__ import annotations

from importlib import import_module

import click

from artifact_sync import __version__

__all__ = ["root"]

#: Name -> what it does, in the order of `--help`. The module of the same name has the command as `command`.
_COMMANDS = {
    "run": "The daemon: follow GitLab and mirror what the rules select.",
    "sync": "One complete pass, then exit.",
    "plan": "What a pass would fetch, keep and prune, why, and how long it takes; changes nothing.",
    "explain": "What became of a job, which rule takes it, and which conditions fail in the others.",
    "check": "Configuration, GitLab, token, rights, disk: what is wrong, and the cure.",
    "status": "Backlog, what is at risk, last errors, projects, keeps.",
    "ls": "What is mirrored, the newest first.",
    "get": "Copy out what is mirrored, proved while it is copied.",
    "audit": "List GitLab completely, and prove that nothing selected is missing.",
    "verify": "Read every published file again; bring back what is damaged.",
    "rebuild-state": "The state database again, from the manifests in the store.",
    "prune": "What no rule keeps goes into the trash; bring it back from there.",
    "hooks": "What runs after publications, what failed of it; run it again.",
    "keeps": "What was kept in GitLab, and why; release one again; pin one here.",
    "job": "Single jobs in GitLab: show, download, keep, retry, play, cancel, erase.",
    "config": "The configuration: its schema, and what is in effect.",
    "demo": "A simulated GitLab and a daemon that mirrors it, in one command.",
}


class _Commands(click.Group):
    """A group whose members are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"artifact_sync.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker; our own modules
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
    epilog=(
        "Exit codes: 0 done, 1 something failed and was recorded, 2 usage or configuration, 3 GitLab unreachable or"
        " credentials refused, 4 the store or state is damaged or locked, 5 not everything is mirrored, or not what was asked for."
    ),
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    """Mirror GitLab CI job artifacts into storage of your own, before they expire."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
