"""The documents' tables, made from committed results and never by hand."""

from pathlib import Path

import msgspec

from benchmarks.result import Report, table

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
FLEET = ("fleet-placement", "fleet-speedup", "fleet-concurrent", "fleet-context", "fleet-second", "fleet-faults")
"""Those of several hosts, which `python -m benchmarks.fleet` runs."""
PLACES = {
    "cold": ("docs/figures.md",),
    "detect": ("docs/figures.md",),
    "isolated": ("docs/figures.md",),
    **dict.fromkeys(FLEET, ("docs/figures.md",)),
    "peers": ("README.md", "docs/figures.md"),
    "plan": ("docs/figures.md",),
    "unchanged": ("docs/figures.md",),
}
"""Benchmark -> the documents that show its table."""


def read(name: str) -> Report | None:
    """A committed result; None: it has not been measured yet."""
    file = RESULTS / f"{name}.json"
    return msgspec.json.decode(file.read_bytes(), type=Report) if file.exists() else None


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
    return f"{before}{begin}\n{where}\n\n{table(report)}{end}{after}"


def write(report: Report) -> None:
    """Commit a result to its file, and its table to the documents that show it."""
    RESULTS.mkdir(exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (RESULTS / f"{report.benchmark}.json").write_bytes(encoded + b"\n")
    for name in PLACES[report.benchmark]:
        document = ROOT / name
        text = filled(document.read_text(encoding="utf-8"), report.benchmark, report)
        document.write_text(text, encoding="utf-8")
