"""A report for people, as lines that a terminal takes; whoever prints them makes them fit for a CI job's log, too."""

from collections.abc import Iterable, Iterator

from orchestrator.bench.compare import Changed, Comparison
from orchestrator.bench.result import Report
from orchestrator.bench.tables import Table, amount, figure, tables, times
from orchestrator.bench.telling import conclusions, head
from orchestrator.text import inline

_LONGEST, _LONGEST_LINE = 400, 4000
"""Characters of a cell, and of a line."""
_ORDER = {"worse": 0, "better": 1, "unknown": 2, "same": 3}
_WORDS = {"worse": "WORSE", "better": "better", "unknown": "not known: one run", "same": ""}


def lines(report: Report) -> Iterator[str]:
    """The whole report."""
    yield from _seen(head(report))
    for each in tables(report):
        yield ""
        if each.title:
            yield from _seen([each.title])
        yield from aligned(each)
    if told := tuple(conclusions(report)):
        yield ""
        yield from _seen(told)


def changes(comparison: Comparison) -> Iterator[str]:
    """What two reports say together, the worst first."""
    yield from _seen(f"not comparable, and compared all the same: {reason}" for reason in comparison.refused)
    ordered = sorted(comparison.changed, key=lambda each: (_ORDER[each.change], -each.ratio.value))
    rows = tuple(map(_changed, ordered))
    yield from aligned(Table(head=("what", "before", "after", "times as much (90 % interval)", ""), rows=rows))
    yield from _seen((*comparison.lacking, *comparison.notes))
    worse, better = (sum(each.change == word for each in comparison.changed) for word in ("worse", "better"))
    yield f"{worse} worse and {better} better beyond their intervals, of {len(comparison.changed)}"


def _seen(told: Iterable[str]) -> Iterator[str]:
    return (inline(line, _LONGEST_LINE) for line in told)


def _changed(each: Changed) -> tuple[str, ...]:
    ratio = figure(each.ratio.value) if each.ratio.interval is None else times(each.ratio)
    ends = (amount(end, each.unit).rstrip() for end in (each.before, each.after))
    return each.name, *ends, ratio, _WORDS[each.change]


def aligned(made: Table) -> Iterator[str]:
    """Columns as wide as their widest cell."""
    cells = [[inline(cell, _LONGEST) for cell in row] for row in (made.head, *made.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
