"""Plain data becomes settings, or every fault in it at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from artifact_sync.config import unbuilt
from artifact_sync.config.checks import contradictions
from artifact_sync.config.mend import mended
from artifact_sync.config.problems import Fault, KeyPath, within
from artifact_sync.config.settings import Settings
from artifact_sync.config.wording import fault_of

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Settings without faults, or faults without settings."""

    settings: Settings | None
    faults: tuple[Fault, ...]


def judge(data: Any, *, folder: Path, broken: Iterable[KeyPath] = (), refuse_unbuilt: bool = True) -> Verdict:
    """Validate ``data``; relative paths in it are relative to ``folder``.

    Places in ``broken`` have been complained about already; nothing more is said about them.
    ``refuse_unbuilt=False`` reads the configuration as if everything were built: for tests of the contract.
    """
    known = tuple(broken)
    settings, single = _validate(data, folder)
    single = tuple(fault for fault in single if not within(fault.path, known))
    faulty = (*known, *(fault.path for fault in single))
    whole = settings or _validate(mended(data, faulty), folder)[0]
    joint = (c.fault for c in contradictions(whole) if not any(within(p, faulty) for p in c.because)) if whole else ()
    faults = [*single, *joint]
    if refuse_unbuilt:
        told = {fault.path for fault in faults}
        faults.extend(fault for fault in unbuilt.refused(data, faulty) if fault.path not in told)
    if settings is None or faults or known:
        return Verdict(settings=None, faults=tuple(faults))
    if refuse_unbuilt:
        settings = Settings.model_validate(unbuilt.with_inert_values(data), context={"folder": folder})
    return Verdict(settings=settings, faults=())


def _validate(data: Any, folder: Path) -> tuple[Settings | None, tuple[Fault, ...]]:
    try:
        return Settings.model_validate(data, context={"folder": folder}), ()
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, tuple(dict.fromkeys(fault_of(detail, Settings) for detail in details))
