"""A short part of the laboratory: the real daemon, killed and failed at a few of its calls, and one mutant that is caught."""

import os
from collections.abc import Iterator

import pytest

from tests.crash import ptrace
from tests.crash.daemon_process import Fault
from tests.crash.installation import Patch, install
from tests.crash.mutants import MUTANTS
from tests.crash.scene import Scene, scene
from tests.crash.sweeps import compound, errors, kills

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Iterator[Scene]:
    """One daemon and one GitLab for all tests. Where a debugger is not allowed, continuous integration has to allow it."""
    if refused := ptrace.available():
        assert not os.environ.get("CI"), refused
        pytest.skip(refused)
    with scene(tmp_path_factory.mktemp("crash") / "daemon") as one:
        yield one


def test_kills_at_some_calls(made):
    """Nothing partial is visible, no published row is without its files, and the next pass completes."""
    found = kills(made, most=6)
    assert found.violations == []
    assert found.faults >= 6
    assert found.notes.get("ran through", 0) <= 2


def test_errors_at_some_calls(made):
    """The same after an error of each kind, once and from then on; and the daemon says what was wrong."""
    found = errors(made, most=8)
    assert found.violations == []
    assert found.faults >= 8


def test_crashes_while_it_recovers(made):
    """The same after a second kill, which falls into the recovery from the first."""
    found = compound(made, pairs=3)
    assert found.violations == []
    assert found.notes["died again"] >= 2


def test_a_fault_strikes_where_it_was_asked_for(made):
    """The counter runs over all threads: the Nth changing call is the one that is failed, and the calls before it are alike."""
    calls = made.calls()
    ran = made.sync(made.place(), Fault(at=5, how="ENOSPC"))
    assert ran.code == 4
    assert [call.split()[0] for call in ran.hits] == [calls[4].split()[0]]
    killed = made.sync(made.place(), Fault(at=len(calls) // 2, how="kill"))
    assert (killed.code, killed.count) == (-9, len(calls) // 2)


def test_a_row_published_too_early_is_caught(made, tmp_path):
    """A daemon that says published before it has renamed is a daemon that the laboratory must not pass."""
    with scene(tmp_path / "mutant", patches=MUTANTS[0].patches, beside=made) as mutant:
        tree = f"{mutant.place('undisturbed').store}/tree/"
        calls = mutant.calls()
        shown = next(n for n, call in enumerate(calls, 1) if call.startswith("rename") and f" {tree}" in call)
        place = mutant.place()
        ran = mutant.sync(place, Fault(at=shown, how="kill"))
        assert ran.hits
        wrong = mutant.auditor(place).look()
    assert any("is published according to the state" in one for one in wrong)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_still_be_made(mutant, tmp_path):
    """The text that a mutant replaces is in the package, exactly once."""
    made = install(tmp_path / "mutant", patches=mutant.patches)
    changed = [(made.package / patch.file).read_text() for patch in mutant.patches]
    assert all(patch.new in text for patch, text in zip(mutant.patches, changed, strict=True))


def test_code_that_has_moved_is_noticed(tmp_path):
    """A patch whose text is not there does not make an unbroken daemon."""
    with pytest.raises(AssertionError, match="0 times"):
        install(tmp_path / "mutant", patches=(Patch(file="app.py", old="no such text", new=""),))
