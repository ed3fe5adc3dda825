"""What a running daemon takes over of another configuration."""

from pathlib import Path

import pytest

from artifact_sync.config import Settings, loads
from artifact_sync.config.changes import change

BASE = """\
version: 1
gitlab: {url: 'https://gitlab.example.com', token: {env: GITLAB_TOKEN}}
store: {path: mirror}
server: {listen: '127.0.0.1:8700'}
rules:
  - {name: all, projects: [group/app]}
"""


def settings(*changes: tuple[str, str]) -> Settings:
    """The base with these replacements."""
    text = BASE
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return loads(text, folder=Path("/srv"))


def with_section(text: str) -> tuple[str, str]:
    """One more line above the rules."""
    return "rules:\n", f"{text}\nrules:\n"


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        (("name: all", "name: every"), "rules"),
        (with_section("poll: {interval: 2m}"), "poll.interval"),
        (with_section("poll: {audit: null}"), "poll.audit"),
        (with_section("downloads: {concurrency: 2}"), "downloads.concurrency"),
        (with_section("downloads: {bandwidth: 1MiB/s}"), "downloads.bandwidth"),
        (with_section("retention: {max_delete: 20%}"), "retention.max_delete"),
        (with_section("hooks: {secret: {file: s}}"), "hooks.secret"),
        (with_section("log: {level: debug}"), "log.level"),
        (("env: GITLAB_TOKEN", "file: token"), "gitlab.token"),
        (("env: GITLAB_TOKEN}", "env: GITLAB_TOKEN}, keep_token: {file: keep}"), "gitlab.keep_token"),
        (("env: GITLAB_TOKEN}", "env: GITLAB_TOKEN}, requests: {per_minute: 5}"), "gitlab.requests.per_minute"),
        (("8700'", "8700', tokens: [{file: t}]"), "server.tokens"),
        (("8700'", "8700', read_through: true"), "server.read_through"),
    ],
)
def test_these_are_taken_over_at_once(edit, key):
    """In both directions."""
    old, new = settings(), settings(edit)
    made = change(old, new)
    assert (made.applied, made.waiting, made.effective) == ((key,), (), new)
    assert change(new, old).effective == old


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        (("gitlab.example.com", "other.example.com"), "gitlab.url"),
        (("env: GITLAB_TOKEN}", "env: GITLAB_TOKEN}, ca_file: ca.pem"), "gitlab.ca_file"),
        (("env: GITLAB_TOKEN}", "env: GITLAB_TOKEN}, proxy: 'http://p:1'"), "gitlab.proxy"),
        (("env: GITLAB_TOKEN}", "env: GITLAB_TOKEN}, redirect_hosts: [s.example.com]"), "gitlab.redirect_hosts"),
        (("env: GITLAB_TOKEN}", "env: GITLAB_TOKEN}, requests: {timeout: 1m}"), "gitlab.requests.timeout"),
        (("path: mirror", "path: other"), "store.path"),
        (("path: mirror", "path: mirror, min_free: 1MiB"), "store.min_free"),
        (("path: mirror", "path: mirror, mode: '0640'"), "store.mode"),
        (with_section("state: {path: /srv/x.db}"), "state.path"),
        (("8700'", "8701'"), "server.listen"),
        (("8700'", "8700', webhook_secret: {file: w}"), "server.webhook_secret"),
    ],
)
def test_these_wait_for_the_next_start(edit, key):
    """And nothing else does because of them."""
    old = settings()
    made = change(old, settings(edit, ("name: all", "name: every")))
    assert (made.applied, made.waiting) == (("rules",), (key,))
    assert made.effective == settings(("name: all", "name: every"))
    assert [rule.name for rule in made.effective.compiled_rules] == ["every"]


def test_nothing_changed():
    """Nothing to do, and nothing to wait for."""
    made = change(settings(), settings())
    assert (made.applied, made.waiting) == ((), ())


def test_a_new_token_is_not_shown_to_the_old_address():
    """What stands beside an address is for that address."""
    new = settings(("gitlab.example.com", "other.example.com"), ("env: GITLAB_TOKEN", "file: token"))
    made = change(settings(), new)
    assert (made.applied, made.waiting) == ((), ("gitlab.url", "gitlab.token"))
    assert made.effective == settings()


def test_who_may_read_is_not_changed_apart_from_the_address():
    """Tokens that go with a move to loopback would leave the old address open to everybody."""
    old = settings(("'127.0.0.1:8700'", "'0.0.0.0:8700', tokens: [{file: t}]"))
    made = change(old, settings())
    assert (made.applied, made.waiting) == ((), ("server.listen", "server.tokens"))
    assert made.effective == old


def test_what_would_contradict_what_stays_waits_with_it():
    """A rule that deletes in GitLab, with the token for that beside another address."""
    rule = ("projects: [group/app]", "projects: [group/app], after: {delete_remote: true}")
    token = ("env: GITLAB_TOKEN}", "env: GITLAB_TOKEN}, keep_token: {file: keep}")
    made = change(settings(), settings(rule, token, ("gitlab.example.com", "other.example.com")))
    assert made.applied == ()
    assert set(made.waiting) == {"gitlab.url", "gitlab.keep_token", "rules"}
    assert made.effective == settings()
