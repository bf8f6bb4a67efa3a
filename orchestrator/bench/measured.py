"""A report's series put side by side: which scenarios and targets there are, and what may be compared with what."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from orchestrator.bench.result import Report, Sample, Series

RAW = "raw/"
"""How scenarios without a build begin."""
_SPLIT = "layers="


class Placed(msgspec.Struct, frozen=True, order=True):
    """Where a target has what: `layers=cephfs+packages=local`; a plain name has both there."""

    layers: str
    packages: str

    @property
    def plain(self) -> bool:
        """Whether both are on the same storage."""
        return self.layers == self.packages


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, by scenario and target."""

    scenarios: tuple[str, ...]
    """In the report's order."""
    targets: tuple[str, ...]
    series: Mapping[tuple[str, str], Series]

    def get(self, scenario: str, target: str) -> Series | None:
        """One series; None: that was not measured, or never came to an end."""
        return self.series.get((scenario, target))

    def pairs(self, scenario: str, first: str, second: str) -> Mapping[int, tuple[float, float]]:
        """What the scenario cost on both, by the rounds in which it was measured on both."""
        one, other = self.get(scenario, first), self.get(scenario, second)
        if one is None or other is None:
            return {}
        costs = by_round(one), by_round(other)
        return {each: (costs[0][each], costs[1][each]) for each in sorted(costs[0].keys() & costs[1].keys())}


def measured(report: Report) -> Measured:
    """The series of a report that have runs."""
    held = [each for each in report.series if each.samples]
    return Measured(
        scenarios=tuple(dict.fromkeys(each.scenario for each in held)),
        targets=tuple(dict.fromkeys(each.target for each in held)),
        series={(each.scenario, each.target): each for each in held},
    )


def placed(target: str) -> Placed:
    """What a target's name says."""
    if not target.startswith(_SPLIT):
        return Placed(target, target)
    layers, _, packages = target.removeprefix(_SPLIT).partition("+packages=")
    return Placed(layers, packages or layers)


def split(layers: str, packages: str) -> str:
    """The name of the target that has layers and package caches on these storages."""
    return layers if layers == packages else f"{_SPLIT}{layers}+packages={packages}"


def values(series: Series) -> tuple[float, ...]:
    """What was measured, in the series' unit."""
    return tuple(sample.value for sample in series.samples)


def median_of(series: Series) -> float:
    """The median of what was measured, in the series' unit."""
    return median(values(series))


def cost(series: Series, value: float) -> float:
    """What is less when it is better."""
    return value if series.better == "less" else 1 / value


def by_round(series: Series) -> Mapping[int, float]:
    """What each round cost."""
    found: defaultdict[int, list[float]] = defaultdict(list)
    for sample in series.samples:
        found[sample.round].append(cost(series, sample.value))
    return {number: median(costs) for number, costs in found.items()}


def fact(samples: Sequence[Sample], name: str) -> float | None:
    """The median of a fact over the runs that know it."""
    known = [sample.facts[name] for sample in samples if name in sample.facts]
    return median(known) if known else None


def steps(samples: Sequence[Sample]) -> Mapping[str, float]:
    """Build step -> the median of its seconds, in the order in which they are first told."""
    names = dict.fromkeys(name for sample in samples for name in sample.facts if name.startswith("step:"))
    return {name.removeprefix("step:"): fact(samples, name) or 0.0 for name in names}
