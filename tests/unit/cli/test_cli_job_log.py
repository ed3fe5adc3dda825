"""What strangers wrote reaches a terminal as text and colours alone."""

import pytest

from artifact_sync.cli.job_log import shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain\n\ttext: ä, 字\n", "plain\n\ttext: ä, 字\n"),
        ("\x1b[32;1mgreen\x1b[0m", "\x1b[32;1mgreen\x1b[0m"),
        ("\x1b[0Ksection_start:1560896352:build[collapsed=true]\r\x1b[0KHeader", "Header"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
        ("\x1bPq#0;2;0;0;0\x1b\\a", "a"),
        ("\x1b]52;c;aGk=", ""),
        ("a\x1b[2J\x1b[1;1H\x1b[?25l\x1b(0b\x1bcd", "abd"),
        ("\x1b[6n\x1b[c", ""),
        ("over\rwritten\r\nnext", "overwritten\nnext"),
        ("\x9b31mC1\x85\x07\x00\x7f", "31mC1"),
        ("a\u202eb\u2066c", "abc"),
        ("cut off \x1b[", "cut off "),
        ("cut off \x1b", "cut off "),
        ("\x1b\x1b[31m[2J", "\x1b[31m[2J"),
    ],
)
def test_shown(text, seen):
    """Lines, tabs and colours stay; what moves, names, asks or hides does not."""
    assert shown(text) == seen
