"""`python -m benchmarks NAME [--json] [--rounds N] [--write]`."""

import argparse
import sys
from functools import partial

import anyio
import msgspec

from benchmarks import cold, detect, documents, peers, plan, unchanged
from benchmarks.result import table

_BENCHMARKS = {
    "cold": cold.run_cold,
    "detect": detect.run_detect,
    "peers": peers.run_peers,
    "plan": plan.run_plan,
    "unchanged": unchanged.run_unchanged,
}
_FEWEST_ROUNDS = 2


def main() -> int:
    """Run one benchmark; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(_BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved pairs of timed comparisons (default: 15)")
    parser.add_argument("--write", action="store_true", help="commit to benchmarks/results and the documents")
    words = parser.parse_args()
    if words.rounds < _FEWEST_ROUNDS:
        parser.error(f"--rounds: expected at least {_FEWEST_ROUNDS}")
    report = anyio.run(partial(_BENCHMARKS[words.name], rounds=words.rounds), backend="trio")
    if words.write:
        documents.write(report)
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() if words.json else table(report))
    return 0 if report.met else 1


if __name__ == "__main__":
    sys.exit(main())
