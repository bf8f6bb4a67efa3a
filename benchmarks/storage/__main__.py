"""`python -m benchmarks.storage run|repeats [--json] [--write]`: this machine's disk against the lab's CephFS.

`run` measures the reported table, with everything beside it: some minutes a round. `repeats` measures a first answer
(`--quick`, three minutes) eleven times.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import anyio

from benchmarks import documents
from benchmarks.storage.measuring import Case, found, measured_here
from benchmarks.storage.repeats import FILE, TIMES, run_repeats
from orchestrator.bench import reading
from orchestrator.bench.markdown import table
from orchestrator.bench.result import Report


def main() -> int:
    """Run one benchmark; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="commit to benchmarks/results and the documents")
    parser.add_argument("--local", type=Path, help="a directory on this machine's disk (default: beside the lab)")
    names = parser.add_subparsers(dest="name", required=True)
    named = names.add_parser("run", help="the reported table")
    named.add_argument("--rounds", type=int, help="(default: as `fleetpacks bench storage` has it)")
    named.add_argument("--quick", action="store_true", help="smaller builds, to try it out")
    named = names.add_parser("repeats", help="does a repeat agree?")
    named.add_argument("--times", type=int, default=TIMES, help=f"repeats of the first one (default: {TIMES})")
    named.add_argument("--runs", type=Path, default=FILE, help="where the measurements are, and are added to")
    words = parser.parse_args()
    case = found(words.local)
    measuring = (
        partial(_run, case, quick=words.quick, rounds=words.rounds)
        if words.name == "run"
        else partial(run_repeats, case, times=words.times, file=words.runs)
    )
    report = anyio.run(measuring, backend="trio")
    if words.write:
        documents.write(report)
    print(reading.encode(report).decode() if words.json else table(report))
    return 0 if report.met else 1


async def _run(case: Case, *, quick: bool, rounds: int | None) -> Report:
    report, _ = await measured_here(case, quick=quick, rounds=rounds)
    return report


if __name__ == "__main__":
    sys.exit(main())
