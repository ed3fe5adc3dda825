"""Errors become lines and exit codes; signals end the work."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import click
import pytest

from artifact_sync import config, errors
from artifact_sync.cli.failure import report


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("u"), 2),
        (errors.ConfigError("c"), 2),
        (errors.Transient("GET /x", "refused"), 3),
        (errors.CredentialRefused("GET /x", "401"), 3),
        (errors.StoreLocked("held"), 4),
        (errors.StateError("newer"), 4),
        (errors.Corrupt("crc"), 1),
        (click.UsageError("no such option"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_code_of_each_error(error, code):
    """Every error's class decides the exit code."""
    assert report(error) == code
    assert report(BaseExceptionGroup("tasks", [error])) == code


def test_error_and_hint_are_said(capsys):
    """What happened and what to do stand on lines of their own on standard error."""
    report(errors.StoreLocked("process 12 works on ./mirror", hint="stop it first"))
    assert capsys.readouterr().err == "error: process 12 works on ./mirror\nhint: stop it first\n"


def test_one_problem_of_a_configuration_is_an_error_and_its_cure(capsys):
    """One problem: what is wrong and where, and what to write as the hint."""
    with pytest.raises(errors.ConfigError) as wrong:
        config.loads(
            "version: 1\ngitlab: {url: x.example}\nstore: {path: m}\nrules: [{name: a, projects: [a/b]}]\n", "c.yaml"
        )
    assert report(wrong.value) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: c.yaml:2:15: gitlab.url: ")
    assert hint.startswith("hint: Write ")
    assert hint.endswith(".")


def test_a_cure_that_is_a_question_ends_as_one(capsys):
    """A sentence has one end: no full stop follows the mark."""
    with pytest.raises(errors.ConfigError) as wrong:
        config.loads(
            "gitlab: {url: https://x.example}\nstore: {path: m}\nrules: [{name: a, projects: [a/b], when: {refz: [x]}}]\n"
        )
    report(wrong.value)
    assert capsys.readouterr().err.splitlines()[-1] == "hint: Did you mean refs?"


def test_several_problems_of_a_configuration_are_a_list(capsys):
    """Several problems: a line each, and the hint tells how to read them."""
    with pytest.raises(errors.ConfigError) as wrong:
        config.loads(
            "version: 1\ngitlab: {url: x.example}\nstore: {path: 3}\nrules: [{name: a, projects: [a/b]}]\n", "c.yaml"
        )
    report(wrong.value)
    first, *problems, hint = capsys.readouterr().err.splitlines()
    assert first == "error: "
    assert len(problems) == 2
    assert hint == "hint: Each line says what to write instead; nothing was started."


def test_several_errors_are_said_once_and_the_gravest_counts(capsys):
    """Of several errors of one run each is said once, and the highest code is returned."""
    group = ExceptionGroup(
        "a", [errors.Corrupt("crc"), ExceptionGroup("b", [errors.StoreDamaged("EIO"), errors.Corrupt("crc")])]
    )
    assert report(group) == 4
    assert capsys.readouterr().err == "error: crc\nerror: EIO\n"


def test_a_fault_of_the_program_is_not_hidden():
    """An error that is not of the tree is nobody's expected failure: it is left to the traceback."""
    assert report(ValueError("bug")) is None
    assert report(ExceptionGroup("a", [errors.Corrupt("crc"), ValueError("bug")])) is None


SCRIPT = """
import sys, time, anyio
from artifact_sync.cli.process import supervise
async def work():
    print("ready", flush=True)
    try:
        await anyio.sleep_forever()
    finally:
{cleanup}
ended = supervise(work, on_stop=lambda number: print("stopping", flush=True))
print("ended", ended.exit_code, flush=True)
sys.exit(ended.exit_code)
"""


@contextmanager
def working(cleanup: str) -> Iterator[subprocess.Popen[str]]:
    script = SCRIPT.format(cleanup=textwrap.indent(cleanup, " " * 8))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_the_work(number):
    """The first SIGTERM or SIGINT cancels the work, whose cleanup runs, and the exit code says which it was."""
    with working('print("cleaned", flush=True)') as process:
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert out == f"stopping\ncleaned\nended {128 + number}\n"
    assert process.returncode == 128 + number


def test_a_second_signal_ends_at_once():
    """Work that does not end is ended by the second signal."""
    with working("with anyio.CancelScope(shield=True):\n    await anyio.sleep(300)") as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM


def test_work_that_does_not_end_is_ended():
    """A call that blocks does not hold the process beyond the grace."""
    with working("time.sleep(300)") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
