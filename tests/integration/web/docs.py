"""The tables of the replica's documentation."""

from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "replica.md"


def table() -> dict[str, str]:
    """First and second cell of every row whose first cell is a name in code."""
    rows = {}
    for line in DOCS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) >= 2:
            rows[cells[0].strip("`| ")] = cells[1].rstrip("| ")
    return rows
