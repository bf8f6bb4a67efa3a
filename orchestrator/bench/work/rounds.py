"""Which runs are made, and in which order. Pure.

Runs that are compared come next to each other: every target's daemon is up while a scenario goes from one to the next,
and who begins changes with each scenario and each round, so that neither warmth nor what the machine does besides is
always on the same side. A round has its own daemons on empty directories.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from orchestrator.bench.work.dockerfile import VERBS

_Item = TypeVar("_Item")
_ALL: Final = frozenset(VERBS)
_MOST_SPLIT = 3
"""Targets: of more, there would be too many pairs."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where what lies, by the names of targets."""

    layers: str
    packages: str
    """Package caches, and the layer cache of BUILD_CACHE_DIR."""

    @property
    def name(self) -> str:
        """As reports call it."""
        if self.layers == self.packages:
            return self.layers
        return f"layers={self.layers}+packages={self.packages}"


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is done in a run."""

    name: str
    executes: frozenset[str] = frozenset()
    """The steps that must run, all others of them being cached; else the run counts for nothing."""
    weight: float = 1.0
    """How long it takes beside others, as a first guess."""
    measured: bool = True
    caches: bool = False
    """Whether the daemon must be able to write and read a layer cache in a directory."""


FIRST = Scenario(name="no-cache/first", executes=_ALL, weight=6)
AGAIN = Scenario(name="no-cache/again", executes=_ALL, weight=5)
EXPORT = Scenario(name="export", weight=1.5, caches=True)
KEEP = Scenario(name="packages/keep", weight=1.5, caches=True)
PULL = Scenario(name="pull", weight=1)
PARALLEL = Scenario(name="parallel", executes=_ALL, weight=10)
CACHED_FIRST = Scenario(name="cache/first", executes=frozenset({"sources"}), weight=4, caches=True)
WARM = Scenario(name="warm", weight=5, measured=False)
"""In place of it, where there are no such caches: the same state of the daemon."""
SOURCE = Scenario(name="cache/source", executes=frozenset({"sources"}), weight=1)
LOCKFILE = Scenario(name="cache/lockfile", executes=frozenset({"wheels", "tarballs", "sources"}), weight=3)
SAME = Scenario(name="cache/same", weight=0.3)
IMPORT = Scenario(name="import", weight=2, caches=True)


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Daemons on empty directories, and the scenarios that they go through."""

    places: tuple[Place, ...]
    scenarios: tuple[Scenario, ...]

    def runs(self, number: int) -> Sequence[tuple[Scenario, Place]]:
        """All runs in their order.

        Args:
            number: the round's.
        """
        return [
            (scenario, place)
            for index, scenario in enumerate(self.scenarios)
            for place in turned(self.places, number + index)
        ]


def phases(targets: Sequence[str], *, caches: bool) -> Sequence[Phase]:
    """One round.

    Args:
        targets: their names.
        caches: whether daemons write and read layer caches in directories.
    """
    plain = tuple(Place(layers=name, packages=name) for name in targets)
    split = tuple(
        Place(layers=layers, packages=packages)
        for layers in targets
        for packages in targets
        if layers != packages and len(targets) <= _MOST_SPLIT
    )
    found = [
        Phase(places=plain, scenarios=_possible((FIRST, AGAIN, EXPORT, KEEP, PULL, PARALLEL), caches=caches)),
        Phase(places=plain, scenarios=(CACHED_FIRST if caches else WARM, SOURCE, LOCKFILE, SAME)),
    ]
    if caches:
        found.append(Phase(places=plain, scenarios=(IMPORT,)))
        # One at a time: of three targets there are six.
        found += [Phase(places=(place,), scenarios=(CACHED_FIRST,)) for place in split]
    return found


def turned(places: Sequence[_Item], by: int) -> Sequence[_Item]:
    """The same in the order in which another one begins."""
    at = by % len(places)
    return (*places[at:], *places[:at])


def _possible(scenarios: Sequence[Scenario], *, caches: bool) -> tuple[Scenario, ...]:
    return tuple(each for each in scenarios if caches or not each.caches)
