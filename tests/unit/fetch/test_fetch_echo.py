"""What of a server's words is written down."""

import hashlib
import secrets

import pytest

from artifact_sync.fetch.echo import address, etag_to_keep

SHA = hashlib.sha256(b"").hexdigest()
MD5 = hashlib.md5(b"").hexdigest()


@pytest.mark.parametrize(
    "etag",
    [
        f'"{SHA}"',
        f'"{MD5}"',
        f'"{MD5}-17"',
        f'"{MD5.upper()}"',
        '"0x8D4BCC2E4835CD0"',
        '"5f3c-62a1b"',
        '"v1"',
        '"a_b.c"',
    ],
)
def test_a_checksum_is_kept(etag):
    """As GitLab, S3, Azure, Google and nginx make them, and whatever is too short for a token."""
    assert etag_to_keep(etag) == etag


@pytest.mark.parametrize(
    "etag",
    [
        None,
        "",
        '""',
        SHA,
        f'W/"{SHA}"',
        '"glpat-AbCdEfGhIjKlMnOpQrSt"',
        '"Ab3dEf6hIj9lMn2pQr5t"',
        f'"{"0" * 129}"',
        '"a b"',
        '"line\nbreak"',
        f'"{SHA}"\n',
    ],
)
def test_what_may_be_something_else_is_not(etag):
    """A token, an endless one, one that is none."""
    assert etag_to_keep(etag) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.example.com/api/v4/projects/1/jobs/7/artifacts",
        f"https://bucket.s3.eu-west-1.amazonaws.com/artifacts/4e/07/{SHA}/2024_05_01/123/456/artifacts.zip",
        "https://storage.example.com/very-long-bucket-name-of-somebody/a.zip",
        "http://[2001:db8::1]:8080/Releases/App.tar.gz",
    ],
)
def test_an_address_is_shown_as_it_is(url):
    """Checksums, dates, ids and words are no credentials."""
    assert address(url) == url


def test_no_token_is_left_in_an_address():
    """In any of its parts, with GitLab's prefix or without."""
    for _ in range(200):
        token = secrets.token_urlsafe(15)
        if token in {token.lower(), token.upper()}:
            continue
        for shown in (token, f"glpat-{token}", f"glcbt-64_{token}"):
            for url in (f"https://h/{shown}/x", f"https://h/a.{shown}", f"https://{shown}.h/", f"https://h/x={shown}"):
                assert token not in address(url)
