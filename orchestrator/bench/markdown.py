"""A report as Markdown: the tables of the documents, and what `bench show --format markdown` prints."""

from collections.abc import Iterator

from orchestrator.bench.result import Report
from orchestrator.bench.tables import Table, tables
from orchestrator.bench.telling import conclusions, head
from orchestrator.text import inline

_LONGEST = 4000
"""Characters of a cell."""


def table(report: Report) -> str:
    """The tables alone, each below its title."""
    return "\n".join(rendered(each) for each in tables(report))


def document(report: Report) -> str:
    """The whole report: where it was measured, its tables, what is concluded, and what the reader must know."""
    return "\n".join(_document(report)) + "\n"


def _document(report: Report) -> Iterator[str]:
    yield f"# {_cell(report.benchmark)}"
    yield ""
    yield from (f"{_cell(line)}  " for line in head(report))
    for each in tables(report):
        yield ""
        yield rendered(each).rstrip("\n")
    if told := tuple(conclusions(report)):
        yield ""
        yield from (f"{'  ' if line.startswith(' ') else ''}- {_cell(line).strip()}" for line in told)


def rendered(made: Table) -> str:
    """One table, below its title."""
    lines = [f"{_cell(made.title)}:", ""] if made.title else []
    rows = [made.head, ("---",) * len(made.head), *made.rows]
    lines += [_row(cells, ruler=number == 1) for number, cells in enumerate(rows)]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...], *, ruler: bool) -> str:
    if ruler:
        return f"|{'|'.join(cells)}|"
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in map(_cell, cells))


def _cell(text: str) -> str:
    return inline(text, _LONGEST).replace("|", "\\|")
