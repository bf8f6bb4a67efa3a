"""`python -m benchmarks.documents`: the documents' tables, made from committed results and never by hand.

Measures nothing: it writes the tables of all benchmarks anew, those of several hosts, storage and images with them.
`--write` of the benchmarks commits a result and does the same for its own table.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.images import tables
from benchmarks.storage import reported
from orchestrator.bench import reading
from orchestrator.bench.markdown import table
from orchestrator.bench.result import Report

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
FLEET = ("fleet-placement", "fleet-speedup", "fleet-concurrent", "fleet-context", "fleet-second", "fleet-faults")
"""Those of several hosts, which `python -m benchmarks.fleet` runs."""
PLACES = {
    "cold": ("docs/compare.md", "docs/figures.md"),
    "detect": ("docs/compare.md", "docs/figures.md"),
    "images": ("docs/compare.md", "docs/figures.md"),
    "isolated": ("docs/figures.md",),
    **dict.fromkeys(FLEET, ("docs/figures.md",)),
    "fleet-scale": ("docs/design/scale.md",),
    "peers": ("README.md", "docs/compare.md", "docs/figures.md"),
    "plan": ("docs/compare.md", "docs/figures.md"),
    "runtimes": ("docs/figures.md",),
    **dict.fromkeys(
        ("storage", "storage-reported", "storage-network", "storage-network-reported", "storage-repeats"),
        ("docs/bench.md",),
    ),
    "unchanged": ("docs/compare.md", "docs/figures.md"),
    "warm": ("docs/figures.md",),
}
"""Benchmark -> the documents that show its table."""
_PARTS: Mapping[str, tuple[str, Callable[[Report], str]]] = {
    "images": ("images", tables.table),
    "storage-reported": ("storage", reported.table),
    "storage-network-reported": ("storage-network", reported.table),
}
"""What shows a benchmark's result in a manner of its own, or a part of it -> the benchmark, and what shows it."""


def read(name: str) -> Report | None:
    """A committed result; None: it has not been measured yet."""
    file = RESULTS / f"{_PARTS[name][0] if name in _PARTS else name}.json"
    return reading.read(file) if file.exists() else None


def filled(text: str, name: str, report: Report | None) -> str:
    """A document with a benchmark's table between its marks.

    Raises:
        ValueError: the document has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"expected {begin} and {end}")
    if report is None:
        return f"{before}{begin}\nNot measured yet.\n{end}{after}"
    where = f"On {report.date}, commit {report.commit}: {report.machine}."
    shown = _PARTS[name][1] if name in _PARTS else table
    return f"{before}{begin}\n{where}\n\n{shown(report)}{end}{after}"


def write(report: Report) -> None:
    """Commit a result to its file, and its table to the documents that show it."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{report.benchmark}.json").write_bytes(reading.encode(report))
    for name in (report.benchmark, *(part for part, (whole, _) in _PARTS.items() if whole == report.benchmark)):
        show(name)


def show(name: str) -> tuple[Path, ...]:
    """Put a benchmark's committed result into the documents that show it; returns those that it changed."""
    changed: list[Path] = []
    for place in PLACES[name]:
        document = ROOT / place
        before = document.read_text(encoding="utf-8")
        after = filled(before, name, read(name))
        if after != before:
            document.write_text(after, encoding="utf-8")
            changed.append(document)
    return tuple(changed)


def main() -> int:
    """Write all tables anew, and name the documents that changed."""
    changed = dict.fromkeys(document for name in PLACES for document in show(name))
    for document in changed:
        print(document.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
