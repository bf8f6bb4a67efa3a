"""What a pool's benchmark says in words: how it scales, and what it is worth to build where an app was built. Pure."""

from collections.abc import Iterator

from orchestrator.bench.measured import Measured, measured
from orchestrator.bench.result import Report
from orchestrator.bench.statistics import paired_ratio
from orchestrator.bench.tables import times

POOL = "pool"
"""The target of what several hosts do together."""
SCALING = "scaling/"
"""The scenarios of that: how many hosts do it."""
HOME, ELSEWHERE = "cache/source", "cache/source-elsewhere"
"""A changed source, on a host that has built the app, and on one that has never."""


def notes(report: Report) -> Iterator[str]:
    """For each number of hosts how many times as fast it is as one; and the same of a host that knows the app."""
    told = measured(report)
    yield from _scaling(told)
    yield from _affinity(told)


def _scaling(told: Measured) -> Iterator[str]:
    one = told.get(f"{SCALING}1", POOL)
    if one is None:
        return
    seconds = {sample.round: sample.value for sample in one.samples}
    for scenario in told.scenarios:
        several = told.get(scenario, POOL)
        count = scenario.removeprefix(SCALING)
        if several is None or not scenario.startswith(SCALING) or count == "1":
            continue
        pairs = [(sample.value, seconds[sample.round]) for sample in several.samples if sample.round in seconds]
        if pairs:
            yield f"{count} hosts together: {times(paired_ratio(pairs))} times as fast as one"


def _affinity(told: Measured) -> Iterator[str]:
    logs = [pair for target in told.targets for pair in _pairs(told, target)]
    if logs:
        yield (
            "a changed source on a host that has built the app before: "
            f"{times(paired_ratio(logs))} times as fast as on one that has never"
        )


def _pairs(told: Measured, target: str) -> Iterator[tuple[float, float]]:
    home, elsewhere = told.get(HOME, target), told.get(ELSEWHERE, target)
    if home is None or elsewhere is None:
        return
    seconds = {sample.round: sample.value for sample in home.samples}
    for sample in elsewhere.samples:
        if sample.round in seconds:
            yield seconds[sample.round], sample.value
