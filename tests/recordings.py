"""Where recorded answers of real GitLabs lie; they are no part of the project, and tests that read them skip without."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "recordings"


def recordings() -> Path:
    """The folder of recordings: ``$ARTIFACT_SYNC_RECORDINGS``, or ``shared/recordings`` beside the checkout."""
    folder = Path(os.environ.get("ARTIFACT_SYNC_RECORDINGS", _BESIDE))
    if not folder.is_dir():
        pytest.skip("no recordings of real servers here (ARTIFACT_SYNC_RECORDINGS)")
    return folder
