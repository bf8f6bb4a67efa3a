"""What to put where: layers, package caches, the registry's blobs; and what it costs to do otherwise.

Pure: a report's series in, a verdict out. A storage is only called slower than another where the interval of the ratio
is not wider than the difference itself (`Ratio.decided`); storages for which that does not hold are all named, and it
is for the operator to choose among them, or to measure more rounds.

A role's ratio is the geometric mean over its scenarios, in each round anew: no scenario counts for more because it
takes longer. `cache/first` uses both the daemon's directory and $BUILD_CACHE_DIR: it only counts for one of them where
it was also measured with the other one left where it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from math import log
from statistics import fmean
from typing import Literal

import msgspec

from orchestrator.bench.measured import Measured, measured, median_of, placed, split
from orchestrator.bench.result import Report
from orchestrator.bench.statistics import Ratio, paired_ratio, ratio_of_logs

Role = Literal["layers", "packages", "registry"]

SCENARIOS: Mapping[Role, tuple[str, ...]] = {
    "layers": (
        "no-cache/first",
        "no-cache/again",
        "cache/first",
        "cache/source",
        "cache/lockfile",
        "cache/same",
        "pull",
        "parallel",
    ),
    "packages": ("cache/first",),
    # A layer cache's blobs are written and read as a registry does it: large, one after the other, each once.
    "registry": ("export", "import"),
}
"""Role -> the scenarios that use what is placed."""
_OF_BOTH = frozenset({"cache/first"})
"""Those that use layers and package caches."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario on two targets; the ratio is of what it costs on the second."""

    scenario: str
    first: str
    second: str
    unit: str
    medians: tuple[float, float]
    ratio: Ratio


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """A storage against the one that took the least, over all of a role's scenarios."""

    storage: str
    ratio: Ratio
    """How many times as much it takes."""
    scenarios: tuple[Compared, ...]


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where one thing belongs."""

    role: Role
    best: tuple[str, ...]
    """One: it belongs there. Several: nothing is concluded among them; the one that took the least comes first."""
    against: tuple[Against, ...]
    """All others against the first, by what they take: a ranking."""

    @property
    def decided(self) -> bool:
        """Whether one storage is better than every other."""
        return len(self.best) == 1

    @property
    def dearer(self) -> tuple[Against, ...]:
        """Those that are shown to take more."""
        return tuple(each for each in self.against if each.storage not in self.best)


def verdict(report: Report) -> tuple[Placement, ...]:
    """What a report allows to conclude; nothing of roles for which two storages were not measured."""
    told = measured(report)
    return tuple(each for role in SCENARIOS if (each := _placement(told, role)) is not None)


def compared(told: Measured, scenario: str, first: str, second: str) -> Compared | None:
    """One scenario on two targets; None where they share no round."""
    pairs = told.pairs(scenario, first, second)
    one, other = told.get(scenario, first), told.get(scenario, second)
    if not pairs or one is None or other is None:
        return None
    return Compared(
        scenario=scenario,
        first=first,
        second=second,
        unit=one.unit,
        medians=(median_of(one), median_of(other)),
        ratio=paired_ratio(tuple(pairs.values())),
    )


def _placement(told: Measured, role: Role) -> Placement | None:
    places = [placed(target) for target in told.targets]
    storages = dict.fromkeys(place.packages if role == "packages" else place.layers for place in places)
    found = {
        pair: _against(told, pair[1], items)
        for pair in permutations(storages, 2)
        if (items := tuple(_evidence(told, role, *pair)))
    }
    if not found:
        return None
    least = max(dict.fromkeys(first for first, _ in found), key=lambda each: _saved(found, each))
    against = sorted((found[pair] for pair in found if pair[0] == least), key=lambda each: each.ratio.value)
    undecided = [each.storage for each in against if not each.ratio.decided or each.ratio.value < 1]
    return Placement(role=role, best=(least, *undecided), against=tuple(against))


def _saved(found: Mapping[tuple[str, str], Against], storage: str) -> float:
    return fmean(log(each.ratio.value) for pair, each in found.items() if pair[0] == storage)


def _evidence(told: Measured, role: Role, first: str, second: str) -> Iterator[tuple[str, str, str]]:
    """Scenarios and pairs of targets which differ in nothing but where this role's things are."""
    places = [placed(target) for target in told.targets]
    others = dict.fromkeys(storage for place in places for storage in (place.layers, place.packages))
    for scenario in SCENARIOS[role]:
        pairs = [(first, second)]
        if scenario in _OF_BOTH:
            pairs = [
                (split(first, other), split(second, other))
                if role == "layers"
                else (split(other, first), split(other, second))
                for other in others
            ]
        for one, other in pairs:
            if told.pairs(scenario, one, other):
                yield scenario, one, other


def _against(told: Measured, storage: str, items: Sequence[tuple[str, str, str]]) -> Against:
    rounds = [told.pairs(*item) for item in items]
    # The mean of the same scenarios in each round: one that lacks a scenario would be the mean of others.
    whole = sorted(set(rounds[0]).intersection(*rounds))
    logs = [fmean(_log(each[number]) for each in rounds) for number in whole]
    return Against(
        storage=storage,
        # Where no round is whole, what there is makes one value, of which nothing is concluded.
        ratio=ratio_of_logs(logs or [fmean(_log(pair) for each in rounds for pair in each.values())]),
        scenarios=tuple(each for item in items if (each := compared(told, *item)) is not None),
    )


def _log(pair: tuple[float, float]) -> float:
    return log(pair[1] / pair[0])
