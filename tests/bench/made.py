"""Reports as a benchmark would make them."""

import random
from collections.abc import Mapping, Sequence
from math import exp

import msgspec

from orchestrator.bench.result import Report, Sample, Series

BUILDS = ("no-cache/first", "no-cache/again", "cache/first", "cache/source", "cache/lockfile", "cache/same")
BLOBS = ("export", "import")


def series(scenario: str, target: str, values: Sequence[float], **facts: float) -> Series:
    """Seconds of a scenario, a round each."""
    samples = tuple(Sample(round=number, value=value, load=0.5, facts=facts) for number, value in enumerate(values, 1))
    return Series(scenario=scenario, target=target, unit="s", better="less", samples=samples)


def rate(target: str, *values: float) -> Series:
    """Small writes a second."""
    return msgspec.structs.replace(series("raw/fsync", target, values), unit="1/s", better="more")


def report(*made: Series, settings: Mapping[str, str] | None = None, machine: str = "2 cores") -> Report:
    """A report of storage."""
    return Report(
        benchmark="storage",
        date="2026-11-22",
        commit="1.0",
        machine=machine,
        series=made,
        settings={"seed": "7"} if settings is None else settings,
    )


def drawn(
    takes: Mapping[str, float],
    *,
    rounds: int,
    noise: float,
    seed: int = 7,
    scenarios: Sequence[str] = (*BUILDS, *BLOBS),
) -> Report:
    """A report of targets that take some seconds each, disturbed as builds are.

    Args:
        takes: target -> the true seconds of a build.
        rounds: runs of each.
        noise: the standard deviation of a run's logarithm.
        seed: of what is drawn.
        scenarios: which all take the same.
    """
    draw = random.Random(seed)  # noqa: S311 -- no secret
    return report(
        *(
            series(scenario, target, [seconds * exp(draw.gauss(0, noise)) for _ in range(rounds)])
            for scenario in scenarios
            for target, seconds in takes.items()
        )
    )
