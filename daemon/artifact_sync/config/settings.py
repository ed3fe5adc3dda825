"""The whole configuration as one frozen value."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from artifact_sync.config.compile import compile_rule
from artifact_sync.config.keys import NOT_EMPTY, REQUIRED, Section, key
from artifact_sync.config.rule_sections import RuleSection
from artifact_sync.config.sections import (
    Downloads,
    GitLab,
    Hooks,
    Log,
    Poll,
    Retention,
    Server,
    State,
    Store,
    default_state_path,
)
from artifact_sync.config.unbuilt import blank
from artifact_sync.core.rules import Rule

__all__ = ["Settings"]


class Settings(Section):
    """The configuration of artifact-sync. Everything but gitlab.url, store and one rule has a default."""

    version: Literal[1] = key(1, "Version of the configuration's form.", 1)
    gitlab: GitLab = key(REQUIRED, "The GitLab instance and how it is reached.", {"url": "https://gitlab.example.com"})
    store: Store = key(REQUIRED, "Where publications go.", {"path": "./mirror"})
    state: State = key({}, "Where the state database lies.", {"path": "/var/lib/artifact-sync/artifact-sync.db"})
    poll: Poll = key({}, "How GitLab is watched.", {"interval": "1m"})
    downloads: Downloads = key({}, "How bytes are brought over.", {"concurrency": 8})
    rules: Annotated[tuple[RuleSection, ...], *NOT_EMPTY] = key(
        REQUIRED,
        "Which jobs matter; a job may be taken by several rules.",
        [{"name": "releases", "projects": ["group/app"], "when": {"ref_type": ["tag"]}}],
    )
    retention: Retention = key({}, "How much one prune may remove.", {"max_delete": "10%"})
    hooks: Hooks = key({}, "Limits of what runs after a publication.", {"timeout": "5m"})
    server: Server = key({}, "The HTTP server.", {"listen": "127.0.0.1:8700"})
    log: Log = key({}, "The log on standard error.", {"format": "auto", "level": "info"})

    @cached_property
    def compiled_rules(self) -> tuple[Rule, ...]:
        """The rules as the core understands them, in the order of the file."""
        return tuple(compile_rule(rule) for rule in self.rules)

    @property
    def store_path(self) -> Path:
        """The folder of the store, absolute.

        Raises:
            ValueError: the store is no folder; a loaded configuration has always one as long as no other is built.
        """
        if self.store.path is None:
            msg = "the store is no folder"
            raise ValueError(msg)
        return self.store.path

    @property
    def state_path(self) -> Path:
        """The state database: as configured, or beside the store."""
        return self.state.path or default_state_path(self.store_path)

    def effective(self) -> dict[str, Any]:
        """Every key with the value in effect, in the configuration's own notation. Secrets are not in it, their sources are.

        A key whose effect is not built yet shows its inert value.
        """
        shown = blank(self.model_dump(mode="json", by_alias=True))
        if self.state.path is None and self.state.url is None and self.store.path is not None:
            shown["state"]["path"] = str(self.state_path)
        return shown
