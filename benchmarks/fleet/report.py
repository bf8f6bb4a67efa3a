"""What every one of these benchmarks makes: a report of figures."""

import datetime as dt
from collections.abc import Sequence

import anyio

from orchestrator.bench.result import Figure, Report, machine


async def report(name: str, figures: Sequence[Figure]) -> Report:
    """The figures with the place and the time where they were measured."""
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    return Report(
        benchmark=f"fleet-{name}",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=(),
        figures=tuple(figures),
    )
