"""`python -m benchmarks NAME [--json] [--rounds N] [--apps N] [--write]`."""

import argparse
import sys
from functools import partial

import anyio
import msgspec

from benchmarks import cold, detect, documents, isolated, peers, plan, runtimes, unchanged, warm
from orchestrator.bench.markdown import table

_BENCHMARKS = {
    "cold": cold.run_cold,
    "detect": detect.run_detect,
    "isolated": isolated.run_isolated,
    "peers": peers.run_peers,
    "plan": plan.run_plan,
    "runtimes": runtimes.run_runtimes,
    "warm": warm.run_warm,
}
_UNCHANGED = "unchanged"
_FEWEST_ROUNDS, _ROUNDS = 2, 15


def main() -> int:
    """Run one benchmark; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted((*_BENCHMARKS, _UNCHANGED)))
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    parser.add_argument("--rounds", type=int, help="interleaved pairs (default: 15; 5 of 400 apps)")
    parser.add_argument("--apps", type=int, choices=unchanged.SIZES, help="unchanged: this size alone")
    parser.add_argument("--write", action="store_true", help="commit to benchmarks/results and the documents")
    words = parser.parse_args()
    if words.rounds is not None and words.rounds < _FEWEST_ROUNDS:
        parser.error(f"--rounds: expected at least {_FEWEST_ROUNDS}")
    if words.apps is not None and (words.name != _UNCHANGED or words.write):
        parser.error("--apps: expected `unchanged` without --write, whose table is of all sizes at one commit")
    benchmark = (
        partial(unchanged.run_unchanged, rounds=words.rounds, sizes=(words.apps,) if words.apps else unchanged.SIZES)
        if words.name == _UNCHANGED
        else partial(_BENCHMARKS[words.name], rounds=words.rounds or _ROUNDS)
    )
    report = anyio.run(benchmark, backend="trio")
    if words.write:
        documents.write(report)
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() if words.json else table(report))
    return 0 if report.met else 1


if __name__ == "__main__":
    sys.exit(main())
