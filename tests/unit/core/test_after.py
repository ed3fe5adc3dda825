"""What rules want after a publication: the words of commands, and what hooks are told."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_sync.core.after import COMMAND_FIELDS, After, CommandError, CommandLine, HookKind
from artifact_sync.core.hooks import environment, hook_key, values_of, wanted_hooks
from artifact_sync.core.paths import FIELDS
from artifact_sync.core.rules import ProjectSelectors, Rule
from tests.storage import transfer

VALUES = {name: f"<{name}>" for name in COMMAND_FIELDS}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{path}", "<path>"),
        ("--ref={ref}/{job}", "--ref=<ref>/<job>"),
        ("plain", "plain"),
        ("", ""),
        ("{{path}}", "{path}"),
        ("{{{path}}}", "{<path>}"),
        ("${{HOME}}", "${HOME}"),
    ],
)
def test_fields_stand_for_their_values(written, meant):
    """Braces of their own are doubled."""
    assert CommandLine.parse(("/bin/x", written)).render(VALUES) == ("/bin/x", meant)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no program"),
        (("",), "no program"),
        (("{path}/run",), "a field in the program's name"),
        (("./deploy",), "relative path"),
        (("bin/deploy",), "relative path"),
        (("/bin/x", "{paht}"), r"no field {paht}; did you mean {path}\?"),
        (("/bin/x", "{}"), "no field {}"),
        (("/bin/x", "{path"), "a brace without its partner; write a field as {path}, and {{ for {"),
        (("/bin/x", "path}"), "}} for }"),
        (("/bin/x", "a\0b"), "NUL"),
    ],
)
def test_what_is_no_command(arguments, said):
    """Each with what to write."""
    with pytest.raises(CommandError, match=said) as caught:
        CommandLine.parse(arguments)
    assert "; " in str(caught.value)


@given(st.dictionaries(st.sampled_from(COMMAND_FIELDS), st.text()))
def test_a_value_is_never_more_than_one_argument_and_never_read_again(values):
    """Whatever stands in it: braces, quotes, spaces."""
    command = CommandLine.parse(("/bin/x", *(f"{{{name}}}" for name in COMMAND_FIELDS)))
    every = dict.fromkeys(COMMAND_FIELDS, "") | values
    assert command.render(every) == ("/bin/x", *(every[name] for name in COMMAND_FIELDS))


def test_values_are_as_gitlab_has_them():
    """Not as they are encoded in paths."""
    job = transfer().job
    odd = msgspec.structs.replace(transfer(), job=msgspec.structs.replace(job, name="build: [a b]", ref="feature/x"))
    values = values_of(odd, "r", path="/m/x", manifest="/m/x/.artifact-sync.json")
    assert values.keys() == set(COMMAND_FIELDS)
    assert (values["job"], values["ref"], values["rule"]) == ("build: [a b]", "feature/x", "r")
    told = environment(values, key="msg_1", attempt=2, job_url="https://h/7")
    assert told.keys() == {
        *(f"ARTIFACT_SYNC_{name.upper()}" for name in (*FIELDS, "path", "manifest")),
        "ARTIFACT_SYNC_JOB_URL",
        "ARTIFACT_SYNC_HOOK_ID",
        "ARTIFACT_SYNC_ATTEMPT",
    }
    assert told["ARTIFACT_SYNC_JOB"] == "build: [a b]"
    assert told["ARTIFACT_SYNC_ATTEMPT"] == "2"


def test_the_id_of_a_hook_tells_publications_apart_and_nothing_else():
    """Another job, destination, rule, kind or manifest is another id; the same is the same."""
    base = hook_key(transfer(), "r", HookKind.WEBHOOK, "a")
    assert base == hook_key(transfer(), "r", HookKind.WEBHOOK, "a")
    others = {
        hook_key(transfer(8, dest=transfer().dest), "r", HookKind.WEBHOOK, "a"),
        hook_key(transfer(dest="x"), "r", HookKind.WEBHOOK, "a"),
        hook_key(transfer(project_id=2), "r", HookKind.WEBHOOK, "a"),
        hook_key(transfer(), "s", HookKind.WEBHOOK, "a"),
        hook_key(transfer(), "r", HookKind.COMMAND, "a"),
        hook_key(transfer(), "r", HookKind.WEBHOOK, "b"),
    }
    assert len(others | {base}) == 7
    # As Standard Webhooks wants it: no dots, which the signature joins by.
    assert base.startswith("msg_")
    assert "." not in base


def test_what_rules_want_by_their_names():
    """Those that want nothing are left out; a URL is in no representation."""
    projects = ProjectSelectors.parse(["a/b"])
    after = After(command=CommandLine.parse(("true",)), webhook="https://h/hunter2", delete_remote=True)
    rules = (Rule(name="all", projects=projects, after=after), Rule(name="none", projects=projects))
    assert wanted_hooks(rules) == {"all": (HookKind.COMMAND, HookKind.WEBHOOK, HookKind.DELETE_REMOTE)}
    assert "hunter2" not in repr(rules)
