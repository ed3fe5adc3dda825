"""What a right configuration means."""

import copy
import re
from datetime import time, timedelta
from pathlib import Path

import pydantic
import pytest
import yaml

from artifact_sync import config
from artifact_sync.core.retention import Retain
from artifact_sync.core.rules import KeepPolicy
from artifact_sync.core.timetable import Entry, Timetable
from artifact_sync.core.unpacking import Unpack
from artifact_sync.errors import ConfigError

MINIMAL = """
gitlab: {url: "https://gitlab.example.com/"}
store: {path: mirror}
rules: [{name: one, projects: [group/app]}]
"""


def test_the_least_configuration_has_every_default():
    """A URL, a store and a rule are enough."""
    settings = config.loads(MINIMAL, folder=Path("/srv/x"))

    assert settings.gitlab.url == "https://gitlab.example.com"
    assert (settings.gitlab.token.env, settings.gitlab.token.kind) == ("GITLAB_TOKEN", "private")
    assert settings.store_path == settings.store.path == Path("/srv/x/mirror")
    assert settings.state_path == Path("/srv/x/artifact-sync.db")
    assert settings.poll.interval == timedelta(minutes=1)
    assert settings.poll.horizon == timedelta(days=30)
    assert settings.downloads.min_rate == 1024
    assert settings.store.min_free == 5 << 30


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("null", Timetable()),
        ("50MiB/s", Timetable(otherwise=50 << 20)),
        ("[]", Timetable()),
        (
            """[{from: "08:00", to: "18:00", limit: 10MiB/s}, {from: "22:30", to: "00:00", limit: 1KiB/s}]""",
            Timetable(
                entries=(
                    Entry(start=time(8), end=time(18), limit=10 << 20),
                    Entry(start=time(22, 30), end=time(0), limit=1 << 10),
                )
            ),
        ),
    ],
    ids=["no limit", "one rate", "an empty timetable", "a timetable"],
)
def test_a_bandwidth_is_one_rate_or_a_timetable_and_shown_as_it_was_written(written, meant):
    """What `config show` prints means the same again."""
    settings = config.loads(MINIMAL.replace("rules:", f"downloads: {{bandwidth: {written}}}\nrules:"))

    assert settings.downloads.timetable == meant
    shown = yaml.safe_dump(settings.effective()["downloads"]["bandwidth"], default_flow_style=True).strip("\n. ")
    again = config.loads(MINIMAL.replace("rules:", f"downloads: {{bandwidth: {shown}}}\nrules:"))
    assert again.downloads.timetable == meant


def test_what_is_mirrored_is_served_on_loopback_unless_that_is_written_off():
    """An absent key means the usual address; null means no HTTP."""
    settings = config.loads(MINIMAL)
    without = config.loads(MINIMAL.replace("rules:", "server: {listen: null}\nrules:"))

    assert settings.effective()["server"]["listen"] == "127.0.0.1:8700"
    assert "listen" not in settings.server.model_fields_set
    assert without.server.listen is None


def test_a_token_of_readers_opens_all_projects_or_those_that_it_names():
    """As paths, globs and ids, which are read as those of a rule are."""
    tokens = "{tokens: [{env: A}, {file: b, projects: [group/app, 'group/libs/**', 42]}]}"
    settings = config.loads(MINIMAL.replace("rules:", f"server: {tokens}\nrules:"))

    assert [reader.projects for reader in settings.server.tokens] == [None, ("group/app", "group/libs/**", 42)]


def test_retention_is_read_and_shown_as_written():
    """Every key of it, with its defaults where it is absent."""
    retain = "{last: 5, daily: 7, weekly: 4, monthly: 12, max_age: 90d, quota: 500GiB}"
    text = MINIMAL.replace("projects: [group/app]", f"projects: [group/app], retain: {retain}")
    settings = config.loads(text.replace("rules:", "retention: {max_delete: 25%, trash: 0s}\nrules:"))

    (rule,) = settings.compiled_rules
    assert rule.retain == Retain(last=5, daily=7, weekly=4, monthly=12, max_age=timedelta(days=90), quota=500 << 30)
    assert (settings.retention.max_delete, settings.retention.trash) == (0.25, timedelta())
    shown = settings.effective()
    assert shown["retention"] == {"max_delete": "25%", "trash": "0s"}
    assert shown["rules"][0]["retain"] == yaml.safe_load(retain)
    plain = config.loads(MINIMAL)
    assert plain.compiled_rules[0].retain == Retain()
    assert plain.effective()["retention"] == {"max_delete": "10%", "trash": "7d"}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("retention: {max_delete: 101%}", "retention.max_delete: a share above 100%"),
        ("retention: {max_delete: 0.1}", "retention.max_delete: "),
        ("retention: {trash: 7}", "retention.trash: a bare number is no duration"),
        ("retention: {keep: 7d}", "retention.keep: "),
    ],
)
def test_retention_that_cannot_be_is_refused(written, told):
    """With the key and what is wrong with it."""
    with pytest.raises(ConfigError, match=re.escape(told)):
        config.loads(MINIMAL.replace("rules:", f"{written}\nrules:"))


@pytest.mark.parametrize("written", ["last: 0", "daily: -1", "weekly: 1.5", "max_age: 0s", "quota: 5", "hourly: 3"])
def test_a_retain_that_cannot_be_is_refused(written):
    """Nothing is kept by nothing: `last: 0` is no way to say for ever, nor never."""
    text = MINIMAL.replace("projects: [group/app]", f"projects: [group/app], retain: {{{written}}}")
    with pytest.raises(ConfigError, match=re.escape(f"rules[0].retain.{written.partition(':')[0]}")):
        config.loads(text)


def test_the_effective_configuration_is_in_the_notation_of_the_file():
    """Units as people write them, paths resolved, sources of secrets and never a secret."""
    shown = config.loads(MINIMAL, folder=Path("/srv/x")).effective()

    assert shown["gitlab"]["token"] == {"file": None, "env": "GITLAB_TOKEN", "credential": None, "kind": "private"}
    assert shown["gitlab"]["requests"] == {"per_minute": 600, "keep_share": 0.1, "concurrency": 16, "timeout": "30s"}
    assert shown["store"]["path"] == "/srv/x/mirror"
    assert shown["store"]["min_free"] == "5GiB"
    assert shown["state"]["path"] == "/srv/x/artifact-sync.db"
    assert shown["rules"][0]["keep"] == {"policy": "before_expiry", "lead": "2d"}


def test_the_effective_configuration_does_not_read_the_secret(monkeypatch):
    """P5: what stands in the variable or file is not looked at to show the configuration."""
    monkeypatch.setenv("GITLAB_TOKEN", "hunter2")

    assert "hunter2" not in repr(config.loads(MINIMAL)) + repr(config.loads(MINIMAL).effective())


def test_settings_are_frozen():
    """A loaded configuration does not change under those who read it."""
    settings = config.loads(MINIMAL)

    with pytest.raises(pydantic.ValidationError):
        setattr(settings.poll, "interval", timedelta())  # noqa: B010 - what must not work
    assert settings.poll.interval == timedelta(minutes=1)


def test_paths_begin_at_the_folder_of_the_file(tmp_path, monkeypatch):
    """A configuration means the same wherever the program is started; ~ is the user's home."""
    monkeypatch.setenv("HOME", "/home/somebody")
    file = tmp_path / "etc" / "sync.yaml"
    file.parent.mkdir()
    file.write_text(
        """
gitlab: {url: "https://h", token: {file: secrets/token}, ca_file: ~/ca.pem}
store: {path: ../mirror}
state: {path: /var/lib/sync.db}
rules: [{name: one, projects: [1]}]
"""
    )

    settings = config.load(file)

    assert settings.gitlab.token.file == tmp_path / "etc/secrets/token"
    assert settings.gitlab.ca_file == Path("/home/somebody/ca.pem")
    assert settings.store_path == tmp_path / "mirror"
    assert settings.state_path == Path("/var/lib/sync.db")


def test_an_empty_section_is_the_section_with_its_defaults():
    """`poll:` whose keys are all commented out is no mistake."""
    assert config.loads(MINIMAL + "poll:\nlog:\n") == config.loads(MINIMAL)


@pytest.mark.parametrize(("text", "horizon"), [("all", None), ("none", timedelta()), ("2w", timedelta(weeks=2))])
def test_backfill(text, horizon):
    """How far back the first pass goes: to the beginning, not at all, or for a while."""
    settings = config.loads(f"{MINIMAL}poll: {{backfill: {text}}}\n")

    assert settings.poll.horizon == horizon
    assert config.loads(f"{MINIMAL}poll: {{backfill: {settings.effective()['poll']['backfill']}}}\n") == settings


@pytest.mark.parametrize(
    "url", ["http://localhost:8080", "http://127.0.0.1/gitlab", "http://[::1]:80", "https://h/gitlab"]
)
def test_a_token_may_go_to_this_machine_in_clear(url):
    """http is accepted where nobody can listen."""
    assert config.loads(MINIMAL.replace("https://gitlab.example.com/", url)).gitlab.url == url


def test_http_is_accepted_without_a_token():
    """A public instance is read without a credential, so nothing leaks."""
    text = MINIMAL.replace('"https://gitlab.example.com/"', '"http://h", token: {kind: none}')

    assert config.loads(text).gitlab.token.kind == "none"


def test_a_compiled_rule_says_what_the_file_says():
    """Every key of a rule reaches the core, in the order of the file."""
    text = """
gitlab: {url: "https://h"}
store: {path: mirror}
rules:
  - name: one
    projects: [group/app, 42]
    when: {max_age: 90d, statuses: [success, failed], retried: true, child_pipelines: false}
    fetch: {archive: false, files: [a.txt], trace: true, max_size: 1GiB}
    keep: {policy: always, lead: 3d}
    priority: 5
  - {name: two, projects: ["**"]}
"""

    one, two = config.loads(text).compiled_rules

    assert (one.name, two.name) == ("one", "two")
    assert (one.priority, two.priority) == (5, 0)
    assert (one.keep.policy, one.keep.lead) == (KeepPolicy.ALWAYS, timedelta(days=3))
    assert (one.fetch.archive, tuple(one.fetch.files), one.fetch.trace, one.fetch.max_size) == (
        False,
        ("a.txt",),
        True,
        1 << 30,
    )
    assert (one.when.max_age, one.when.retried, one.when.child_pipelines) == (timedelta(days=90), True, False)
    assert set(one.when.statuses) == {"success", "failed"}
    assert set(one.projects.ids) == {42}
    assert set(two.when.statuses) == {"success"}
    assert two.keep.policy is KeepPolicy.BEFORE_EXPIRY


def test_no_statuses_ask_for_nothing_but_an_end():
    """An empty list asks nothing: failed and canceled jobs are taken as well."""
    (rule,) = config.loads(MINIMAL.replace("[group/app]", "[group/app], when: {statuses: []}")).compiled_rules

    assert {"success", "failed", "canceled"} <= set(rule.when.statuses)
    assert "running" not in rule.when.statuses


def test_rules_are_compiled_once():
    """Asking again gives the same values, and a copy of the settings its own."""
    settings = config.loads(MINIMAL)

    assert settings.compiled_rules is settings.compiled_rules
    assert copy.deepcopy(settings) == settings


def test_a_long_interval_needs_no_longer_one_beside_it():
    """The announced default of the longest interval is no contradiction to an interval that is longer."""
    settings = config.loads(MINIMAL.replace("rules:", "poll: {interval: 2h}\nrules:"))

    assert settings.poll.interval == timedelta(hours=2)


@pytest.mark.parametrize(
    ("written", "unpack"), [("false", Unpack.NO), ("true", Unpack.ALSO), ("only", Unpack.ONLY), (None, Unpack.NO)]
)
def test_extract_says_how_an_archive_is_published(written, unpack):
    """As a file where nothing is written."""
    more = "" if written is None else f", publish: {{extract: {written}}}"
    (rule,) = config.loads(MINIMAL.replace("[group/app]", f"[group/app]{more}")).compiled_rules
    assert rule.publish.unpack is unpack
