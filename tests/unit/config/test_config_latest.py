"""Links to the newest publication: what is refused when the configuration is read, and what is not."""

from pathlib import Path
from typing import Any

import pytest

from artifact_sync import config
from artifact_sync.config.judge import judge
from artifact_sync.config.problems import ConfigProblems
from artifact_sync.core.newest import LatestBy

PATH = "{project}/{ref}/{job}/{job_id}"


def faults(*publish: dict[str, Any], **when: Any) -> list[str]:
    """What is wrong with rules that publish so."""
    rules = [
        {"name": name, "projects": ["group/app"], "publish": each, "when": when}
        for name, each in zip("abc", publish, strict=False)
    ]
    data = {"gitlab": {"url": "https://gitlab.example.com"}, "store": {"path": "mirror"}, "rules": rules}
    found = judge(data, folder=Path("/etc")).faults
    return [f"{fault.path[1]}.{fault.path[-1]}: {fault.what}" for fault in found]


@pytest.mark.parametrize(
    "latest",
    [
        "{project}/{ref}/{job}/latest",
        "latest",
        "{project}/{pipeline_id}/{job}",
        "{project}/by-sha/{sha}",
        "{date}/{job}",
    ],
)
def test_links_that_several_jobs_can_meet_at_are_taken(latest):
    """Also by pipeline, commit and day: scripts know these and do not know job ids."""
    assert faults({"path": PATH, "latest": latest}) == []


@pytest.mark.parametrize(
    ("latest", "said"),
    [
        ("{project}/{job_id}", "no two jobs would ever meet there"),
        ("/latest", "an empty path component"),
        ("../latest", "begins with '.'"),
        ("{project}/../x", "begins with '.'"),
        ("{project}/{nothing}", "no field {nothing}"),
    ],
)
def test_what_is_no_link_is_refused(latest, said):
    """With the words of the template's own reader."""
    (fault,) = faults({"path": PATH, "latest": latest})
    assert fault.startswith("0.latest: not a usable template:")
    assert said in fault


@pytest.mark.parametrize(
    ("publish", "fault"),
    [
        pytest.param(
            [{"path": PATH, "latest": "{project}/{ref}"}],
            "0.latest: publications go below it by publish.path of rule a",
            id="its own path leads through it",
        ),
        pytest.param(
            [{"path": PATH, "latest": "{project}/latest"}, {"path": "{project}/latest/{job_id}"}],
            "0.latest: publications go below it by publish.path of rule b",
            id="another rule's path leads through it",
        ),
        pytest.param(
            [{"path": PATH, "latest": "{rule}"}, {"path": "a/{job_id}"}],
            "0.latest: publications go below it by publish.path of rule b",
            id="by the rule's name",
        ),
        pytest.param(
            [{"path": PATH, "latest": "x"}, {"path": PATH, "latest": "x/y"}],
            "0.latest: the link of publish.latest of rule b goes below it",
            id="a link leads through it",
        ),
    ],
)
def test_a_link_in_the_way_is_refused(publish, fault):
    """A link cannot be a directory as well."""
    assert faults(*publish) == [fault]


def test_two_orders_for_one_link_are_refused():
    """They would move it to and fro."""
    latest = {"path": PATH, "latest": "{project}/latest"}
    assert faults(latest, {**latest, "latest_by": "version"}, semver=">=0") == [
        "1.latest: the link of publish.latest of rule a as well, which goes by finished"
    ]
    assert faults(latest, latest) == []


@pytest.mark.parametrize(
    "publish",
    [
        pytest.param([{"path": "{rule}/{job_id}", "latest": "{rule}/latest"}] * 2, id="folders of their own"),
        pytest.param([{"path": "{project}/{job_id}", "latest": "{project}/latest"}], id="an id is no such word"),
        pytest.param(
            [{"path": PATH, "latest": "{project}/latest"}, {"path": "{project}/{job}/{job_id}"}], id="by chance"
        ),
    ],
)
def test_what_collides_by_a_name_alone_is_taken(publish):
    """It depends on what refs and jobs are called, and is seen when they come."""
    assert faults(*publish) == []


def test_a_collision_names_its_line_and_column():
    """As every other mistake does."""
    text = (
        "gitlab: {url: https://gitlab.example.com}\nstore: {path: m}\nrules:\n"
        "  - name: a\n    projects: [a/b]\n    publish:\n      latest: '{project}/{ref}'\n"
    )
    with pytest.raises(ConfigProblems) as caught:
        config.loads(text, "f")
    assert str(caught.value).startswith("f:7:15: rules[0].publish.latest: publications go below it")
    assert 'write a path of its own, such as "{project}/{ref}/{job}/latest"' in str(caught.value)


def test_the_core_gets_the_link_and_its_order():
    """As written; without one there is none."""
    text = (
        "gitlab: {url: https://gitlab.example.com}\nstore: {path: m}\nrules:\n"
        "  - {name: a, projects: [a/b], when: {semver: '>=0'}, publish: {latest: '{project}/new', latest_by: version}}\n"
        "  - {name: b, projects: [a/b]}\n"
    )
    one, two = config.loads(text, "f").compiled_rules
    assert one.publish.latest is not None
    assert (one.publish.latest.text, one.publish.latest_by) == ("{project}/new", LatestBy.VERSION)
    assert (two.publish.latest, two.publish.latest_by) == (None, LatestBy.FINISHED)
