"""Where a redirect of a download may lead, and with what."""

from __future__ import annotations

import socket

import pytest

from artifact_sync.errors import CredentialRefused, Refused
from artifact_sync.gitlab.address import Address
from artifact_sync.gitlab.redirects import Hop, RedirectPolicy, plain
from artifact_sync.gitlab.resolver import ForbiddenAddressError, GuardedResolver

BASE = "https://gitlab.example.com/gitlab"
HERE = f"{BASE}/api/v4/projects/1/jobs/2/artifacts"
ASKED = "GET /projects/1/jobs/2/artifacts"
STORE = "https://bucket.s3.example.net/a/b.zip?X-Amz-Signature=SIGNED"


def follow(
    location: str | None, *, base: str = BASE, came: str = HERE, trusted: bool = True, hosts: tuple[str, ...] = ()
) -> Hop:
    """The hop behind one redirect."""
    policy = RedirectPolicy(base=Address.parse(base), hosts=hosts)
    return policy.follow(Hop(url=came, trusted=trusted), location, asked=ASKED, status=302)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (f"{BASE}/api/v4/other?a=b", f"{BASE}/api/v4/other?a=b"),
        ("https://gitlab.example.com:443/gitlab/x", "https://gitlab.example.com:443/gitlab/x"),
        ("HTTPS://GITLAB.example.com/gitlab/x", "https://GITLAB.example.com/gitlab/x"),
        ("/gitlab/elsewhere/file", "https://gitlab.example.com/gitlab/elsewhere/file"),
        ("//gitlab.example.com/gitlab/x", "https://gitlab.example.com/gitlab/x"),
        ("artifacts/file?x=1#fragment", f"{BASE}/api/v4/projects/1/jobs/2/artifacts/file?x=1"),
        ("?file_type=archive", f"{HERE}?file_type=archive"),
    ],
)
def test_the_configured_address_keeps_the_token(location, url):
    """Same scheme, host and port, below the same root; a relative Location is resolved where it was given."""
    assert follow(location) == Hop(url=url, trusted=True)


@pytest.mark.parametrize(
    "location",
    [
        STORE,
        "https://gitlab.example.com:8443/gitlab/file",
        "https://gitlab.example.com.evil.test/gitlab/file",
        "https://evil-gitlab.example.com/gitlab/file",
        "//bucket.example.net/gitlab/file",
        # The same origin, but not this GitLab: something else is installed beside it.
        "https://gitlab.example.com/minio/file",
        "https://gitlab.example.com/gitlab-store/file",
        "https://gitlab.example.com/gitlab/../minio/file",
        "https://gitlab.example.com/gitlab/%2e%2e/minio/file",
        "https://gitlab.example.com/gitlab/..%2fminio/file",
        "https://gitlab.example.com/gitlab/..;/minio/file",
    ],
)
def test_any_other_place_is_asked_without_the_token(location):
    """Another host, port or root is a stranger."""
    assert not follow(location).trusted


def test_another_scheme_is_a_stranger():
    """From http to https on the same host, outside the API, the token stays here."""
    hop = follow("https://gitlab.test/file", base="http://gitlab.test", came="http://gitlab.test/api/v4/x")
    assert hop == Hop(url="https://gitlab.test/file", trusted=False)


def test_once_away_it_is_never_trusted_again():
    """A stranger does not choose what is asked for with the token."""
    away = follow(STORE)
    back = follow(f"{BASE}/api/v4/projects/9/repository/archive", came=away.url, trusted=away.trusted)
    assert (away.trusted, back.trusted) == (False, False)


@pytest.mark.parametrize("base", [BASE, BASE.replace("https:", "http:")])
def test_the_api_at_another_address_is_told_as_such(base):
    """The configured URL is wrong by scheme or port: whoever set it up is told, no stranger is asked."""
    location = "https://gitlab.example.com:8443/gitlab/api/v4/x?private_token=SIGNED"
    with pytest.raises(Refused, match="8443") as caught:
        follow(location, base=base, came=f"{base}/api/v4/x")
    assert "gitlab.url" in caught.value.hint
    assert "SIGNED" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("location", "came"),
    [
        ("http://gitlab.example.com/gitlab/file?t=SIGNED", HERE),
        ("http://bucket.example.net/file?t=SIGNED", HERE),
        ("http://bucket.example.net/file?t=SIGNED", STORE),
        ("//user:SIGNED@bucket.example.net/file", HERE),
        ("https://user@gitlab.example.com/gitlab/file?t=SIGNED", HERE),
        ("https://@bucket.example.net/file?t=SIGNED", HERE),
        ("file:///etc/passwd?t=SIGNED", HERE),
        ("ftp://bucket.example.net/file?t=SIGNED", HERE),
        ("gopher://bucket.example.net/?t=SIGNED", HERE),
        ("data:text/plain,SIGNED", HERE),
        ("javascript:SIGNED", HERE),
        ("https://[bad/file?t=SIGNED", HERE),
        ("https://bucket.example.net:99999/file?t=SIGNED", HERE),
        ("https://bucket.example.net:port/file?t=SIGNED", HERE),
        ("https://bucket.example.net/a b?t=SIGNED", HERE),
        ("https://bucket.example.net/\u00e4?t=SIGNED", HERE),
        ("https://bucket.example.net/\x00?t=SIGNED", HERE),
        ("https://bucket.example.net/?t=SIGNED" + "x" * 20_000, HERE),
        ("", HERE),
        ("   ", HERE),
        (None, HERE),
    ],
)
def test_what_is_never_followed(location, came):
    """From https to http, with a user name, other schemes, and what is no URL; the error shows no query."""
    with pytest.raises(Refused) as caught:
        follow(location, came=came, trusted=came == HERE)
    assert caught.value.hint
    assert caught.value.status == 302
    assert "SIGNED" not in str(caught.value) + caught.value.hint
    assert str(caught.value).startswith(ASKED)


@pytest.mark.parametrize(
    "location",
    [
        f"{BASE}/users/sign_in",
        f"{BASE}/users/sign_in/?redirect=1",
        "/gitlab/users/sign_in",
        # GitLab names its external_url, which need not be the address that is configured here.
        "https://outside.example.com/gitlab/users/sign_in",
        "https://gitlab.example.com:8443/users/sign_in?a=b",
    ],
)
def test_the_sign_in_page_means_that_the_token_is_refused(location):
    """GitLab sends there who is nobody to it."""
    with pytest.raises(CredentialRefused) as caught:
        follow(location)
    assert caught.value.hint


FORBIDDEN = [
    "169.254.169.254",
    "169.254.0.1",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "192.0.0.192",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.9.10",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
    "[::]",
]


@pytest.mark.parametrize("host", FORBIDDEN)
def test_this_machine_and_the_clouds_secrets_are_not_asked(host):
    """However the address is written; the way out is to list it."""
    with pytest.raises(Refused, match="redirect") as caught:
        follow(f"https://{host}/latest/meta-data?t=SIGNED")
    assert "redirect_hosts" in caught.value.hint
    assert "SIGNED" not in str(caught.value)


@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1"])
def test_a_listed_address_is_allowed(host):
    """Somebody wrote it down, so it is meant."""
    assert follow(f"https://{host}/x", hosts=(host,)) == Hop(url=f"https://{host}/x", trusted=False)


@pytest.mark.parametrize("base", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_a_gitlab_on_this_machine_may_redirect_to_this_machine(base):
    """A store beside it is a stranger all the same, and the clouds' secrets stay out of reach."""
    assert follow("http://127.0.0.1:9000/x", base=base, came=f"{base}/api/v4/x") == Hop(
        url="http://127.0.0.1:9000/x", trusted=False
    )
    with pytest.raises(Refused):
        follow("http://169.254.169.254/x", base=base, came=f"{base}/api/v4/x")


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.1", "172.16.0.1", "[fd12::1]", "203.0.113.7"])
def test_a_store_in_a_private_network_is_allowed(address):
    """That is where self-managed instances keep theirs."""
    assert not follow(f"https://{address}/x").trusted


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("bucket.s3.example.net", True),
        ("BUCKET.S3.example.net", True),
        ("bucket.s3.example.net.", True),
        ("deep.er.cdn.test", True),
        ("a.cdn.test", True),
        ("cdn.test", False),
        ("evilcdn.test", False),
        ("a.cdn.test.evil.test", False),
        ("x.bucket.s3.example.net", False),
        ("10.0.0.1", False),
    ],
)
def test_with_a_list_only_what_is_on_it(host, listed):
    """Exact names, and whole labels before a suffix."""
    hosts = ("bucket.s3.example.net", "*.CDN.test")
    if listed:
        assert not follow(f"https://{host}/x", hosts=hosts).trusted
        return
    with pytest.raises(Refused, match="does not list") as caught:
        follow(f"https://{host}/x", hosts=hosts)
    assert "redirect_hosts" in caught.value.hint


def test_a_list_does_not_hinder_gitlab_itself():
    """The configured address is always allowed."""
    assert follow("/gitlab/x", hosts=("bucket.example.net",)).trusted


def test_plain_shows_neither_query_nor_user():
    """What an error or a manifest may say of a URL."""
    assert plain("https://user:pw@host:8/path/x?sig=1#f") == "https://host:8/path/x"


@pytest.mark.parametrize("name", ["localhost", "0x7f000001"])
async def test_a_name_is_judged_by_the_address_it_stands_for(name):
    """A harmless name may lead to this machine."""
    resolver = GuardedResolver(RedirectPolicy(base=Address.parse(BASE)))
    try:
        with pytest.raises(ForbiddenAddressError, match="this machine itself"):
            await resolver.resolve(name, 443, socket.AF_INET)
    finally:
        await resolver.close()


async def test_a_listed_name_may_stand_for_anything():
    """It was written down by whoever configures."""
    resolver = GuardedResolver(RedirectPolicy(base=Address.parse(BASE), hosts=("localhost",)))
    try:
        assert [found["host"] for found in await resolver.resolve("localhost", 443, socket.AF_INET)] == ["127.0.0.1"]
    finally:
        await resolver.close()
