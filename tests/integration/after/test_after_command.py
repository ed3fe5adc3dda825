"""Commands, as real processes of this machine."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from artifact_sync.after import LocalCommands
from artifact_sync.errors import HookFailed

CANARY = "glpat-canary-of-no-worth-0000"


def commands(**options: Any) -> LocalCommands:
    """With the environment of a daemon that has secrets in it."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/nobody",
        "LC_ALL": "C.UTF-8",
        "GITLAB_TOKEN": CANARY,
        "MY_TOKEN": CANARY,
        "LC_TOKEN": CANARY,
        "CREDENTIALS_DIRECTORY": f"/run/{CANARY}",
        "NOTIFY_SOCKET": "/run/notify",
        "LD_PRELOAD": "",
    }
    wanted: dict[str, Any] = {"timeout": 20.0, "environ": environ, "withheld": {"GITLAB_TOKEN", "LC_TOKEN"}}
    return LocalCommands(**wanted | options)


async def python(code, *arguments, environment=None, **options: Any) -> str:
    """Run these lines of Python."""
    return await commands(**options).run([sys.executable, "-c", code, *arguments], environment or {})


def alive(pid) -> bool:
    """Whether the process runs; a zombie does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def descriptors() -> int:
    """How many are open here."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def gone(pid) -> None:
    """Wait until it does not run any more."""
    with anyio.fail_after(10):
        while alive(pid):  # noqa: ASYNC110 - a foreign process rings no bell
            await anyio.sleep(0.01)


async def test_arguments_arrive_as_they_are():
    """No shell reads anything into them."""
    hostile = "$(touch /tmp/x); `id` 'a' \"b\" * \\ \n --help"
    said = await python("import sys; print(sys.argv[1:])", hostile, "", "%s")
    assert said == repr([hostile, "", "%s"])


async def test_the_environment_is_clean_but_for_what_it_is_told():
    """P5: no token is in it, whatever its variable is called."""
    said = await python(
        "import os; print('\\n'.join(f'{k}={v}' for k, v in sorted(os.environ.items())))",
        environment={"ARTIFACT_SYNC_PATH": "/mirror/x", "ARTIFACT_SYNC_REF": "v1"},
    )
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names - {"LC_CTYPE"} == {"ARTIFACT_SYNC_PATH", "ARTIFACT_SYNC_REF", "HOME", "LC_ALL", "PATH"}
    assert CANARY not in said


async def test_it_has_nothing_of_the_daemon_but_its_output():
    """No terminal and no input, its own session and group, the root folder, and no open descriptor."""
    said = await python(
        "import os, sys; print(repr(sys.stdin.read()), os.getsid(0) == os.getpid() == os.getpgrp(), os.getcwd(),"
        " sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))"
    )
    # The fourth descriptor is the listing's own.
    assert said == "'' True / [0, 1, 2] 4"


async def test_a_code_that_is_not_0_is_a_failure_with_its_last_words():
    """From both of its outputs, in their order."""
    with pytest.raises(HookFailed, match="ended with code 3: out\nerr") as caught:
        await python("import sys; print('out', flush=True); print('err', file=sys.stderr, flush=True); sys.exit(3)")
    assert caught.value.again


async def test_a_command_that_is_killed_says_by_what():
    """A signal is no code."""
    with pytest.raises(HookFailed, match=r"was killed \(SIGSEGV\)"):
        await python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


@pytest.mark.parametrize("program", ["/nowhere/deploy", "no-such-program-of-ours", "/etc/passwd"])
async def test_a_command_that_cannot_be_started(program):
    """Not there, or not executable: an error with the cure."""
    with pytest.raises(HookFailed, match="cannot be started") as caught:
        await commands().run([program], {})
    assert "ExecPaths" in caught.value.hint


async def test_a_value_that_no_program_can_be_given():
    """A NUL ends an argument in every program; it is refused, and nothing crashes."""
    with pytest.raises(HookFailed, match="cannot be started"):
        await commands().run(["true", "a\0b"], {})
    with pytest.raises(HookFailed, match="cannot be started"):
        await commands().run(["true"], {"ARTIFACT_SYNC_REF": "a\0b"})


async def test_only_the_end_of_a_flood_is_remembered():
    """Memory is bounded, and it is not blocked."""
    said = await python("import sys\nfor n in range(200_000): print(f'line {n}')")
    assert said.endswith("line 199999")
    assert len(said) <= 4096


async def test_secrets_and_control_characters_are_not_repeated():
    """Also where the secret lies across the beginning of what is told."""
    mask = commands(mask=lambda text: text.replace(CANARY, "[masked]"))
    flood = f"print('{CANARY} ' * 3000, end=''); print('\\x1b[2J\\x07 {CANARY}')"
    said = await mask.run([sys.executable, "-c", flood], {})
    assert CANARY[6:] not in said
    assert said.endswith("?[2J? [masked]")
    with pytest.raises(HookFailed) as caught:
        await mask.run([sys.executable, "-c", f"import sys; print('{CANARY}'); sys.exit(1)"], {})
    assert "[masked]" in str(caught.value)
    assert CANARY not in str(caught.value)


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print(os.getpid(), child, flush=True)
    with open(sys.argv[1], "w") as told: told.write(f"{os.getpid()} {child}")
time.sleep(600)
"""


async def test_a_timeout_ends_the_whole_group(tmp_path):
    """Also a grandchild that ignores SIGTERM."""
    with pytest.raises(HookFailed, match=r"took longer than 1 s: \d+ \d+") as caught:
        await python(STUBBORN, str(tmp_path / "pids"), timeout=1.0, patience=0.2)
    assert caught.value.again
    for pid in (tmp_path / "pids").read_text().split():
        await gone(pid)


async def test_the_end_of_the_daemon_ends_the_whole_group(tmp_path):
    """A cancelled run leaves nothing behind, also of what ignores SIGTERM."""
    told = tmp_path / "pids"
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: python(STUBBORN, str(told)))
        with anyio.fail_after(10):
            while not told.is_file() or not told.read_text():  # noqa: ASYNC110 - a file rings no bell
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    pids = told.read_text().split()
    assert len(pids) == 2
    for pid in pids:
        await gone(pid)


async def test_what_a_command_leaves_behind_is_ended(tmp_path):
    """A background process that holds its output open is not waited for, and does not live on."""
    told = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {told}; echo done"
    assert await commands().run(["sh", "-c", script], {}) == "done"
    await gone(told.read_text().strip())


async def test_the_code_counts_also_where_something_is_left_behind(tmp_path):
    """A failure is none the less one."""
    with pytest.raises(HookFailed, match="ended with code 7"):
        await commands().run(["sh", "-c", "sleep 600 & exit 7"], {})


async def test_no_descriptor_is_left_open():
    """However a run ends."""
    before = descriptors()
    await python("pass")
    for arguments in (["/nowhere"], ["sh", "-c", "exit 1"]):
        with pytest.raises(HookFailed):
            await commands().run(arguments, {})
    with pytest.raises(HookFailed):
        await commands(timeout=0.1).run(["sleep", "600"], {})
    assert descriptors() == before
