"""From a status and a body to an error that says what to do, and shows no secret."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.model import Project
from artifact_sync.errors import CredentialRefused, Denied, NotFound, Refused, RemoteError, Throttled, Transient
from artifact_sync.gitlab.answers import error_for
from artifact_sync.gitlab.decoding import ObjectDecoder, PageDecoder
from artifact_sync.gitlab.excerpts import excerpt

ASKED = "GET /projects/1/jobs/2/artifacts"
TOKEN = "glpat-unit-secret-0123456789"
SIGNED = "https://bucket.example.net/a/b.zip?X-Amz-Credential=AKIA&X-Amz-Signature=SIGNED"
EXPIRED = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
SIGN_IN = b'<!DOCTYPE html><html><head><title>Sign in</title></head><a href="/users/sign_in">go</a></html>'


def body(value: object) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, body({"error": "scope does not have a valid value"}), Refused),
        (401, body({"message": "401 Unauthorized"}), CredentialRefused),
        (401, body({"error": "invalid_token", "error_description": "Token was revoked."}), CredentialRefused),
        (401, b"", CredentialRefused),
        (403, body({"message": "403 Forbidden"}), Denied),
        (403, body({"error": "insufficient_scope", "scope": "api"}), CredentialRefused),
        (403, b"Forbidden\n", Denied),
        (403, EXPIRED, Transient),
        (404, body({"message": "404 Project Not Found"}), NotFound),
        (404, body({"message": "404 Not found"}), NotFound),
        (404, b"404 page not found\n", NotFound),
        (404, b"", NotFound),
        (405, body({"error": "Keyset pagination is not yet available for this type of request"}), Refused),
        (405, body({"message": "Non GET methods are not allowed for moved projects"}), Refused),
        (408, b"", Transient),
        (409, body({"message": "409 Conflict"}), Refused),
        (410, b"", Refused),
        (412, b"", Refused),
        (413, b"", Refused),
        (416, b"", Refused),
        (418, b"", Refused),
        (422, body({"message": {"base": ["no", "really"]}}), Refused),
        (429, b"Retry later\n", Throttled),
        (429, body({"message": {"error": "This endpoint has been requested too many times."}}), Throttled),
        (500, body({"message": "500 Internal Server Error"}), Transient),
        (502, b"<html><head><title>502 Bad Gateway</title></head></html>", Transient),
        (503, b"", Transient),
        (504, b"", Transient),
        (520, b"a proxy of its own", Transient),
        (599, b"", Transient),
    ],
)
def test_each_status_has_its_error(status, content, kind):
    """The class says whether repeating helps, the message what was asked, the hint what to do."""
    error = error_for(ASKED, status, content)
    assert type(error) is kind
    assert str(error).startswith(f"{ASKED}: {status} ")
    assert (error.status, bool(error.hint)) == (status, True)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("content", [EXPIRED, b"", body({"message": "403 Forbidden"})])
def test_what_the_object_store_refuses_says_nothing_of_the_token(status, content):
    """A signed URL has expired; it is asked for anew."""
    assert type(error_for(ASKED, status, content, outside=True)) is Transient


def test_quotas_tell_how_long_to_wait():
    """Where the server says it."""
    error = error_for(ASKED, 429, b"Retry later", retry_after=17.0)
    assert isinstance(error, Throttled)
    assert error.retry_after == 17.0


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (401, body({"message": "401 Unauthorized"}), ["token", "read again"]),
        (403, body({"error": "insufficient_scope", "scope": "api sudo"}), ["api or sudo", "keep_token"]),
        (403, body({"message": "403 Forbidden"}), ["role", "maintenance"]),
        (404, body({"message": "404 Project Not Found"}), ["project", "membership"]),
        (404, body({"message": "404 Not found"}), ["expired"]),
        (429, b"", ["per_minute"]),
    ],
)
def test_hints_say_what_a_person_can_do(status, content, words):
    """In the words of the configuration."""
    hint = error_for(ASKED, status, content).hint
    assert all(word in hint for word in words), hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (body({"message": "404 Not found"}), "404 Not found"),
        (body({"error": "invalid_token", "error_description": "Token was revoked."}), "Token was revoked."),
        (body({"error": "job is missing"}), "job is missing"),
        (body({"message": {"base": ["no", "really"]}}), "base: no, really"),
        (EXPIRED, "AccessDenied"),
        (b"<html><title>502 Bad &amp; Gateway</title>", "502 Bad & Gateway"),
        (b"Retry later\n", "Retry later"),
        (b"", ""),
        (b"a\r\nb\x00c\x1b[31md\xe2\x80\xa8e", "a b c [31md e"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[1, 2]", "[1, 2]"),
        (b"[" * 100_000, "[" * 197 + "..."),
    ],
)
def test_an_excerpt_is_one_short_line(content, words):
    """The message of JSON, the code of XML, the title of a page, or the first words."""
    assert excerpt(content) == words


@given(st.binary(max_size=500), st.sampled_from([b"", b'{"message": ', b"<html><title>", b"<Error><Code>"]))
def test_an_excerpt_is_printable_whatever_came(content, before):
    """No control character reaches a terminal or a log line."""
    shown = excerpt(before + content)
    assert len(shown) <= 200
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)


@pytest.mark.parametrize(
    "content",
    [
        body({"message": f"bad token {TOKEN} at {SIGNED}"}),
        body({"message": {TOKEN: [SIGNED]}}),
        f"<title>{TOKEN} {SIGNED}</title>".encode(),
        f"moved to {SIGNED} by {TOKEN}".encode(),
        f"GET /api/v4/x?private_token={TOKEN}&a=SIGNED HTTP/1.1".encode(),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 429, 500])
def test_an_error_shows_no_token_and_no_signed_query(content, status):
    """Whoever echoes a request, it does not get into a message."""
    error = error_for(ASKED, status, content, secrets=(TOKEN,))
    told = f"{error} {error!r} {error.hint} {error.answer}"
    assert "unit-secret" not in told
    assert "SIGNED" not in told
    assert "AKIA" not in told


def test_a_token_with_other_letters_is_masked_in_its_encoded_form_too():
    """As a query or a path holds it."""
    assert excerpt(b"/x/a%2Bb%2Fc and a+b/c", secrets=("a+b/c",)) == "/x/[masked] and [masked]"


PROJECT = ObjectDecoder(Project)
PROJECTS = PageDecoder(Project)
GOOD = {"id": 1, "path_with_namespace": "g/p", "a_new_field": [1]}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (SIGN_IN, CredentialRefused),
        (b"\n  <HTML>/users/sign_in", CredentialRefused),
        (b"<!DOCTYPE html><title>Welcome</title>", Refused),
        (b"Hello", Refused),
        (b'"text"', Refused),
        (b"7", Refused),
        (b"null", Refused),
        (b"", Transient),
    ],
)
def test_an_answer_that_is_no_json_of_ours(content, kind):
    """The sign-in page is about the token, a cut answer may pass, another page will not."""
    for decoder in (PROJECT, PROJECTS):
        with pytest.raises(RemoteError) as caught:
            decoder.decode(content, asked=ASKED)
        assert type(caught.value) is kind
        assert caught.value.hint


@pytest.mark.parametrize("left", [2, 5, 20, 50])
def test_a_cut_answer_is_tried_again(left):
    """What begins as JSON of the right shape was broken on its way."""
    with pytest.raises(Transient, match="broken JSON"):
        PROJECT.decode(body(GOOD)[:left], asked=ASKED)
    with pytest.raises(Transient, match="broken JSON"):
        PROJECTS.decode(body([GOOD])[:left], asked=ASKED)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"id":' * 100_000, b"[" + b'{"id":' * 100_000])
def test_json_without_a_bottom_is_an_error_as_any_other(content):
    """No recursion gets out of hand."""
    for decoder in (PROJECT, PROJECTS):
        with pytest.raises(RemoteError):
            decoder.decode(content, asked=ASKED)


def test_an_object_for_a_list_and_a_list_for_an_object():
    """Another shape is not tried again."""
    with pytest.raises(Refused, match="another shape"):
        PROJECT.decode(body([GOOD]), asked=ASKED)
    with pytest.raises(Refused, match="another shape"):
        PROJECTS.decode(body(GOOD), asked=ASKED)


@pytest.mark.parametrize("bad", [{}, {"id": "x", "path_with_namespace": "g/p"}, None, 7, [], {"id": 10**40}])
def test_one_entry_that_is_not_understood_is_counted(bad):
    """The rest of the page survives, in order."""
    entries, undecodable = PROJECTS.decode(body([GOOD, bad, GOOD | {"id": 2}]), asked=ASKED)
    assert [entry.id for entry in entries] == [1, 2]
    assert undecodable == 1


@pytest.mark.parametrize(
    "content",
    [
        f"{TOKEN} {SIGNED}",
        f"<html><title>{TOKEN} {SIGNED}</title>",
        "GET / HTTP/1.1\r\nPRIVATE-TOKEN: old-unit-secret\r\nAccept: application/json",
        "GET / HTTP/1.1\r\nprivate-token:old-unit-secret\r\nAccept: application/json",
        "GET / HTTP/1.1\r\nJOB-TOKEN:  old-unit-secret\r\n",
        "GET / HTTP/1.1\r\nAuthorization: Bearer old-unit-secret\r\n",
    ],
)
def test_a_success_that_echoes_the_token_does_not_show_it(content):
    """A debugging proxy may answer 200 with the request's headers."""
    with pytest.raises(Refused) as caught:
        PROJECT.decode(content.encode(), asked=ASKED)
    told = f"{caught.value} {caught.value.hint}"
    assert "unit-secret" not in told
    assert "SIGNED" not in told
