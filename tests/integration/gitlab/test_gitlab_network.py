"""Connections: TLS, proxies, silence, and what errors say of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from artifact_sync.errors import ConfigError, Refused, RemoteError, Transient
from artifact_sync.gitlab import TokenKind
from artifact_sync.ports import Source
from tests.integration.fetch.raw_server import Reset, Step, chunk, head, raw_server, script, whole
from tests.integration.gitlab.gitlab_harness import (
    ARCHIVE,
    client_of,
    downloaded,
    entries,
    json_answer,
    said,
    scene_of,
    token,
)

SECRET = "glpat-canary-secret-0123456789"
SOURCE = Source(project_id=1, job_id=2, item=ARCHIVE)
VERSION = {"version": "18.0.0", "revision": "abc"}


@pytest.fixture(scope="module")
def authority():
    """A certificate authority that no system trusts."""
    return trustme.CA()


@asynccontextmanager
async def tls_server(authority: trustme.CA, name: str) -> AsyncIterator[str]:
    """GET /version over TLS, with a certificate for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(json_answer(VERSION))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_authority_of_ones_own_is_trusted_by_its_file(authority, tmp_path):
    """For the API and for downloads."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with tls_server(authority, "127.0.0.1") as url, client_of(url, ca_file=tmp_path / "ca.pem") as client:
        assert (await client.version()).version == "18.0.0"
        assert b"18.0.0" in await downloaded(client, SOURCE)


async def test_an_authority_that_nobody_knows_is_refused(authority):
    """The error says what to do."""
    async with tls_server(authority, "127.0.0.1") as url, client_of(url) as client:
        for call in (client.version(), downloaded(client, SOURCE)):
            with pytest.raises(Transient, match="no trusted TLS connection") as caught:
                await call
            assert "ca_file" in caught.value.hint


async def test_a_certificate_of_another_name_is_refused(authority, tmp_path):
    """Though its authority is trusted."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with tls_server(authority, "elsewhere.example") as url, client_of(url, ca_file=tmp_path / "ca.pem") as client:
        with pytest.raises(Transient, match="no trusted TLS connection"):
            await client.version()


@pytest.mark.parametrize("text", [None, "", "no certificate"])
async def test_a_file_without_authorities(tmp_path, text):
    """Is told at the start, with its name."""
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=r"ca\.pem") as caught:
        async with client_of("https://gitlab.example.com", ca_file=file):
            pytest.fail("the client was made")
    assert caught.value.hint


async def test_the_proxy_is_asked():
    """For the API and for downloads, with the whole URL; the name is not resolved here."""
    async with (
        raw_server(script([json_answer(VERSION)])) as proxy,
        client_of("http://gitlab.invalid", proxy=proxy.url) as client,
    ):
        assert (await client.version()).version == "18.0.0"
        await downloaded(client, SOURCE)
        assert [seen.target for seen in proxy.requests] == [
            "http://gitlab.invalid/api/v4/version",
            "http://gitlab.invalid/api/v4/projects/1/jobs/2/artifacts",
        ]


async def test_the_environments_proxy_is_not_asked(monkeypatch):
    """Only the configured one: an environment is not always one's own."""
    async with (
        raw_server(script([json_answer(VERSION)])) as proxy,
        raw_server(script([json_answer(VERSION)])) as server,
    ):
        monkeypatch.setenv("http_proxy", proxy.url)
        async with client_of(server.url) as client:
            await client.version()
        assert (len(proxy.requests), len(server.requests)) == (0, 1)


async def test_a_proxy_that_refuses():
    """Its status is told; the token was not shown to it, because TLS goes through."""
    answer = whole(b"", status="407 Proxy Authentication Required")
    async with (
        raw_server(script([answer])) as proxy,
        client_of("https://gitlab.invalid", proxy=proxy.url, token=token(SECRET)) as client,
    ):
        with pytest.raises(Transient, match="proxy answered 407"):
            await client.version()
        assert proxy.requests[0].method == "CONNECT"
        assert SECRET not in repr(proxy.requests)


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


async def test_nobody_listens():
    """Trouble that may pass."""
    async with client_of(f"http://127.0.0.1:{free_port()}") as client:
        for call in (client.version(), downloaded(client, SOURCE), entries(client.projects()), client.keep(1, 2)):
            with pytest.raises(Transient, match="no connection") as caught:
                await call
            assert "gitlab.url" in caught.value.hint


async def test_a_name_that_nobody_knows():
    """Also trouble that may pass."""
    async with client_of("http://gitlab.invalid") as client:
        with pytest.raises(Transient, match="no connection"):
            await client.version()


SILENT: list[list[Step]] = [
    [60.0],
    [b"HTTP/1.1 200 OK\r\n", 60.0],
    [head("200 OK", "Content-Length: 10"), 60.0],
    [head("200 OK", "Transfer-Encoding: chunked"), chunk(b"["), 60.0],
    [head("500 Internal Server Error", "Content-Length: 10"), b"x", 60.0],
    [head("404 Not Found", "Content-Length: 10"), b"x", 60.0],
]


@pytest.mark.parametrize("steps", SILENT)
async def test_a_silent_server_is_not_waited_for(steps):
    """Before the headers, within them, within the body; a status that came counts."""
    async with raw_server(script(steps)) as server, client_of(server.url, timeout=0.2) as client:
        for call in (client.version(), downloaded(client, SOURCE), entries(client.projects())):
            with pytest.raises(RemoteError) as caught:
                await call
            assert isinstance(caught.value, Transient) != (caught.value.status == 404)


async def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for():
    """No silence is long enough, and yet it ends."""
    steps: list[Step] = [head("200 OK", "Content-Length: 1000")]
    for _ in range(400):
        steps += [b" ", 0.03]
    async with raw_server(script(steps)) as server, client_of(server.url, timeout=0.1) as client:
        with pytest.raises(Transient, match="too long"):
            await client.version()
    late: list[Step] = [b"HTTP/1.1 200 OK\r\n"]
    for number in range(400):
        late += [f"X-{number}: y\r\n".encode(), 0.03]
    async with raw_server(script(late)) as server, client_of(server.url, timeout=0.1) as client:
        with pytest.raises(Transient):
            await downloaded(client, SOURCE)


ODD: list[list[Step]] = [
    [b""],
    [Reset()],
    [b"HTTP/1.1 200 OK\r\n"],
    [b"SSH-2.0-OpenSSH_9.6\r\n"],
    [b"\x16\x03\x01\x02\x00\x01\x00"],
    [head("200 OK", "Content-Length: 100"), b"[]"],
    [head("200 OK", "Content-Length: 100"), b"[]", Reset()],
    [head("200 OK", "Transfer-Encoding: chunked"), b"zz\r\n[]\r\n"],
    [head("200 OK", "Content-Length: -1"), b"[]"],
    [head("200 OK", "Content-Length: 1", "Content-Length: 2"), b"[]"],
    [head("200 OK", "Content-Length: 2", "Transfer-Encoding: chunked"), b"[]"],
    [head("200 OK", "X-Long: " + "y" * 70_000), b"[]"],
    [head("200 OK", *(f"X-{number}: y" for number in range(5000))), b"[]"],
    [head("999 Odd", "Content-Length: 0")],
]


@pytest.mark.parametrize("steps", ODD)
async def test_whatever_a_server_says_it_is_an_error_of_ours(steps):
    """Nothing else gets out, and nothing of the request's query or token is in it."""
    async with raw_server(script(steps)) as server, client_of(server.url, token=token(SECRET), timeout=0.3) as client:
        for call in (client.version(), entries(client.projects()), client.keep(1, 2)):
            with pytest.raises(RemoteError) as caught:
                await call
            told = said(caught.value)
            assert SECRET not in told
            assert "per_page" not in told
            assert caught.value.hint


@pytest.mark.parametrize(
    "date",
    ["Mon, 01 Jan 2024 00:00:00 +99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "never", "\xff"],
)
@pytest.mark.parametrize("retry", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "soon", "9" * 50])
async def test_odd_headers_do_not_break_a_request(date, retry):
    """A time that is none is no time."""
    throttled = whole(b"later", f"Retry-After: {retry}", f"Date: {date}", status="429 Too Many Requests")
    fine = json_answer(VERSION, f"Date: {date}", f"RateLimit-Reset: {'9' * 40}", "RateLimit-Remaining: x")
    async with raw_server(script([throttled]), script([fine])) as server, client_of(server.url, attempts=2) as client:
        assert (await client.version()).version == "18.0.0"


async def test_an_answer_without_end_is_not_read_to_it():
    """Thirty-two MiB are enough for any page."""
    block = chunk(b" " * (1 << 20))
    steps: list[Step] = [head("200 OK", "Transfer-Encoding: chunked"), *([block] * 40)]
    async with raw_server(script(steps)) as server, client_of(server.url, timeout=5.0) as client:
        with pytest.raises(Refused, match="32 MiB"):
            await client.version()


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Oops"]
)
@pytest.mark.parametrize("kind", [TokenKind.PRIVATE, TokenKind.BEARER, TokenKind.JOB])
@pytest.mark.parametrize("json", [True, False])
async def test_a_server_that_repeats_the_request_does_not_make_us_show_the_token(status, kind, json):
    """Neither it nor a signed query is in any part of the error."""
    value = "odd/value+of=a_token"

    def echo(request) -> list[bytes]:
        text = f"{request.headers} http://x/y?X-Amz-Signature=SIGNED"
        return [json_answer({"message": text}, status=status) if json else whole(text.encode(), status=status)]

    async with raw_server(echo) as server, client_of(server.url, token=token(value, kind)) as client:
        calls = (client.version(), downloaded(client, SOURCE), client.keep(1, 2), entries(client.projects()))
        for call in calls:
            with pytest.raises(RemoteError) as caught:
                await call
            assert value not in said(caught.value)
            assert "SIGNED" not in said(caught.value)
            assert value in repr(server.requests)


async def test_an_echo_of_the_request_as_a_success_does_not_show_the_token_either():
    """A debugging proxy that answers 200 with what it was asked."""

    def echo(request) -> list[bytes]:
        return [whole("\n".join(f"{name}: {value}" for name, value in request.headers.items()).encode())]

    async with raw_server(echo) as server, client_of(server.url, token=token("odd/value")) as client:
        with pytest.raises(Refused) as caught:
            await client.version()
        assert "odd/value" not in said(caught.value)


async def test_the_token_of_a_personal_access_token():
    """Its scopes and its end are told; a job token is not asked about."""
    async with scene_of() as scene:
        info = await scene.client.token()
        assert (info.scopes, info.active) == (("api",), True)
    async with raw_server(script([b""])) as server, client_of(server.url, token=token(kind=TokenKind.JOB)) as client:
        assert (await client.token()).scopes == ()
        assert server.requests == []
