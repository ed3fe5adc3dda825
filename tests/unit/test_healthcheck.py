"""The container's health check: it finds what listens, and asks whether it answers."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import web
from anyio import to_thread

from artifact_sync.healthcheck import answers, listening, trouble

#: Seconds for what never answers.
SHORT = 0.3


@contextmanager
def listener(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that listens and never answers."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.bind((host, 0))
        made.listen()
        yield made


def seen_from(folder: Path, *sockets: socket.socket) -> Path:
    """A /proc in which one process holds these sockets alone, with the tables of this machine."""
    descriptors = folder / "1" / "fd"
    descriptors.mkdir(parents=True)
    for each in sockets:
        (descriptors / str(each.fileno())).symlink_to(Path(f"/proc/self/fd/{each.fileno()}").readlink())
    (descriptors / "0").symlink_to("/dev/null")
    (folder / "net").symlink_to("/proc/self/net")
    return folder


@asynccontextmanager
async def served(on: socket.socket, *, status: int = 200) -> AsyncIterator[None]:
    """A server on the socket whose /livez has this status."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(status=status)

    application = web.Application()
    application.router.add_get("/livez", livez)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.SockSite(runner, on).start()
        yield
    finally:
        await runner.cleanup()


async def asked(made: socket.socket, status: int, proc: Path) -> str:
    """The trouble, with a server on the socket."""
    async with served(made, status=status):
        return await to_thread.run_sync(lambda: trouble(proc, within=SHORT))


async def test_what_answers_is_healthy(tmp_path):
    """With 200 there is no trouble."""
    with listener() as made:
        assert await asked(made, 200, seen_from(tmp_path, made)) == ""


async def test_another_answer_is_trouble_and_names_the_place(tmp_path):
    """A server that is in trouble itself is not healthy."""
    with listener() as made:
        port = made.getsockname()[1]
        said = await asked(made, 503, seen_from(tmp_path, made))
    assert said == f"/livez is not answered: 127.0.0.1 port {port}"


def test_silence_is_trouble(tmp_path):
    """The kernel takes the connection and the daemon does not: the wait ends."""
    with listener() as made:
        assert "is not answered" in trouble(seen_from(tmp_path, made), within=SHORT)


async def test_a_command_that_listens_too_is_no_trouble(tmp_path):
    """It is enough that one answers: the other one is no daemon."""
    with listener() as daemon, listener() as other:
        assert await asked(daemon, 200, seen_from(tmp_path, daemon, other)) == ""


def test_where_nothing_listens_there_is_no_trouble(tmp_path):
    """A pass, and a daemon without HTTP. What is connected does not listen."""
    with listener() as made, socket.create_connection(made.getsockname()) as connected:
        assert trouble(seen_from(tmp_path, connected), within=SHORT) == ""


def test_a_process_that_ends_meanwhile_is_passed_over(tmp_path):
    """Its folder is gone, or nobody else's business."""
    proc = seen_from(tmp_path)
    (proc / "2").mkdir()
    (proc / "2" / "fd").symlink_to("/nowhere")
    assert list(listening(proc)) == []


@pytest.mark.parametrize(
    ("bound", "reached"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1"), ("::", "::1")],
)
def test_each_kind_of_address_is_found(tmp_path, bound, reached):
    """A wildcard is reached at loopback."""
    if ":" in bound and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with listener(bound) as made:
        assert list(listening(seen_from(tmp_path, made))) == [(reached, made.getsockname()[1])]


def test_what_another_process_listens_on_is_not_found(tmp_path):
    """The network may be shared with other containers."""
    with listener() as ours, listener() as theirs:
        assert list(listening(seen_from(tmp_path, ours))) == [("127.0.0.1", ours.getsockname()[1])]
        assert theirs.getsockname()[1] != ours.getsockname()[1]


def test_a_closed_port_does_not_answer():
    """An address that nobody listens on."""
    with listener() as made:
        port = made.getsockname()[1]
    assert not answers("127.0.0.1", port, within=SHORT)


def test_it_needs_the_standard_library_alone():
    """It runs every few seconds, beside the daemon."""
    command = [sys.executable, "-I", "-X", "importtime", "-c", "import artifact_sync.healthcheck"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "http" in modules
    assert modules.isdisjoint({"aiohttp", "anyio", "click", "pydantic", "structlog", "yaml"})
