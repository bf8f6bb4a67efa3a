"""`python -m benchmarks.fleet NAME [--json] [--write] [--seed N]`: several hosts, used as one.

Every run prints its seed; the same seed draws the same again.
"""

import argparse
import math
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import msgspec

from benchmarks import documents
from benchmarks.fleet import concurrent, context, drawing, faults, placement, scale, second, speedup
from orchestrator.bench.markdown import table
from orchestrator.bench.result import Report

_BENCHMARKS: dict[str, Callable[..., Awaitable[Report]]] = {
    "concurrent": concurrent.run_concurrent,
    "context": context.run_context,
    "faults": faults.run_faults,
    "placement": placement.run_placement,
    "scale": scale.run_scale,
    "second": second.run_second,
    "speedup": speedup.run_speedup,
}


def main() -> int:
    """Run one benchmark; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="commit to benchmarks/results and the documents")
    parser.add_argument("--seed", type=int, default=7, help="of everything that is drawn (default: 7)")
    names = parser.add_subparsers(dest="name", required=True)
    names.add_parser("placement", help="10,000 apps on 1,000 hosts, simulated")
    names.add_parser("scale", help="a day of 100,000 builds on 1,000 hosts, simulated")
    named = names.add_parser("speedup", help="eight hosts against one, on builds that need a processor")
    named.add_argument("--hosts", type=int, default=8)
    named.add_argument("--builds", type=int, default=64)
    named.add_argument("--megabytes", type=int, default=60, help="that each build hashes (default: 60)")
    named = names.add_parser("concurrent", help="64 builds at once on four hosts behind sshd")
    named.add_argument("--hosts", type=int, default=4)
    named.add_argument("--builds", type=int, default=64)
    named = names.add_parser("context", help="210 MB that a host has never seen, over SSH")
    named.add_argument("--rounds", type=int, default=3)
    named.add_argument("--megabytes", type=int, default=210)
    named = names.add_parser("second", help="everything again after a fresh clone")
    named.add_argument("--hosts", type=int, default=4)
    named = names.add_parser("faults", help="runs in which something breaks")
    named.add_argument("--hosts", type=int, default=6)
    named.add_argument("--builds", type=int, default=200, help="of each run (default: 200)")
    named.add_argument("--times", type=int, default=25, help="faults of each class (default: 25)")
    named.add_argument(
        "--only",
        choices=drawing.CLASSES,
        action="append",
        default=[],
        help="runs with one fault, of this class; repeatable",
    )
    named.add_argument("--minutes", type=float, default=math.inf, help="after which no run is begun")
    named.add_argument("--first", type=int, default=0, help="the seed of one run that is made again")
    named.add_argument("--rounds", dest="rounds_file", type=Path, default=faults.FILE, help="where runs are written")
    words = vars(parser.parse_args())
    name, as_json, write = words.pop("name"), words.pop("json"), words.pop("write")
    print(f"seed {words['seed']}", file=sys.stderr)
    report = anyio.run(partial(_BENCHMARKS[name], **words), backend="trio")
    if write:
        documents.write(report)
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() if as_json else table(report))
    return 0 if report.met else 1


if __name__ == "__main__":
    sys.exit(main())
