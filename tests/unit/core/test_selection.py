"""Which files of an archive are wanted, as written in fetch.files."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from artifact_sync.core.file_patterns import items_of, united
from artifact_sync.core.model import Item, StagedFile
from artifact_sync.core.patterns import PatternError
from artifact_sync.core.selection import arrived, owed, select

FILE, LINK = 0o100644, 0o120777


@dataclass(frozen=True)
class Listed:
    """An entry of an archive."""

    name: str
    mode: int = FILE
    size: int = 1

    @property
    def is_dir(self) -> bool:
        return self.name.endswith("/")


ARCHIVE = [
    Listed(name) for name in ("dist/", "dist/a.whl", "dist/sub/b.whl", "dist/a.txt", "sbom.json", "README", "ä ö.txt")
]


def chosen(*files: str, archive: list[Listed] = ARCHIVE):
    """The paths that are chosen."""
    return [one.path for one in select(items_of(files), archive, entry=lambda listed: listed).chosen]


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        (["dist/*.whl"], ["dist/a.whl"]),
        (["dist/**/*.whl"], ["dist/a.whl", "dist/sub/b.whl"]),
        (["**"], ["dist/a.whl", "dist/sub/b.whl", "dist/a.txt", "sbom.json", "README", "ä ö.txt"]),
        (["*"], ["sbom.json", "README", "ä ö.txt"]),
        (["dist/**", "!**/*.whl"], ["dist/a.txt"]),
        (["!dist/**"], ["sbom.json", "README", "ä ö.txt"]),
        (["/^dist.*whl$/"], ["dist/a.whl", "dist/sub/b.whl"]),
        (["/^dist.*whl$/?"], ["dist/a.whl", "dist/sub/b.whl"]),
        (["dist/a.tx??"], ["dist/a.txt"]),
        (["dist/a.tx[!/]"], ["dist/a.txt"]),
        (["sbom.json", "dist/a.{whl,txt}"], ["dist/a.whl", "dist/a.txt", "sbom.json"]),
        (["sbom.json", "sbom.*"], ["sbom.json"]),
        (["dist/a.txt", "!dist/*"], []),
        (["dist"], []),
    ],
)
def test_patterns_and_paths_choose(files, paths):
    """Globs stop at slashes, two stars cross them, exclusions take away, and each file comes once."""
    assert chosen(*files) == paths


def test_published_names_are_encoded_paths():
    """Below files/, one component for each of the path's, and nothing climbs."""
    archive = [Listed("ä ö.txt"), Listed("../x"), Listed("/abs"), Listed("a//b")]

    selection = select(items_of(["**"]), archive, entry=lambda listed: listed)

    assert [one.name for one in selection.chosen] == [
        "files/%C3%A4 %C3%B6.txt",
        "files/%2E%2E/x",
        "files/%/abs",
        "files/a/%/b",
    ]


def test_what_is_not_there_is_told():
    """Exact paths are missed and globs matched nothing, each unless it is optional."""
    selection = select(items_of(["no", "no2?", "no/*", "no2/*?", "README"]), ARCHIVE, entry=lambda listed: listed)

    assert (selection.missing, selection.unmatched) == (("no",), ("no/*",))
    assert selection.size == 1


def test_links_come_by_their_exact_path_alone():
    """A pattern leaves them out, and says how many."""
    archive = [Listed("bin/app"), Listed("bin/latest", LINK), Listed("bin/pipe", 0o010644), Listed("bin/unknown", 0)]

    selection = select(items_of(["bin/*", "bin/latest"]), archive, entry=lambda listed: listed)

    assert [one.path for one in selection.chosen] == ["bin/app", "bin/latest", "bin/unknown"]
    assert selection.left_out == 1


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]])
def test_files_that_cannot_stand_together_are_told(names):
    """The same name twice, and a file where a directory must be."""
    archive = [Listed(name) for name in names]

    assert select(items_of(["**"]), archive, entry=lambda listed: listed).clash
    assert not select(items_of(["x"]), archive, entry=lambda listed: listed).clash


def test_items_of_a_list():
    """Exact paths are files of a known name; a pattern is an item that no file can be called after."""
    exact, optional, pattern = items_of(["a b.txt", "c?", "d/{x,y}?", "!d/x"])

    assert exact == Item(kind="file", name="files/a b.txt", path="a b.txt")
    assert optional == Item(kind="file", name="files/c", path="c", optional=True)
    assert pattern == Item(kind="files", name="files:d/{x,y} !d/x", path="d/{x,y}", optional=True, excluded=("d/x",))


def test_names_of_patterns_differ_where_they_take_something_else():
    """Also where one is written as another and its exclusion."""
    (one,) = items_of(["a* !b"])
    (other,) = items_of(["a*", "!b"])

    assert one.name != other.name


def test_an_unusable_pattern_is_refused():
    """As everywhere."""
    with pytest.raises(PatternError):
        items_of(["x/[z-a]"])


def test_what_one_rule_needs_is_not_optional_because_another_does_without():
    """In either order."""
    required, optional = *items_of(["a"]), *items_of(["a?"])

    assert united([required, optional]) == united([optional, required]) == (required,)
    assert united([optional, optional]) == (optional,)


def staged(path: str) -> StagedFile:
    """A published file out of an archive."""
    return StagedFile(name=f"files/{path}", part="", sha256="", size=1, path=path)


def test_a_pattern_has_arrived_with_the_files_that_it_matches():
    """By their paths, whatever they are called."""
    items = items_of(["dist/*.whl", "dist/*.txt", "README", "LICENSE?"])

    there = arrived(items, [staged("dist/a.whl"), staged("README")])

    assert there == {"files:dist/*.whl", "files/README"}


def test_a_complete_transfer_owes_no_pattern_and_no_optional_file():
    """What it was not asked for is owed, and so is a file that may be missing no longer."""
    asked = items_of(["dist/*.txt", "LICENSE?", "NOTICE?"])
    now = items_of(["dist/*.txt", "LICENSE?", "NOTICE", "new/*"])

    assert [item.name for item in owed(now, [], asked=asked)] == ["files/NOTICE", "files:new/*"]
    assert owed(now, []) == now
