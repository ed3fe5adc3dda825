"""Every mistake is reported, all at once, at its place, with its cure."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync import config
from artifact_sync.config.judge import judge
from artifact_sync.config.problems import SHOWN, ConfigProblems, Fault, Problem, render_path
from artifact_sync.config.settings import Settings
from artifact_sync.config.wording import known_paths
from artifact_sync.errors import ConfigError

BASE = {
    "gitlab": {"url": "https://gitlab.example.com"},
    "store": {"path": "mirror"},
    "rules": [{"name": "one", "projects": ["group/app"]}],
}


def test_ten_mistakes_give_ten_lines_that_a_person_can_act_on():
    """Ten different mistakes in one file: each has its line, its column, its key and a cure."""
    path = Path(__file__).with_name("ten_mistakes.yaml")

    with pytest.raises(ConfigError) as caught:
        config.load(path)

    lines = str(caught.value).splitlines()
    assert len(lines) == 10
    places = [re.fullmatch(r"(.+):(\d+):(\d+): ([^ ]+): ([^;]+); (.+)", line) for line in lines]
    assert all(places)
    assert {p[1] for p in places if p} == {str(path)}
    assert [(int(p[2]), int(p[3]), p[4]) for p in places if p] == [
        (4, 8, "gitlab.url"),
        (5, 10, "gitlab.token"),
        (7, 14, "gitlab.requests.timeout"),
        (10, 13, "store.min_free"),
        (12, 3, "poll.intervall"),
        (17, 13, "rules[0].when.refs"),
        (18, 18, "rules[0].when.statuses[0]"),
        (19, 14, "rules[0].when.jobs[0]"),
        (21, 13, "rules[0].publish.path"),
        (22, 11, "rules[1].name"),
    ]
    assert "glpat" not in str(caught.value)


def test_an_unknown_key_says_where_and_what_was_meant():
    """The nearest known key is named."""
    text = """gitlab: {url: "https://gitlab.example.com"}
store: {path: mirror}
rules:
  - name: one
    projects: [group/app]
    when:
      refz: [v*]
"""

    assert _message(text) == "f:7:7: rules[0].when.refz: unknown key; did you mean refs?"


def test_a_missing_key_is_placed_where_it_should_stand():
    """At the section or list item that lacks it; at the top where there is no such section."""
    assert _message("store: {path: m}\nrules:\n  - projects: [a/b]\n").splitlines() == [
        "f:1:1: gitlab: missing; write gitlab: {url: https://gitlab.example.com}",
        "f:3:5: rules[0].name: missing; write name: releases",
    ]


#: What is changed in a right configuration: the only line that must come of it.
SINGLE: dict[str, tuple[dict[str, Any], str]] = {
    "misplaced key": ({"rules.0.refs": ["v*"]}, "rules[0].refs: unknown key; it belongs to rules[].when.refs"),
    "key of another tool": (
        {"poll.cron": "* * * * *"},
        "poll.cron: unknown key; remove it; known here: interval, max_interval",
    ),
    "unknown section": ({"metrics": {}}, "metrics: unknown key; remove it; known here: version, gitlab"),
    "newer version": ({"version": 2}, "version: not one of 1; write 1"),
    "no URL": ({"gitlab": {}}, "gitlab.url: missing; write url: https://gitlab.example.com"),
    "URL with a path to the API": (
        {"gitlab.url": "https://h/api/v4"},
        "gitlab.url: the URL of the API, not of the instance; leave",
    ),
    "URL with a password": (
        {"gitlab.url": "https://u:p@h"},
        "gitlab.url: a URL with a user name or password in it; write",
    ),
    "URL with a query": ({"gitlab.url": "https://h/?a=b"}, "gitlab.url: a URL with a query or fragment; write"),
    "token in clear": (
        {"gitlab.url": "http://gitlab.example.com"},
        "gitlab.url: a token would be sent in clear over http; write https",
    ),
    "two sources": (
        {"gitlab.token": {"env": "A", "file": "b"}},
        "gitlab.token: 2 sources (file, env) where one is used; keep one",
    ),
    "no source": ({"gitlab.token": {"kind": "job"}}, "gitlab.token: no source of the secret; write one of file, env"),
    "none with a file": (
        {"gitlab.token": {"kind": "none", "file": "x"}},
        "gitlab.token: kind: none, and yet a file; remove the source",
    ),
    "a token in place": (
        {"gitlab.token": "glpat-x"},
        "gitlab.token: a secret must not stand in the configuration; save it",
    ),
    "unknown kind": (
        {"gitlab.token": {"kind": "glpat-x"}},
        "gitlab.token.kind: not one of private, bearer, job or none; write",
    ),
    "token as a key": (
        {"gitlab.token": {"env": "A", "glpat-x": None}},
        "gitlab.token.<key>: unknown key; remove it; known here",
    ),
    "token as a variable": (
        {"gitlab.token": {"env": "glpat-x"}},
        "gitlab.token.env: not the name of an environment variable; write",
    ),
    "token as a file": (
        {"gitlab.token": {"file": "glpat-x"}},
        "gitlab.token.file: a token where a path belongs; save the token",
    ),
    "keep_token of no kind": (
        {"gitlab.keep_token": {"kind": "none"}},
        "gitlab.keep_token: kind: none keeps nothing; remove keep_token",
    ),
    "a number with a leading zero": (
        {"gitlab.requests.per_minute": "010"},
        "gitlab.requests.per_minute: not a whole number; write per_minute: 600",
    ),
    "a fraction of a request": (
        {"gitlab.requests.per_minute": 1.5},
        "gitlab.requests.per_minute: not a whole number; write",
    ),
    "true for a number": (
        {"gitlab.requests.per_minute": True},
        "gitlab.requests.per_minute: not a whole number; write",
    ),
    "the whole for keep": (
        {"gitlab.requests.keep_share": 1},
        "gitlab.requests.keep_share: not between 0 and 1; write a part",
    ),
    "proxy with a password": (
        {"gitlab.proxy": "http://u:p@proxy"},
        "gitlab.proxy: a URL with a user name or password in it; write",
    ),
    "host with a scheme": (
        {"gitlab.redirect_hosts": ["https://h"]},
        "gitlab.redirect_hosts[0]: not a host name; write a host",
    ),
    "no store": ({"store": {}}, "store: no place to publish to; write path: ./mirror"),
    "two stores": ({"store.url": "s3://bucket"}, "store.url: both a path and a url; keep one of them"),
    "state in the store": (
        {"state.path": "mirror/tree/x.db"},
        "state.path: the state database lies in a folder of the store; write a path",
    ),
    "number for a mode": (
        {"store.mode": 640},
        'store.mode: not a file mode; write four octal digits in quotes, such as "0640"',
    ),
    "password in the state's URL": (
        {"state": {"url": "postgresql://u:p@h/d"}},
        "state.url: a URL with a user name or password",
    ),
    "intervals": (
        {"poll.interval": "1h", "poll.max_interval": "1m"},
        "poll.max_interval: shorter than poll.interval; write",
    ),
    "an interval of nothing": (
        {"poll.interval": "0s"},
        "poll.interval: a duration of nothing; write a duration longer than 0s",
    ),
    "a month": (
        {"poll.backfill": "1mo"},
        "poll.backfill: not a duration; write a duration such as 30d, or all, or none",
    ),
    "no for false": ({"rules.0.when.retried": "no"}, "rules[0].when.retried: not true or false; write true or false"),
    "no rules": (
        {"rules": []},
        "rules: empty; write rules: [{name: releases, projects: [group/app], when: {ref_type: [tag]}}]",
    ),
    "a rule that is a word": (
        {"rules": ["releases"]},
        "rules[0]: not a mapping of keys; write an item such as {name: releases",
    ),
    "no projects": ({"rules.0.projects": []}, "rules[0].projects: empty; write projects: [group/app"),
    "the project's URL": (
        {"rules.0.projects": ["https://h/a/b"]},
        "rules[0].projects[0]: a URL; write a path such as group/app",
    ),
    "a project of no number": ({"rules.0.projects": [0]}, "rules[0].projects[0]: not the id of a project; write"),
    "a number for a ref": ({"rules.0.when.refs": [1.1]}, "rules[0].when.refs[0]: not text; put it in quotes"),
    "a backreference": ({"rules.0.when.refs": [r"/(a)\1/"]}, "rules[0].when.refs[0]: not a usable pattern:"),
    "a group, a semicolon and a line break": (
        {"rules.0.when.jobs": ["/x; (\n/"]},
        "rules[0].when.jobs[0]: not a usable pattern: missing ): x; write a glob",
    ),
    "a bracket of a job": (
        {"rules.0.when.jobs": ["test", "build: [linux"]},
        (
            "rules[0].when.jobs[1]: not a usable pattern: a [ that is never closed; write ] behind its characters, or write"
            ' \\[ for [ itself (in double quotes: "\\\\["), or /a regular expression/'
        ),
    ),
    "a job of a matrix": (
        {"rules.0.when.jobs": ["!build: [linux, amd64]"]},
        (
            "rules[0].when.jobs[0]: not a usable pattern: [linux, amd64] is one character out of these, not this text; write"
            ' \\[linux, amd64\\] for that text (in double quotes: "\\\\[linux, amd64\\\\]"), or /a regular expression/'
        ),
    ),
    "a brace of a ref": (
        {"rules.0.when.refs": ["{main,v*"]},
        "rules[0].when.refs[0]: not a usable pattern: a { that is never closed; write } behind its alternatives, or",
    ),
    "a stage that ends in a backslash": (
        {"rules.0.when.stages": ["build\\"]},
        "rules[0].when.stages[0]: not a usable pattern: a backslash at the end, which makes no character plain; leave",
    ),
    "an exclusion of nothing": ({"rules.0.when.jobs": ["! "]}, "rules[0].when.jobs[0]: an empty pattern; write *"),
    "a bracket of a project": (
        {"rules.0.projects": ["group/[app"]},
        "rules[0].projects[0]: not a usable pattern: a [ that is never closed; write ] behind",
    ),
    "every project but none": (
        {"rules.0.projects": ["*"]},
        (
            "rules[0].projects[0]: not a usable pattern: never matches, because the path of a project has a slash, where"
            " wildcards stop; write */** for what"
        ),
    ),
    "an exclusion of a word": (
        {"rules.0.projects": ["**", "!sandbox"]},
        (
            "rules[0].projects[1]: not a usable pattern: never matches, because the path of a project has a slash, where"
            " wildcards stop; write sandbox/** for what lies below that, **/sandbox for that in any group, or **"
        ),
    ),
    "projects from the root": (
        {"rules.0.projects": ["/group/*"]},
        "rules[0].projects[0]: not a usable pattern: never matches, because the path of a project begins with no slash; leave",
    ),
    "a bracket of a file": (
        {"rules.0.fetch.files": ["dist/[app?"]},
        "rules[0].fetch.files[0]: not a usable pattern: a [ that is never closed; write ] behind",
    ),
    "files from the root": (
        {"rules.0.fetch.files": ["!/dist/*"]},
        "rules[0].fetch.files[0]: not a usable pattern: never matches, because a path inside an archive begins with no",
    ),
    "files of this folder": (
        {"rules.0.fetch.files": ["./dist/*"]},
        "rules[0].fetch.files[0]: not a usable pattern: never matches, because a path inside an archive has no part .; leave",
    ),
    "a folder of files": (
        {"rules.0.fetch.files": ["dist/*/"]},
        (
            "rules[0].fetch.files[0]: not a usable pattern: never matches, because a path inside an archive ends with no slash;"
            " write dist/*/** for"
        ),
    ),
    "two slashes": (
        {"rules.0.fetch.files": ["dist//*"]},
        "rules[0].fetch.files[0]: not a usable pattern: never matches, because a path inside an archive has no two slashes",
    ),
    "an unclosed group": ({"rules.0.when.jobs": ["!/(/"]}, "rules[0].when.jobs[0]: not a usable pattern:"),
    "no range": ({"rules.0.when.semver": "latest"}, "rules[0].when.semver: not a usable range of versions:"),
    "versions of branches": (
        {"rules.0.when.semver": ">=1", "rules.0.when.ref_type": ["branch"]},
        "rules[0].when.semver: versions are those of tags, and ref_type excludes tags; write ref_type: [tag]",
    ),
    "versions nobody asked for": (
        {"rules.0.publish.path": "{version}/{job_id}"},
        "rules[0].publish.path: {version} is known where semver selects it only; write when.semver",
    ),
    "unknown field": ({"rules.0.publish.path": "{job_id}/{user}"}, "rules[0].publish.path: not a usable template:"),
    "no id": ({"rules.0.publish.path": "{project}/{ref}"}, "rules[0].publish.path: not a usable template:"),
    "nothing to fetch": (
        {"rules.0.fetch.archive": False},
        "rules[0].fetch: nothing is fetched; write archive: true, files or",
    ),
    "an archive to unpack that is not fetched": (
        {"rules.0.fetch": {"archive": False, "files": ["a"]}, "rules.0.publish.extract": "only"},
        "rules[0].publish.extract: an archive that is not fetched cannot be unpacked; write fetch.archive: true, or",
    ),
    "only excluded files": (
        {"rules.0.fetch": {"archive": False, "files": ["dist/app", "!dist/*"]}},
        "rules[0].fetch: nothing is fetched; write archive: true, files or",
    ),
    "a file above": (
        {"rules.0.fetch.files": ["../x"]},
        "rules[0].fetch.files[0]: not a path inside an archive; write the path",
    ),
    "an optional file above": (
        {"rules.0.fetch.files": ["../x?"]},
        "rules[0].fetch.files[0]: not a path inside an archive; write the path",
    ),
    "an unusable pattern of files": (
        {"rules.0.fetch.files": ["sbom.json", "dist/[z-a].whl?"]},
        "rules[0].fetch.files[1]: not a usable pattern: dist/[z-a].whl: the set [z-a] runs backwards",
    ),
    "an unusable exclusion of files": (
        {"rules.0.fetch.files": ["**", "!/(/"]},
        "rules[0].fetch.files[1]: not a usable pattern: missing ): (; write",
    ),
    "a question alone": (
        {"rules.0.fetch.files": ["?"]},
        "rules[0].fetch.files[0]: an empty pattern; write ** for everything",
    ),
    "deleting without a token": (
        {"rules.0.after.delete_remote": True},
        "rules[0].after.delete_remote: deleting needs a token that may write; write gitlab.keep_token",
    ),
    "deleting what is not fetched": (
        {
            "rules.0.after.delete_remote": True,
            "gitlab.keep_token": {"env": "B"},
            "rules.0.fetch": {"archive": False, "trace": True},
        },
        "rules[0].after.delete_remote: GitLab would delete the whole archive, which is not fetched; write fetch.archive: true",
    ),
    "deleting what is only unpacked": (
        {"rules.0.after.delete_remote": True, "gitlab.keep_token": {"env": "B"}, "rules.0.publish.extract": "only"},
        "rules[0].after.delete_remote: the files of an archive are no copy of it: its links",
    ),
    "deleting what is always kept": (
        {"rules.0.after.delete_remote": True, "gitlab.keep_token": {"env": "B"}, "rules.0.keep.policy": "always"},
        "rules[0].after.delete_remote: the same rule always keeps in GitLab what it would delete there; write keep.policy",
    ),
    "no command": (
        {"rules.0.after.command": []},
        "rules[0].after.command: empty; write",
    ),
    "a command as one text": (
        {"rules.0.after.command": "deploy {path}"},
        "rules[0].after.command: not a list",
    ),
    "a command with an unknown field": (
        {"rules.0.after.command": ["deploy", "{paht}"]},
        "rules[0].after.command: not a usable command: no field {paht}; did you mean {path}? fields are",
    ),
    "a command that a job could choose": (
        {"rules.0.after.command": ["{path}/run"]},
        "rules[0].after.command: not a usable command: a field in the program's name; write the program itself",
    ),
    "a webhook that is no URL": (
        {"rules.0.after.webhook": "hooks.example.com"},
        "rules[0].after.webhook: not a URL with https:// or http:// and a host; write a URL such as",
    ),
    "a webhook with a password": (
        {"rules.0.after.webhook": "https://u:p@h/x"},
        "rules[0].after.webhook: a URL with a user name or password in it; write",
    ),
    "a secret of hooks in place": (
        {"hooks.secret": "whsec_hunter2"},
        "hooks.secret: a secret must not stand in the configuration; save it in a file",
    ),
    "a secret of hooks with two sources": (
        {"hooks.secret": {"env": "A", "file": "b"}},
        "hooks.secret: 2 sources (file, env) where one is used; keep one of them",
    ),
    "a hook that may take no time": (
        {"hooks.timeout": "0s"},
        "hooks.timeout: a duration of nothing; write",
    ),
    "a wrong limit in a timetable": (
        {"downloads.bandwidth": [{"from": "08:00", "to": "18:00", "limit": "10"}]},
        "downloads.bandwidth[0].limit: not a rate; write a rate with its unit",
    ),
    "a timetable without an end": (
        {"downloads.bandwidth": [{"from": "08:00", "limit": "10MiB/s"}]},
        "downloads.bandwidth[0].to: missing; write to:",
    ),
    "a window of no length": (
        {"downloads.bandwidth": [{"from": "08:00", "to": "08:00", "limit": "1MiB/s"}]},
        "downloads.bandwidth[0].to: the same time as from; write another time, or a rate instead of the timetable",
    ),
    "a limit that lets nothing through": (
        {"downloads.bandwidth": "0MiB/s"},
        "downloads.bandwidth: a rate of nothing; write a rate above 0KiB/s; null for no limit",
    ),
    "a window that lets nothing through": (
        {"downloads.bandwidth": [{"from": "08:00", "to": "18:00", "limit": "0B/s"}]},
        "downloads.bandwidth[0].limit: a rate of nothing; write a rate above 0KiB/s",
    ),
    "listening to all": (
        {"server.listen": "0.0.0.0:80"},
        "server.listen: listens beyond this machine, and anybody may read; write",
    ),
    "listening on no port": ({"server.listen": "localhost"}, "server.listen: not an address with a port; write"),
    "a log of another kind": (
        {"log.level": "trace"},
        "log.level: not one of debug, info, warning or error; write debug",
    ),
}


@pytest.mark.parametrize("case", SINGLE)
def test_one_mistake_gives_one_line(case):
    """Each kind of mistake is named once, at its key, with its cure, and drags no other complaint along."""
    changes, line = SINGLE[case]

    faults = judge(_changed(changes), folder=Path("/etc")).faults

    rendered = [str(_as_problem(fault)) for fault in faults]
    assert len(rendered) == 1, rendered
    assert rendered[0].startswith(f"f: {line}")


@pytest.mark.parametrize(
    ("key", "patterns"),
    [
        (
            "rules.0.projects",
            ["**app", "**", "group/**", "**/app", "{group,other}/app", "/app$/", "!group/[a-c]*", 42, "!42"],
        ),
        (
            "rules.0.when.jobs",
            ["build: \\[linux, amd64\\]", "/^build: \\[.*\\]$/", "build: [[]*", "a]", "a}", "[!a-z]", "!x"],
        ),
        ("rules.0.when.refs", ["**app", "release/*", "v[0-9]*", "{main,v*}", "x\\{y", "/"]),
        ("rules.0.fetch.files", ["**", "**app", "dist/[0-9]*.whl?", "!**/*.tmp", "a\\[b", "{a,b}/c", "/dist.*/"]),
    ],
)
def test_what_can_match_is_left_alone(key, patterns):
    """Nothing is complained of that means something, brackets and regular expressions included."""
    assert judge(_changed({key: patterns}), folder=Path("/etc")).faults == ()


#: What asks for something that is not built, and the cure.
UNBUILT: dict[str, tuple[dict[str, Any], str]] = {
    "store.url": ({"store": {"url": "s3://bucket/prefix"}}, "remove the key or write null"),
    "state.url": ({"state.url": "postgresql://h/d"}, "remove the key or write null"),
}


@pytest.mark.parametrize("path", UNBUILT)
def test_what_is_not_built_is_refused_and_never_ignored(path):
    """A key without effect yet is refused with a sentence that says so."""
    changes, cure = UNBUILT[path]

    problems = [_as_problem(fault) for fault in judge(_changed(changes), folder=Path("/etc")).faults]

    assert [(p.path, p.cure) for p in problems] == [(path, cure)]
    assert problems[0].what.endswith(" are not built yet")


def test_what_is_not_built_may_be_written_as_asking_for_nothing():
    """Inert values are accepted, so a configuration can say that it wants none of it."""
    changes: dict[str, Any] = {
        "store.url": None,
        "poll.interval": "60s",
        "state.url": None,
    }

    assert judge(_changed(changes), folder=Path("/etc")).faults == ()


def test_single_mistakes_and_contradictions_are_reported_together():
    """A wrong value in one section hides neither a contradiction nor an unbuilt key in another."""
    changes = {
        "log.level": "loud",
        "gitlab.token": {"kind": "none", "env": "A"},
        "state.url": "postgresql://h/d",
        "rules.0.projects": ["a", None],
        "rules.0.when.semver": ">=1",
        "rules.0.when.ref_type": ["branch"],
    }

    faults = judge(_changed(changes), folder=Path("/etc")).faults

    assert {_as_problem(fault).path for fault in faults} == {
        "gitlab.token",
        "log.level",
        "rules[0].projects[1]",
        "rules[0].when.semver",
        "state.url",
    }


def test_a_contradiction_with_a_wrong_value_is_not_reported():
    """What follows from a mistake that is told already would only confuse."""
    changes = {"poll.interval": "1 hour", "poll.max_interval": "1s", "server.listen": "0.0.0.0:1", "server.tokens": "x"}

    faults = judge(_changed(changes), folder=Path("/etc")).faults

    assert {_as_problem(fault).path for fault in faults} == {"poll.interval", "server.tokens"}
    assert not any("shorter" in fault.what or "anybody" in fault.what for fault in faults)


@pytest.mark.parametrize(
    "text",
    [
        "gitlab: {url: 'https://u:hunter2@h', token: hunter2}",
        "gitlab: {token: [hunter2]}",
        "gitlab: {token: {file: {hunter2: 1}}}",
        "gitlab: {token: {env: hunter2 x}}",
        "gitlab: {token: {credential: hunter2/x}}",
        "gitlab: {token: {kind: hunter2}}",
        "gitlab: {token: {hunter2}}",
        "gitlab: {keep_token: hunter2}",
        "gitlab: {proxy: 'http://u:hunter2@h'}",
        "server: {tokens: [hunter2]}",
        "server: {tokens: hunter2}",
        "server: {webhook_secret: hunter2}",
        "state: {url: 'postgresql://u:hunter2@h/d'}",
        "store: {url: 's3://u:hunter2@h/d'}",
        "rules: [{after: {webhook: 'https://u:hunter2@h'}}]",
        "gitlab: {token: !x hunter2}",
        "gitlab: {token: 'hunter2\n",
    ],
)
def test_no_secret_is_repeated(text):
    """P5: a token in the wrong place is refused without showing it, in the error and in its causes."""
    with pytest.raises(ConfigError) as caught:
        config.loads(text, "f")

    error = caught.value
    assert "hunter2" not in str(error) + error.hint + repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


@pytest.mark.parametrize("text", ["", "null", "[]", "a", "42", "{}"])
def test_a_configuration_that_is_none_says_what_to_write(text):
    """An empty file, a list or a word: the cure names what a configuration begins with."""
    assert "gitlab" in _message(text)


def test_problems_come_in_the_order_of_the_file_and_in_bounded_number():
    """A thousand mistakes do not flood the terminal; the first come first."""
    text = "".join(f"k{n}: 1\n" for n in range(1000))

    with pytest.raises(ConfigProblems) as caught:
        config.loads(text, "f")

    lines = str(caught.value).splitlines()
    assert len(lines) == SHOWN + 1
    assert [p.line for p in caught.value.problems] == sorted(p.line or 0 for p in caught.value.problems)
    assert "more problems" in lines[-1]


def test_yaml_problems_and_others_are_reported_together():
    """A duplicate key does not hide a wrong value, and an alias is not also a wrong value."""
    text = "gitlab: {url: x}\nstore: {path: a, path: b}\nrules: *r\nlog: {level: loud}\n"

    assert [line.split(": ")[1] for line in _message(text).splitlines()] == [
        "gitlab.url",
        "store.path",
        "rules",
        "log.level",
    ]


def test_a_file_that_cannot_be_read_is_a_problem_of_the_configuration(tmp_path):
    """Missing, a folder, not UTF-8, too large: each is said in one line."""
    (tmp_path / "latin").write_bytes(b"a: 1\nb: \xe9\n")
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    (tmp_path / "cut").write_bytes(b"#" * (1 << 20) + "\xe9".encode())
    said = {}
    for name in ("missing", ".", "latin", "large", "cut"):
        with pytest.raises(ConfigError) as caught:
            config.load(tmp_path / name)
        said[name] = str(caught.value).removeprefix(str(tmp_path)).removeprefix(f"/{name}")

    assert said["missing"].startswith(": cannot be read: No such file or directory; name another file")
    assert said["."].startswith(": cannot be read: Is a directory;")
    assert said["latin"] == ":2:4: not UTF-8 from here on; save it as UTF-8"
    assert said["large"].startswith(":1:1: the file is larger than 1 MiB;")
    assert said["cut"].startswith(":1:1: the file is larger than 1 MiB;")


@given(st.text())
def test_any_text_is_settings_or_config_error(text):
    """Nothing but ConfigError comes out of loading, whatever goes in."""
    with pytest.raises(ConfigError):
        config.loads(text, "f")


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["1m", "1GiB", "a/b", "/(/"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("name"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([".".join(path) for path in known_paths(Settings)]), _VALUES, max_size=5))
def test_any_value_at_any_key_is_settings_or_faults(changes):
    """Every key withstands every kind of value: the answer is settings or faults, never another error."""
    data = _changed({path.replace("rules.", "rules.0.", 1): value for path, value in changes.items()})

    verdict = judge(data, folder=Path("/etc"))

    assert (verdict.settings is None) == bool(verdict.faults)


def _message(text: str) -> str:
    with pytest.raises(ConfigProblems) as caught:
        config.loads(text, "f")
    return str(caught.value)


def _as_problem(fault: Fault) -> Problem:
    return Problem(file="f", path=render_path(fault.path), what=fault.what, cure=fault.cure)


def _changed(changes: dict[str, Any]) -> Any:
    """The right configuration with values put at dotted paths, as far as these lead through mappings."""
    data = copy.deepcopy(BASE)
    for path, value in changes.items():
        *above, last = path.split(".")
        place: Any = data
        for part in above:
            if isinstance(place, list):
                place = place[int(part)] if place and part.isdigit() else None
            elif isinstance(place, dict):
                place = place.setdefault(part, {})
        if isinstance(place, dict):
            place[last] = value
    return data
