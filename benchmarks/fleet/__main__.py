"""`python -m benchmarks.fleet NAME [--json] [--write] [--seed N]`: several hosts, used as one.

Every run prints its seed; the same seed draws the same again.
"""

import argparse
import sys
from functools import partial

import anyio
import msgspec

from benchmarks import documents
from benchmarks.fleet import placement, scale
from benchmarks.result import table

_BENCHMARKS = {"placement": placement.run_placement, "scale": scale.run_scale}


def main() -> int:
    """Run one benchmark; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="commit to benchmarks/results and the documents")
    parser.add_argument("--seed", type=int, default=7, help="of everything that is drawn (default: 7)")
    names = parser.add_subparsers(dest="name", required=True)
    names.add_parser("placement", help="10,000 apps on 1,000 hosts, simulated")
    names.add_parser("scale", help="a day of 100,000 builds on 1,000 hosts, simulated")
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
