"""What `after` and `hooks` of a configuration mean."""

import pytest

from artifact_sync import app, config
from artifact_sync.core.after import HookKind
from artifact_sync.core.hooks import wanted_hooks

TEXT = """
gitlab: {url: "https://gitlab.example.com", keep_token: {env: KEEP}}
store: {path: ./mirror}
rules:
  - name: releases
    projects: [group/app]
    after:
      command: [/usr/local/bin/deploy, "{path}"]
      webhook: "https://example.com/hook?key=hunter2#part"
      delete_remote: true
hooks: {timeout: 90s, retries: 2, secret: {env: HOOKS}}
"""


def test_everything_that_may_run_is_compiled():
    """As written, and in its order."""
    settings = config.loads(TEXT)

    (rule,) = settings.compiled_rules
    assert wanted_hooks([rule]) == {"releases": (HookKind.COMMAND, HookKind.WEBHOOK, HookKind.DELETE_REMOTE)}
    assert rule.after.command is not None
    assert rule.after.command.arguments == ("/usr/local/bin/deploy", "{path}")
    assert rule.after.webhook == "https://example.com/hook?key=hunter2"
    policy = app._policy(settings)
    assert (policy.hook_retries, policy.hook_timeout) == (2, 90.0)


def test_what_an_address_asks_for_is_not_shown():
    """P5: it may be all that protects the receiver."""
    shown = repr(config.loads(TEXT).effective())

    assert "https://example.com/hook?..." in shown
    assert "hunter2" not in shown


def test_history_is_not_walked_again_for_what_happens_afterwards():
    """Which jobs are wanted does not depend on it."""
    without = TEXT[: TEXT.index("    after:")]

    assert app._policy(config.loads(TEXT)).rules == app._policy(config.loads(without)).rules


@pytest.mark.parametrize("name", ["GITLAB_TOKEN", "KEEP", "HOOKS"])
def test_what_a_hook_says_is_masked_by_the_secrets_as_they_are(monkeypatch, name):
    """Whatever they look like, also when they were changed since."""
    for value in ("plain-words-1", "plain-words-2"):
        monkeypatch.setenv(name, value)
        assert app.masking(config.loads(TEXT))(f"said {value}?") == "said [masked]?"
