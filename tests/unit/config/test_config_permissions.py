"""Permissions and group of what is published: what may be written, and what each mistake is told."""

import pytest

from artifact_sync import config
from artifact_sync.config.problems import ConfigProblems


def text(store: str) -> str:
    """A configuration with this store."""
    return (
        "gitlab: {url: https://gitlab.example.com}\n"
        f"store: {{path: m, {store}}}\n"
        "rules: [{name: one, projects: [group/app]}]\n"
    )


@pytest.mark.parametrize(
    ("written", "mode"), [("0640", 0o640), ("640", 0o640), ("0444", 0o444), ("0600", 0o600), ("0404", 0o404)]
)
def test_a_mode_of_read_bits_is_taken(written, mode):
    """The owner may write or not; nobody else may."""
    settings = config.loads(text(f"mode: '{written}'"), "f")
    assert settings.store.mode == mode
    assert settings.effective()["store"]["mode"] == f"{mode:04o}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("'0240'", 'a mode that takes reading from the owner; write "0640"'),
        ("'0040'", 'a mode that takes reading from the owner; write "0640"'),
        ("'0660'", 'a mode that lets others write what is published; write "0640"'),
        ("'0666'", 'a mode that lets others write what is published; write "0644"'),
        ("'0602'", 'a mode that lets others write what is published; write "0600"'),
        ("'0750'", 'a mode that makes every file executable; write "0640": folders'),
        ("'4640'", 'a mode with set-user-ID, set-group-ID or sticky bits; write "0640"'),
        ("'2644'", 'a mode with set-user-ID, set-group-ID or sticky bits; write "0644"'),
        ("'rw-r-----'", "not a file mode"),
        ("'0840'", "not a file mode"),
        ("640", "not a file mode"),
    ],
)
def test_any_other_mode_is_refused_at_its_place(written, said):
    """Line, column, why, and what to write."""
    with pytest.raises(ConfigProblems) as caught:
        config.loads(text(f"mode: {written}"), "f")
    assert str(caught.value).startswith(f"f:2:24: store.mode: {said}")


@pytest.mark.parametrize(
    ("written", "group"),
    [("artifacts", "artifacts"), ("2000", "2000"), ("'2000'", "2000"), ("host$", "host$"), ("0", "0")],
)
def test_a_group_is_a_name_or_a_number(written, group):
    """Whether the system has it is not known where the file is only read."""
    assert config.loads(text(f"group: {written}"), "f").store.group == group


@pytest.mark.parametrize("written", ["-1", "1.5", "true", "''", "'a b'", "'-x'", "[a]"])
def test_what_is_no_group_is_refused(written):
    """With what to write instead."""
    with pytest.raises(ConfigProblems) as caught:
        config.loads(text(f"group: {written}"), "f")
    assert str(caught.value).startswith("f:2:25: store.group: ")
    assert "write the name of a group, such as artifacts, or its number" in str(caught.value)
