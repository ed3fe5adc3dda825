"""Webhooks, posted to a real receiver."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from aiohttp import web

from artifact_sync.after import HttpWebhooks
from artifact_sync.errors import CredentialRefused, HookFailed
from tests.integration.after.hook_receiver import receiver

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
BODY = json.dumps({"job": {"id": 7}}).encode()
KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


async def post(url, *, body=BODY, **options: Any) -> str:
    """One post of these bytes."""
    wanted: dict[str, Any] = {"timeout": 5.0}
    async with HttpWebhooks(**wanted | options) as webhooks:
        return await webhooks.post(url, body, key="msg_1", at=NOW)


def expected(key, post) -> str:
    """The signature by the words of the specification: HMAC-SHA256 of id, timestamp and body, joined by dots."""
    headers = post.headers
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), post.body])
    block = hashlib.sha256().block_size
    padded = key.ljust(block, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + signed).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()
    return f"v1,{base64.b64encode(outer).decode()}"


async def test_a_post_is_signed_as_standard_webhooks_say():
    """An independent computation over what arrived gives the same signature; the timestamp is the moment of the post."""
    async with receiver() as there:
        assert await post(f"{there.url}/hook", secret=lambda: SECRET) == "204 No Content"
    (came,) = there.posts
    assert came.body == BODY
    assert came.headers["content-type"] == "application/json"
    assert came.headers["webhook-id"] == "msg_1"
    assert came.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert came.headers["webhook-signature"] == expected(KEY, came)
    assert SECRET not in repr(came)


async def test_a_secret_that_is_no_whsec_key_signs_by_its_bytes():
    """Any text may be the secret."""
    async with receiver() as there:
        await post(there.url, secret=lambda: "correct horse battery staple")
    assert there.posts[0].headers["webhook-signature"] == expected(b"correct horse battery staple", there.posts[0])


async def test_without_a_secret_nothing_pretends_to_be_signed():
    """The other headers are there all the same."""
    async with receiver() as there:
        await post(there.url)
    assert "webhook-signature" not in there.posts[0].headers
    assert there.posts[0].headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!"])
async def test_a_broken_key_is_not_used(secret):
    """Nothing is sent with a signature that nobody could verify."""
    async with receiver() as there:
        with pytest.raises(HookFailed, match="no usable whsec_ key") as caught:
            await post(there.url, secret=lambda: secret)
    assert not there.posts
    assert secret not in str(caught.value) + caught.value.hint or secret == "whsec_"


async def test_a_secret_that_cannot_be_read_sends_nothing():
    """Not unsigned where it is to be signed."""

    def unreadable():
        raise CredentialRefused("token file /run/secrets/hooks", "no such file")

    async with receiver() as there:
        with pytest.raises(CredentialRefused):
            await post(there.url, secret=unreadable)
    assert not there.posts


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status):
    """It is a failure for good, which says what to write."""
    async with receiver() as elsewhere, receiver() as there:
        there.answers.append(web.Response(status=status, headers={"Location": f"{elsewhere.url}/x"}))
        with pytest.raises(HookFailed, match=str(status)) as caught:
            await post(there.url)
    assert not caught.value.again
    assert "redirect" in caught.value.hint
    assert not elsewhere.posts


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (409, True),
        (410, False),
        (413, False),
        (422, False),
        (425, True),
        (429, True),
        (500, True),
        (502, True),
        (503, True),
    ],
)
async def test_which_answers_are_tried_again(status, again):
    """What speaks of this moment; not what speaks of the request."""
    async with receiver(web.Response(status=status, text="no\x1b[31m thanks")) as there:
        with pytest.raises(HookFailed, match=f"{status}.*no.*thanks") as caught:
            await post(there.url)
    assert caught.value.again is again
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("17", 17.0), ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0), ("soon", None), ("Sun, 01 Mar 2020 12:00:30 GMT", 0.0)],
)
async def test_retry_after_is_understood(written, meant):
    """In seconds or as a date."""
    async with receiver(web.Response(status=503, headers={"Retry-After": written})) as there:
        with pytest.raises(HookFailed) as caught:
            await post(there.url)
    assert caught.value.retry_after == meant


async def test_what_protects_the_receiver_is_in_no_error():
    """Neither the path nor the query of its URL, also when nothing answers there."""
    async with receiver(web.Response(status=500)) as there:
        url = f"{there.url}/services/T0-hunter2?key=hunter3"
        with pytest.raises(HookFailed) as answered:
            await post(url)
    with pytest.raises(HookFailed, match="no connection") as refused:
        await post(url)
    for caught in (answered, refused):
        told = f"{caught.value}{caught.value.hint}{caught.value.__cause__}"
        assert "hunter" not in told
        assert there.url in told
        assert caught.value.again


async def test_a_receiver_that_says_nothing_is_not_waited_for_without_end():
    """The timeout is of the whole exchange."""
    async with receiver() as there:
        there.meanwhile = lambda: anyio.sleep(30)
        with pytest.raises(HookFailed, match="no answer within") as caught:
            await post(there.url, timeout=0.2)
    assert caught.value.again


async def test_an_enormous_manifest_is_not_sent():
    """Bounded, and said; a command could read it."""
    async with receiver() as there:
        with pytest.raises(HookFailed, match="more than a webhook sends") as caught:
            await post(there.url, body=b" " * ((32 << 20) + 1))
    assert not caught.value.again
    assert not there.posts


async def test_an_enormous_answer_is_read_in_part():
    """A few words of it are told."""
    async with receiver(web.Response(status=500, body=b"x" * (8 << 20))) as there:
        with pytest.raises(HookFailed) as caught:
            await post(there.url)
    assert len(str(caught.value)) < 1000


async def test_the_configured_proxy_is_used(monkeypatch):
    """What is to be reached beyond it, and never this machine itself; without one, the environment's."""
    monkeypatch.setenv("NO_PROXY", "direct.example")
    async with receiver(web.Response(status=200), web.Response(status=200)) as proxy, receiver() as there:
        assert await post("http://hooks.example/h", proxy=proxy.url) == "200 OK"
        assert await post(there.url, proxy=proxy.url) == "204 No Content"
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert await post("http://hooks.example/h") == "200 OK"
    assert [post.headers["host"] for post in proxy.posts] == ["hooks.example", "hooks.example"]
    assert len(there.posts) == 1


async def test_credentials_of_the_environment_stay_here(monkeypatch, tmp_path):
    """Not even a ~/.netrc that names the receiver."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with receiver() as there:
        await post(there.url, secret=lambda: SECRET)
    assert "authorization" not in there.posts[0].headers
    assert there.posts[0].headers.keys() <= {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "connection",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
