"""No secret gets through what masks them, wherever it stands and however it is wrapped."""

import base64
import io
import json
import logging
import sys
from dataclasses import dataclass
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.observe import Masking, configure, mask
from artifact_sync.observe.patterns import masked_by_form, names_secret, searched

BODY = "Xy7-Zk_9QwErTyUiOpAs"


def part(data: bytes) -> str:
    """A part of a JSON web token."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


JWT = ".".join(map(part, (b'{"alg":"RS256","typ":"JWT"}', b'{"sub":"job_1","iss":"x"}', b"signed" * 20)))
PREFIXES = ("glpat", "gldt", "glrt", "glptt", "glcbt", "glsoat", "glft", "glimt", "glagent", "gloas", "glffct")
#: https://docs.gitlab.com/security/tokens/#token-prefixes, the routable form among them, and what else opens something.
TOKENS = [
    *(f"{prefix}-{BODY}" for prefix in PREFIXES),
    f"glpat-{BODY}.01.0z1a2b3c4",
    f"glcbt-64_{BODY}",
    f"glcbt-{JWT}",
    f"glnew-{BODY}",
    f"GR1348941{BODY}",
    f"whsec_{base64.b64encode(bytes(range(32))).decode()}",
    JWT,
]
#: A secret without any form.
PLAIN = 'correct horse/battery+staple%"é'


@dataclass
class Held:
    """Says what it holds."""

    token: str


class Sly(Exception):
    """Says its text in more ways than one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.add_note(f"note {text}")


def chained(secret: str) -> BaseException:
    """An error because of an error, in a group, with notes."""
    inner, outer = Sly(f"inner {secret}"), ValueError(f"outer {secret}")
    outer.__cause__ = inner
    outer.__context__ = Sly(f"context {secret}")
    return ExceptionGroup(f"several {secret}", [outer, Sly(secret)])


def fail(error: BaseException) -> None:
    """Raise it, with a local variable that holds what nobody may see."""
    hidden = "a-value-without" + "-any-form"
    assert hidden
    raise error


def places(secret: str) -> dict[str, object]:
    """Values that hold a secret, each in another way."""
    return {
        "text": f"before {secret} after",
        "glued": f"x{secret}",
        "assigned": f"token={secret}&x=1",
        "lines": f"a\n{secret}\nb",
        "dict": {"a": {"b": [{"c": secret}]}},
        "key": {secret: 1},
        "tuple": (1, ("x", secret)),
        "set": {secret, "other"},
        "frozenset": frozenset({secret}),
        "bytes": f"PRIVATE-TOKEN: {secret}\r\n".encode(),
        "bytearray": bytearray(secret.encode()),
        "memoryview": memoryview(secret.encode()),
        "object": Held(secret),
        "error": Sly(f"failed with {secret}"),
        "json": json.dumps({"error": json.dumps({"token": secret})}),
        "repr": repr([("authorization", f"Bearer {secret}")]),
        "deep": nested(secret, 60),
    }


def nested(secret: str, depth: int) -> object:
    """It in lists in lists."""
    value: object = secret
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture
def written(monkeypatch):
    """What is written to the log, set up as a daemon's; by its form, JSON or console."""
    before = structlog.get_config()
    handlers = list(logging.getLogger().handlers)
    out = io.StringIO()

    def setup(form: str, masking: Masking = mask) -> io.StringIO:
        # Not before: what captures the output of tests puts its own there when one begins.
        monkeypatch.setattr(sys, "stderr", out)
        configure(form=form, level="debug", masking=masking)
        return out

    yield setup
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:12])
def test_no_token_gets_into_the_log(written, form, token):
    """In no place, in neither form, and also not by its end alone."""
    out = written(form)
    log = structlog.get_logger()
    held = places(token)
    if token.startswith("glnew-"):
        # A prefix that nobody knows yet is one where a word begins.
        del held["glued"]
    for name, value in held.items():
        log.info("tried", **{name: value})
    name = f"named.{token}"
    log.info(name)
    try:
        fail(chained(token))
    except ExceptionGroup:
        log.exception("crashed")
    log.error("crashed.too", exc_info=chained(token))
    text = out.getvalue()
    assert token not in text
    assert token[-12:] not in text
    assert text.count("[masked]") >= len(held)
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in text.splitlines())


@pytest.mark.parametrize("form", ["json", "console"])
def test_configured_secrets_need_no_form(written, form):
    """Exactly as they are, and as URLs, JSON and Python write them; also the one that was replaced a moment ago."""
    secrets = [PLAIN]
    out = written(form, Masking(lambda: secrets))
    log = structlog.get_logger()
    for name, value in places(PLAIN).items():
        log.info("tried", **{name: value})
    log.info("tried", url=f"/x/{quote(PLAIN, safe='')}", other=f"/x/{quote(PLAIN)}")
    secrets[:] = ["another-one-0123456789"]
    log.info("tried", old=PLAIN, new=secrets[0])
    log.error("crashed", exc_info=chained(PLAIN))
    text = out.getvalue()
    for form_of_it in (PLAIN, quote(PLAIN, safe=""), "horse/battery", "horse%2Fbattery", secrets[0], "staple%"):
        assert form_of_it not in text


@pytest.mark.parametrize(
    "text",
    [
        "PRIVATE-TOKEN: {}",
        "private-token={}",
        "{{'PRIVATE-TOKEN': '{}'}}",
        '{{"JOB-TOKEN": "{}"}}',
        '{{\\"private_token\\": \\"{}\\"}}',
        "(b'PRIVATE-TOKEN', b'{}')",
        "X-Gitlab-Token: {}",
        "Authorization: Bearer {}",
        "authorization: basic {}",
        "Proxy-Authorization: Digest {}",
        "sent Bearer {} there",
        "Cookie: a=b; _gitlab_session={}; c=d",
        "Set-Cookie: session={}; HttpOnly",
        "https://user:{}@gitlab.example.com/x",
        "https://{}@gitlab.example.com",
        "postgresql://mirror:{}@db/state",
        "http://proxy:{}@[::1]:3128",
        "https://s3.example.com/a/b?X-Amz-Signature={}&x=1",
        "s3://bucket/a?sig={}",
        "https://gitlab.example.com/x#access_token={}",
        "GET /x?private_token={}&y=1",
        "GET /x?y=1&job_token={}",
        "X-Amz-Signature={}",
        "X-Goog-Credential={}",
        "client_secret={}",
        "password={}",
        '"webhook_secret": "{}"',
    ],
)
def test_what_stands_where_secrets_stand_is_masked(text):
    """Headers, cookies, forms, logins in addresses and queries of signed URLs, whatever the secret looks like."""
    secret = "s3cr3tVALUE99"
    told = mask(text.format(secret))
    assert secret not in told
    assert "[masked]" in told or "?..." in told


@pytest.mark.parametrize(
    "value",
    [
        {"PRIVATE-TOKEN": "abc"},
        {"private_token": "abc"},
        {b"Authorization": b"abc"},
        [("PRIVATE-TOKEN", "abc")],
        [(b"job-token", b"abc")],
        {"headers": {"Cookie": ["abc"]}},
        {"webhook_secret": ("abc",)},
        {"HTTP_PRIVATE_TOKEN": "abc"},
        {"password": 1234567, "x": "abc"[:0]},
    ],
)
def test_what_stands_under_the_name_of_a_secret_is_masked(value):
    """In mappings and in lists of pairs, also where it is no text."""
    told = json.dumps(mask.plain(value))
    assert "abc" not in told
    assert "1234567" not in told
    assert "[masked]" in told


@pytest.mark.parametrize(
    "text",
    [
        "environment variable GITLAB_TOKEN: not set",
        "GET /api/v4/projects/1/jobs: 404 Not found",
        "the token expires in 3 days",
        "group/single-something-with-a-long-name",
        "refs/merge-requests/12/head",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0bb822cd15d6c15b0f00a08",
        "https://gitlab.example.com/group/app/-/jobs/7",
        "kept.policy=always, secretary=Ann",
        "Basic settings are missing",
        "user@example.com wrote it",
    ],
)
def test_what_is_no_secret_stays(text):
    """Who reads the log has to see what happened."""
    assert mask(text) == text


@pytest.mark.parametrize(
    "key", ["private_token", "Private-Token", "JOB_TOKEN", "authorization", "set-cookie", "api_key"]
)
def test_names_of_secrets(key):
    """In the writing of headers, of parameters and of the environment."""
    assert names_secret(key)


@pytest.mark.parametrize("key", ["project", "job", "tokens_seen", "hint", "outcome", "purpose", "description"])
def test_names_of_other_things(key):
    """Their values are told."""
    assert not names_secret(key)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_value_becomes_plain_data(value):
    """And a second time it changes nothing more."""
    told = mask.plain(value)
    assert mask.plain(json.loads(json.dumps(told))) == told


PIECES = (
    *TOKENS,
    *(
        "private-token",
        "JOB_TOKEN",
        "Authorization",
        "Bearer ",
        "basic ",
        "Cookie",
        "sig",
        "Signature",
        "api_key",
        "apikey",
    ),
    *(
        "X-Amz-Credential",
        "x-goog-signature",
        "GoogleAccessId",
        "AWSAccessKeyId",
        "_gitlab_session",
        "password",
        "PASSWD",
    ),
    *(
        "secret",
        ": ",
        "=",
        ", ",
        "'",
        '"',
        "\\",
        "&",
        "?",
        "#",
        "@",
        "://",
        "http",
        "s3",
        "value-0123456789",
        " ",
        "\n",
        "b'",
    ),
)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join))
def test_one_look_finds_whether_there_is_anything_to_find(text):
    """What is passed over quickly has nothing that a pattern would find."""
    assert masked_by_form(text) == searched(text)


def test_what_cannot_be_told_does_not_break_the_log(written):
    """A value whose text fails, a list in itself, and a key that is no text."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    out = written("json")
    circle: list[object] = []
    circle.append(circle)
    structlog.get_logger().info("tried", broken=Broken(), circle=circle, mapping={1: 2, None: 3, ("a",): 4})
    told = json.loads(out.getvalue())
    assert told["broken"] == "(Broken that cannot be told: RuntimeError)"
    assert told["mapping"] == {"1": 2, "None": 3, "['a']": 4}


def test_what_libraries_log_is_masked_too(written):
    """Python's own logging comes as a line like all others, with its traceback, and without values of variables."""
    out = written("json")
    token = TOKENS[0]
    try:
        fail(Sly(token))
    except Sly:
        logging.getLogger("asyncio").exception("Task exception was never retrieved: %s", token)
    logging.getLogger("aiohttp").info("nobody hears this")
    (line,) = out.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["logger"], told["level"]) == ("library.said", "asyncio", "error")
    assert told["exception"]
    assert token not in line
    assert '"locals"' not in line


def test_local_variables_are_not_told(written):
    """A traceback has names of functions and lines; what they worked with is nobody's business."""
    out = written("json")
    try:
        fail(RuntimeError("failed"))
    except RuntimeError:
        structlog.get_logger().exception("crashed")
    assert "fail" in out.getvalue()
    assert "a-value-without-any-form" not in out.getvalue()


@pytest.mark.parametrize("piece", ["eyJ", "gl", "a://", "://", "token=", "'\\", "cookie", "bearer ", "=" * 3, "a-a_"])
def test_a_hostile_text_takes_no_longer_than_its_length(piece):
    """Patterns do not look back again and again (the test would not end), and what is far too long is cut."""
    for size in (60_000, 10_000_000):
        assert len(mask(piece * (size // len(piece)))) < 200_000
