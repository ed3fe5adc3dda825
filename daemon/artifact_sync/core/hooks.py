"""What a hook is told: who published what, where, and by which rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from artifact_sync.core.after import HookKind
from artifact_sync.core.model import Candidate, Project, Transfer
from artifact_sync.core.paths import fields_of
from artifact_sync.core.rules import Rule

__all__ = ["environment", "hook_key", "values_of", "wanted_hooks"]

_PREFIX = "ARTIFACT_SYNC_"


def wanted_hooks(rules: Iterable[Rule]) -> dict[str, tuple[HookKind, ...]]:
    """What each rule wants after a publication, by the rule's name; rules that want nothing are left out."""
    return {rule.name: rule.after.kinds for rule in rules if rule.after.kinds}


def values_of(transfer: Transfer, rule: str, *, path: str, manifest: str) -> dict[str, str]:
    """One value for each of ``core.after.COMMAND_FIELDS``: as GitLab has it, not as it is encoded in paths."""
    project = Project(id=transfer.project_id, path_with_namespace=transfer.project_path)
    candidate = Candidate(project=project, job=transfer.job)
    return {"path": path, "manifest": manifest, **fields_of(candidate, rule)}


def environment(values: Mapping[str, str], *, key: str, attempt: int, job_url: str) -> dict[str, str]:
    """What a command finds in its environment: every field, and of this run its id and its number, 1 for the first."""
    named = {f"{_PREFIX}{name.upper()}": value for name, value in values.items()}
    return named | {
        f"{_PREFIX}JOB_URL": job_url,
        f"{_PREFIX}HOOK_ID": key,
        f"{_PREFIX}ATTEMPT": str(attempt),
    }


def hook_key(transfer: Transfer, rule: str, kind: HookKind, manifest_sha256: str) -> str:
    """The id of one hook of one publication: the same however often it is tried, and whichever machine tries it."""
    parts = (str(transfer.project_id), str(transfer.job.id), transfer.dest, rule, kind.value, manifest_sha256)
    named = "\0".join(parts).encode("utf-8", "surrogatepass")
    return f"msg_{hashlib.sha256(named).hexdigest()[:32]}"
