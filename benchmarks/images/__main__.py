"""`python -m benchmarks.images --migetpacks DIR --nixpacks FILE [--apps NAME]... [--rounds N] [--minutes N] [--write]`.

The peers that are named take part, in the same rounds. What is measured is written down as it is: run it again, with
the same or with others, and it goes on. `--minutes 0` tells what there is.
"""

import argparse
import datetime as dt
import math
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import msgspec

from benchmarks import documents
from benchmarks.images import migetpacks, nixpacks, rounds, running, tables, telling
from benchmarks.images.building import Daemon, registry_client
from benchmarks.images.cases import COMPARED, chosen
from benchmarks.images.peer import Peer
from benchmarks.images.preparing import Place
from orchestrator.bench.result import Report, machine
from tests.buildkit.real import private_daemon
from tests.lab import Lab, current

_ROUNDS = 5
# By itself a daemon takes a share of the disk, which others fill.
_CONFIG = """\
[[worker.oci.gcpolicy]]
all = true
reservedSpace = "24GB"
maxUsedSpace = "24GB"
[registry."mcr.microsoft.com"]
mirrors = ["{registry}"]
"""


def main() -> int:
    """Measure, and tell; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--migetpacks", type=Path, metavar="DIR", help=f"a clone of {migetpacks.WHERE}, bare or not")
    parser.add_argument("--nixpacks", metavar="FILE", help="the program, or its name on $PATH")
    parser.add_argument("--apps", action="append", default=[], metavar="NAME", help="these alone; repeatable")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"of each app (default: {_ROUNDS})")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no round is begun")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="the daemon's storage, for the next run")
    parser.add_argument("--lines", type=Path, default=rounds.FILE, help="where measurements are, and are added to")
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="commit to benchmarks/results and the documents")
    words = parser.parse_args()
    apps = chosen(tuple(words.apps))
    if words.minutes > 0:
        if words.migetpacks is None and words.nixpacks is None:
            parser.error(
                f"expected a peer: --nixpacks FILE, or --migetpacks DIR, which is: git clone {migetpacks.WHERE}"
            )
        lab = current()
        if lab is None:
            raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --languages")
        measuring = partial(
            _measure,
            lab,
            words.migetpacks and words.migetpacks.absolute(),
            words.nixpacks,
            keep=words.keep and words.keep.absolute(),
            go=partial(running.go, apps=apps, file=words.lines, times=words.rounds, minutes=words.minutes),
        )
        anyio.run(measuring, backend="trio")
    report = _told(words.lines)
    if words.write:
        documents.write(report)
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() if words.json else tables.table(report))
    return 0 if report.met else 1


async def _measure(
    lab: Lab, checkout: Path | None, program: str | None, *, keep: Path | None, go: Callable[[Place], Awaitable[None]]
) -> None:
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="fp-images-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        folder = keep or root / "daemon"
        folder.mkdir(exist_ok=True)
        # Of a daemon that was killed: this one has begun when its own is there.
        (folder / "s").unlink(missing_ok=True)
        peers = await _peers(checkout, program, root / "scripts")
        config = _CONFIG.format(registry=lab.registry)
        daemon = private_daemon(lab, folder, snapshotter="overlayfs", config=config)
        async with daemon as (process, socket), registry_client(lab) as client:
            await go(
                Place(
                    lab=lab,
                    daemon=Daemon(socket=socket, process=process.pid),
                    client=client,
                    root=root / "apps",
                    peers=peers,
                    commit=commit.stdout.decode().strip(),
                )
            )


async def _peers(checkout: Path | None, program: str | None, scripts: Path) -> tuple[Peer, ...]:
    """Those that are named."""
    first = () if checkout is None else (await migetpacks.unpacked(checkout, scripts),)
    return (*first, *(() if program is None else (await nixpacks.found(program),)))


def _told(file: Path) -> Report:
    """All that was written down, whichever apps were measured now."""
    lines, apps = rounds.read(file), [each.name for each in COMPARED]
    of = rounds.counted(lines)
    last = next((each for each in reversed(lines) if each in of.get((each.app, each.against), ())), None)
    return Report(
        benchmark="images",
        date=last.date if last else dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=last.commit if last else "",
        machine=machine(),
        results=telling.results(lines, apps),
        settings=telling.settings(lines),
        notes=telling.notes(lines, apps),
    )


if __name__ == "__main__":
    sys.exit(main())
