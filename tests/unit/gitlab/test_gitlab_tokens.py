"""Credentials: read anew when they change, shown to nobody, and not shown again to who refused them."""

from __future__ import annotations

import os
import traceback

import pytest

from artifact_sync.errors import CredentialRefused
from artifact_sync.gitlab import CredentialToken, EnvToken, FileToken, NoToken, TokenKind, TokenSource
from artifact_sync.gitlab.circuit import Circuit
from artifact_sync.gitlab.tokens import Token
from tests.unit.gitlab.gitlab_clocks import StandingClock

SECRET = "glpat-unit-secret-0123456789"
OTHER = "glpat-unit-other-9876543210"
REFUSED = CredentialRefused("GET /version", "401 Unauthorized", status=401, hint="make a new one")


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        (TokenKind.PRIVATE, {"PRIVATE-TOKEN": SECRET}),
        (TokenKind.BEARER, {"Authorization": f"Bearer {SECRET}"}),
        (TokenKind.JOB, {"JOB-TOKEN": SECRET}),
        (TokenKind.NONE, {}),
    ],
)
def test_each_kind_has_its_header(kind, headers):
    """GitLab knows three ways to show a token, and none."""
    assert Token(kind, SECRET).headers() == headers


def test_no_token_shows_nothing():
    """Anonymous requests carry no credential at all."""
    assert NoToken().current().headers() == {}


@pytest.mark.parametrize("text", [SECRET, f"{SECRET}\n", f"  {SECRET} \r\n"])
def test_a_file_holds_one_token_and_a_line_end(tmp_path, text):
    """What editors and echo put around it is not part of it."""
    file = tmp_path / "token"
    file.write_text(text)
    assert FileToken(file).current() == Token(TokenKind.PRIVATE, SECRET)


def test_a_file_is_read_again_when_it_is_rewritten(tmp_path):
    """Also by one of the same length, with the time of change put back."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    before = file.stat()
    source = FileToken(file, TokenKind.BEARER)
    assert source.current().value == SECRET
    file.write_text(SECRET[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.current() == Token(TokenKind.BEARER, SECRET[::-1])


def test_a_file_is_read_again_when_another_takes_its_place(tmp_path):
    """As a secret manager does it, with rename."""
    file, fresh = tmp_path / "token", tmp_path / "fresh"
    file.write_text(SECRET)
    source = FileToken(file)
    assert source.current().value == SECRET
    fresh.write_text(OTHER)
    fresh.replace(file)
    assert source.current().value == OTHER


def test_a_file_that_goes_away_is_refused_until_it_is_back(tmp_path):
    """The token that was read is not used on."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    source = FileToken(file)
    source.current()
    file.unlink()
    with pytest.raises(CredentialRefused, match="No such file") as caught:
        source.current()
    assert caught.value.hint
    file.write_text(OTHER)
    assert source.current().value == OTHER


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        f"{SECRET}\n{OTHER}\n".encode(),
        f"{SECRET} {OTHER}".encode(),
        f"{SECRET}\x00".encode(),
        f"{SECRET}\u00e9".encode(),
        b"\xff\xfe" + SECRET.encode(),
        SECRET.encode() + b"x" * 70_000,
    ],
)
@pytest.mark.parametrize("way", ["file", "credential", "env"])
def test_what_is_no_token_is_refused_and_not_shown(tmp_path, text, way):
    """The error names the source, says what to do, and holds nothing of what was read."""
    (tmp_path / "token").write_bytes(text)
    sources: dict[str, TokenSource] = {
        "file": FileToken(tmp_path / "token"),
        "credential": CredentialToken("token", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}),
        "env": EnvToken("NAME", environ={"NAME": os.fsdecode(text)}),
    }
    with pytest.raises(CredentialRefused) as caught:
        sources[way].current()
    told = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert "unit-secret" not in told
    assert "unit-other" not in told
    assert caught.value.hint
    assert ("NAME" if way == "env" else "token") in str(caught.value)


def test_a_directory_in_place_of_a_file_is_refused(tmp_path):
    """A wrong mount is told as such."""
    with pytest.raises(CredentialRefused, match="directory"):
        FileToken(tmp_path).current()


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(tmp_path):
    """Opening one waits for who writes, and everything else would wait with it."""
    path = tmp_path / "token"
    os.mkfifo(path)
    with pytest.raises(CredentialRefused, match="not a regular file"):
        FileToken(path).current()


def test_the_environment_is_asked_each_time():
    """A variable that is not set is refused by its name."""
    environ = {"CI_JOB_TOKEN": SECRET}
    source = EnvToken("CI_JOB_TOKEN", TokenKind.JOB, environ=environ)
    assert source.current() == Token(TokenKind.JOB, SECRET)
    environ["CI_JOB_TOKEN"] = OTHER
    assert source.current().value == OTHER
    del environ["CI_JOB_TOKEN"]
    with pytest.raises(CredentialRefused, match="CI_JOB_TOKEN: not set"):
        source.current()


def test_a_credential_of_systemd_is_a_file_of_its_directory(tmp_path):
    """Outside of a unit there is none."""
    (tmp_path / "gitlab").write_text(SECRET)
    source = CredentialToken("gitlab", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert source.current().value == SECRET
    with pytest.raises(CredentialRefused, match="CREDENTIALS_DIRECTORY"):
        CredentialToken("gitlab", environ={}).current()


def test_a_token_is_in_no_representation(tmp_path):
    """Neither of the token, nor of where it came from."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    sources: list[TokenSource] = [FileToken(file), EnvToken("A", environ={"A": SECRET})]
    for source in sources:
        token = source.current()
        shown = f"{token} {token!r} {source} {source!r} {[token]!r}"
        assert SECRET not in shown


class TestCircuit:
    """What happens after a 401."""

    @pytest.fixture
    def clock(self):
        """Stands still."""
        return StandingClock()

    @pytest.mark.parametrize("kind", [TokenKind.PRIVATE, TokenKind.BEARER])
    def test_a_refused_token_is_not_shown_again(self, clock, kind):
        """The refusal comes back as it was, for five minutes."""
        circuit, token = Circuit(clock), Token(kind, SECRET)
        circuit.check(token)
        circuit.refused(token, REFUSED)
        for _ in range(3):
            with pytest.raises(CredentialRefused) as caught:
                circuit.check(token)
            assert (str(caught.value), caught.value.status, caught.value.hint) == (str(REFUSED), 401, REFUSED.hint)
            clock.jump(99)

    def test_another_token_opens_it_at_once(self, clock):
        """A rotated token is tried with the next request, and the old one is not held against it."""
        circuit, token = Circuit(clock), Token(TokenKind.PRIVATE, SECRET)
        circuit.refused(token, REFUSED)
        circuit.check(Token(TokenKind.PRIVATE, OTHER))
        circuit.check(Token(TokenKind.PRIVATE, OTHER))

    def test_one_probe_in_five_minutes(self, clock):
        """Of many requests one goes out; the others wait for what comes of it."""
        circuit, token = Circuit(clock), Token(TokenKind.PRIVATE, SECRET)
        circuit.refused(token, REFUSED)
        passed = 0
        for _ in range(1000):
            clock.jump(1)
            try:
                circuit.check(token)
            except CredentialRefused:
                continue
            passed += 1
        assert passed == 3

    def test_an_accepted_probe_closes_it(self, clock):
        """The token is good again for everybody."""
        circuit, token = Circuit(clock), Token(TokenKind.PRIVATE, SECRET)
        circuit.refused(token, REFUSED)
        clock.jump(301)
        circuit.check(token)
        circuit.accepted(token)
        circuit.check(token)

    def test_an_answer_to_an_older_token_changes_nothing(self, clock):
        """A late success of the token before does not open what refused the one after."""
        circuit = Circuit(clock)
        circuit.refused(Token(TokenKind.PRIVATE, OTHER), REFUSED)
        circuit.accepted(Token(TokenKind.PRIVATE, SECRET))
        with pytest.raises(CredentialRefused):
            circuit.check(Token(TokenKind.PRIVATE, OTHER))

    @pytest.mark.parametrize("kind", [TokenKind.JOB, TokenKind.NONE])
    def test_a_job_token_is_never_held_back(self, clock, kind):
        """Endpoints that know no job tokens refuse them, and that says nothing about the others."""
        circuit, token = Circuit(clock), Token(kind, SECRET)
        circuit.refused(token, REFUSED)
        circuit.check(token)
