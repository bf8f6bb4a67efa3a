"""What was seen, kept in `seen.json`, and the table of the document that is made from it.

    python -m tests.e2e.options.table

writes the document.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from tests.e2e.languages import ROOT, filled
from tests.e2e.options.model import Cell, Option
from tests.e2e.options.places import COLUMNS, Column
from tests.e2e.options.rows import ROWS

DOCUMENT = ROOT / "docs/options.md"
_Value = TypeVar("_Value")
FILE = Path(__file__).with_name("seen.json")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What all options came to."""

    commit: str = ""
    date: str = ""
    versions: Mapping[Column, str] = {}
    cells: Mapping[str, Mapping[Column, Cell]] = {}
    """By the option's name."""


def read() -> Seen:
    """What is kept."""
    return msgspec.json.decode(FILE.read_bytes(), type=Seen) if FILE.exists() else Seen()


def keep(option: str, column: Column, cell: Cell, *, version: str, commit: str, date: str) -> None:
    """Keep a cell: others may do so at the same time. What is no row any more goes."""
    lock = os.open(FILE.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = read()
        cells: dict[str, Mapping[Column, Cell]] = {row.name: known.cells.get(row.name, {}) for row in ROWS}
        cells[option] = _ordered({**cells[option], column: cell})
        versions = _ordered({**known.versions, column: version})
        seen = Seen(commit=commit, date=date, versions=versions, cells={name: by for name, by in cells.items() if by})
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(seen), indent=2) + b"\n")
    finally:
        os.close(lock)


def _ordered(by: Mapping[Column, _Value]) -> Mapping[Column, _Value]:
    """In the order of the table."""
    return {column: by[column] for column in COLUMNS if column in by}


def text(seen: Seen) -> str:
    """The table, and below it what its numbers mean, in Markdown."""
    notes: dict[str, int] = {}

    def cell(row: Option, column: Column) -> str:
        if not row.concerns(column):
            return "-"
        found = seen.cells.get(row.name, {}).get(column)
        if found is None:
            return "not seen"
        number = notes.setdefault(found.said, len(notes) + 1) if found.said else 0
        return f"{found.kind} ({number})" if number else found.kind

    def lines() -> Iterator[str]:
        heads = [f"`{column}`" if column.startswith("--") else column for column in COLUMNS]
        versions = [f"{head}: {seen.versions.get(column, '')}" for head, column in zip(heads, COLUMNS, strict=True)]
        yield f"| option | {' | '.join(versions)} | shown by |"
        yield "|---" * (len(COLUMNS) + 2) + "|"
        for row in ROWS:
            yield f"| {row.name} | {' | '.join(cell(row, column) for column in COLUMNS)} | {row.look} |"
        yield ""
        yield from (f"{number}. {said}" for said, number in notes.items())

    return "\n".join(lines())


def document(seen: Seen) -> str:
    """The document as it has to be."""
    return filled(DOCUMENT.read_text(encoding="utf-8"), "options", text(seen))


def main() -> None:
    """Write the document anew."""
    DOCUMENT.write_text(document(read()), encoding="utf-8")


if __name__ == "__main__":
    main()
