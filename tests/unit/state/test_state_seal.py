"""A text in the state that lost or gained a bit is noticed, and other programs read it as before."""

import json
import sqlite3
from contextlib import closing

import pytest

from artifact_sync.errors import StateError
from artifact_sync.ports import Progress
from artifact_sync.state import SqliteState
from artifact_sync.state.seal import sealed, unsealed
from tests.storage import NOW, transfer


def test_a_sealed_text_is_the_same_json():
    """Also without a seal, as earlier versions wrote it; nothing has no seal."""
    for text in ('{"a": "b \\t"}', "[1, 2]", "[]", '"\\ud800 \u00e4"'):
        assert unsealed(sealed(text)) == unsealed(text) == text
        assert json.loads(sealed(text)) == json.loads(text)


def test_every_single_bit_is_noticed():
    """In the text it is refused, or no JSON any more; in the seal the text is refused, or is as it was."""
    text = '{"name": "artifacts.zip", "size": 17}'
    written = sealed(text).encode()
    for bit in range(8 * len(written)):
        changed = bytearray(written)
        changed[bit // 8] ^= 1 << bit % 8
        bare = unsealed(changed.decode("latin-1"))
        try:
            found = None if bare is None else json.loads(bare)
        except ValueError:
            found = None
        assert found is None or (found == json.loads(text) and bit >= 8 * len(text)), bit


async def test_a_flipped_letter_is_a_damaged_state(tmp_path):
    """A name that would be published under another name is refused instead."""
    path = tmp_path / "state.db"
    async with SqliteState.open(path) as state:
        await state.save_progress(Progress(project_id=1, path="group/app"), found=[transfer()], now=NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        change = "UPDATE transfer SET transfer = replace(transfer, 'artifacts.zip', 'qrtifacts.zip')"
        assert database.execute(change).rowcount == 1
    async with SqliteState.open(path) as state:
        with pytest.raises(StateError, match="checksum") as caught:
            await state.find(1, 7)
    assert "rebuild-state" in caught.value.hint
