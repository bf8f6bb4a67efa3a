"""`peers`: against those who do the same work, on the same daemon, in the same minutes."""

import datetime as dt
import tempfile
from pathlib import Path

import anyio

from benchmarks.cached import cached
from benchmarks.contexts import contexts
from orchestrator.bench.result import Report, Result, machine
from tests.lab import Lab, current


async def run_all(lab: Lab, rounds: int) -> tuple[Result, ...]:
    """Both comparisons in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        directory = Path(name)
        return (await cached(lab, directory / "cached", rounds), await contexts(lab, directory / "contexts"))


async def run_peers(rounds: int) -> Report:
    """The benchmark `peers`. The lab must be up, with peers."""
    lab = current()
    if lab is None or not lab.buildx.exists():
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --peers")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    return Report(
        benchmark="peers",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=await run_all(lab, rounds),
    )
