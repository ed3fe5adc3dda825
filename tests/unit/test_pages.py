"""Every page is reached, every link leads somewhere, every line of shell is one, and every configuration is taken."""

import re
import shlex
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from artifact_sync.cli.commands import root
from artifact_sync.config import loads

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
#: Between a command and the next one of the same line.
END = {"|", "||", "&&", ";", "&", "(", ")", "{", "}"}


def name(page: Path) -> str:
    """As it is said in a report."""
    return str(page.relative_to(ROOT))


def blocks(kind: str) -> list[tuple[str, str]]:
    """Name of the page and text, without the indentation of a list, of every block of a kind."""
    return [
        (name(page), "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)))
        for page in PAGES
        for indent, found, text in BLOCK.findall(page.read_text())
        if found == kind
    ]


@cache
def prose(page: Path) -> str:
    """Without its blocks and its code, in which brackets are something else."""
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()]", "", code[0]), BLOCK.sub("", page.read_text()))


def links(page: Path) -> list[str]:
    """Targets within the repository."""
    return re.findall(r"\]\((?!https?:|mailto:)<?([^)\s>]+)>?\)", prose(page))


@cache
def anchors(page: Path) -> set[str]:
    """Names of its headings, as GitLab makes them of their words."""
    words = [
        re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    ]
    return {
        word if words.index(word) == place else f"{word}-{words[:place].count(word)}"
        for place, word in enumerate(words)
    }


def led_to(page: Path, link: str) -> tuple[Path, str]:
    """The file or folder, and the anchor in it."""
    path, _, anchor = unquote(link).partition("#")
    return ((page.parent / path).resolve() if path else page), anchor


@pytest.mark.parametrize(("page", "link"), [(name(page), link) for page in PAGES for link in links(page)])
def test_links_lead_somewhere(page, link):
    """What a page points at is there, and has a heading of that name."""
    target, anchor = led_to(ROOT / page, link)
    assert target.exists()
    assert target.is_relative_to(ROOT)
    assert not anchor or anchor in anchors(target)


def test_every_page_is_reached():
    """From the README or the index, by links; a link to a folder leads to the pages in it."""
    seen: set[Path] = set()
    ahead = [ROOT / "README.md", ROOT / "docs" / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in links(page):
            target, _ = led_to(page, link)
            ahead += [each for each in (target.glob("*.md") if target.is_dir() else [target]) if each in PAGES]
    assert [name(page) for page in PAGES if page not in seen] == []


def test_the_index_has_every_page():
    """Each page of the folder itself, and each one beside the README, in a line."""
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \| .+ \|$", (ROOT / "docs" / "README.md").read_text(), re.MULTILINE)
    there = {led_to(ROOT / "docs" / "README.md", row)[0] for row in rows}
    assert there == {
        *(page for page in PAGES if page.parent.name != "adr" and page.name != "README.md"),
        ROOT / "README.md",
        ROOT / "docs" / "adr",
    }


@pytest.mark.parametrize(("page", "text"), blocks("sh"))
def test_shell_can_be_parsed(page, text):
    """By bash, which runs nothing of it here."""
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def commands(text: str) -> list[list[str]]:
    """The words of each call of this program in a text of shell."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        calls: list[list[str]] = [[]]
        # A quotation without an end on its line; bash says whether it has one.
        with suppress(ValueError):
            for word in lexer:
                if word in END:
                    calls.append([])
                else:
                    calls[-1].append(word)
        for call in calls:
            at = [place for place, word in enumerate(call) if re.fullmatch(r"([^=]*/)?artifact-sync", word)]
            # Not where it is an argument of another program's, such as a unit's name.
            before = call[: at[0]] if at else []
            if at and all("=" in word or word.startswith("-") or word == "systemd-run" for word in before):
                found.append(call[at[0] + 1 :])
    return found


def inline(page: Path) -> list[str]:
    """Calls within a sentence."""
    return re.findall(r"`(artifact-sync [^`\n]+)`", BLOCK.sub("", page.read_text()))


CALLS = [
    *((page, call) for page, text in blocks("sh") for call in commands(text)),
    *((name(page), call) for page in PAGES for text in inline(page) for call in commands(text)),
]


@pytest.mark.parametrize(
    ("page", "call"), [pytest.param(*each, id=f"{each[0]}: {' '.join(each[1])}") for each in CALLS]
)
def test_commands_and_their_options_exist(page, call):
    """Down to the last part of a command's name; placeholders are in capitals."""
    command: click.Command = root
    words = list(call)
    context = click.Context(root)
    while isinstance(command, click.Group) and words and not words[0].startswith("-") and not words[0].isupper():
        inner = command.get_command(context, words[0])
        if inner is None and command.invoke_without_command and command is not root:
            break
        assert inner is not None, words[0]
        command, words = inner, words[1:]
    known = {
        option for each in (command, root) for param in each.get_params(click.Context(each)) for option in param.opts
    }
    assert {word.partition("=")[0] for word in words if re.match("--?[a-zA-Z]", word)} <= known


def test_calls_are_found():
    """A page without any would pass."""
    assert len(CALLS) > 80
    assert commands("A=b artifact-sync ls | head; systemctl reload artifact-sync") == [["ls"]]


@pytest.mark.parametrize(
    ("page", "text"), [each for each in blocks("yaml") if re.search("^version:", each[1], re.MULTILINE)]
)
def test_configurations_are_taken(page, text, tmp_path):
    """As they stand."""
    assert loads(text, page, folder=tmp_path).rules
