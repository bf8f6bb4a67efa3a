"""The one result type of all benchmarks: what users measure with `fleetpacks bench`, and what the project commits.

What was measured stays: a `Series` has its single runs, and medians, intervals, ratios and verdicts are computed from
them whenever they are shown. A `Result`, a `Timing` and a `Figure` are held to a bar, and keep what that took.
"""

import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measured run."""

    round: int
    """Runs of one round were interleaved: what is compared is compared within it."""
    value: Annotated[float, msgspec.Meta(gt=0)]
    """In the series' unit."""
    load: float
    """The machine's one-minute load when it began."""
    facts: Mapping[str, float] = {}
    """What explains it, by name: `iowait` (a share of all processors), `cpu` (processor seconds of everything),
    `fsync` (seconds, the median of a probe beside it), `written` (bytes by processes), `device-written` (bytes that
    reached the device below), `amplification`, `step:<name>` (seconds), `settle` (seconds until all of it was on the
    storage), `overhead` (seconds of the harness, before it), `harness-cpu` (its own processor seconds)."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of one scenario on one target."""

    scenario: str
    """`cache/source`, `pull`, `raw/fsync`."""
    target: str
    """The name of the storage: `local`, `cephfs`, a host's, or `layers=cephfs+packages=local`."""
    unit: str
    """`s`, `B/s` or `1/s`."""
    better: Literal["less", "more"]
    samples: tuple[Sample, ...]


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did, as the client's own machine-readable progress tells it."""

    executed: int
    cached: int


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a comparison: ours, or the peer's."""

    command: tuple[str, ...]
    median: float
    """In the result's unit."""
    solves: int
    """Solve requests in one run, counted at the socket."""
    executed: int
    """Steps that ran in one run."""
    cached: int
    """Steps that were found cached in one run."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison.

    `ratio` is the median over interleaved pairs of ours divided by theirs; `interval` holds it with at least 90 %
    confidence (order statistics of the pairs' ratios, which assume nothing of their distribution).
    """

    name: str
    unit: str
    ours: Side
    theirs: Side
    ratio: float
    interval: tuple[float, float]
    bar: float
    """What must not be exceeded, by what `bar_on` names."""
    bar_on: Literal["ratio", "ours"] = "ratio"
    """`ratio`: the interval's upper end; `ours`: our own median."""
    rounds: int
    void: int
    """Pairs that were measured and not counted, with the reasons in `notes`."""
    load: tuple[float, float]
    """The machine's one-minute load when the rounds began, least and most."""
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Whether the bar is met, with no more solves than the peer's."""
        reached = self.interval[1] if self.bar_on == "ratio" else self.ours.median
        return reached <= self.bar and self.ours.solves <= self.theirs.solves


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that have no peer: the worst run counts."""

    name: str
    command: tuple[str, ...]
    worst: float
    median: float
    bar: float
    """What the worst must not exceed, in seconds."""
    runs: int
    load: tuple[float, float]
    """The machine's one-minute load when the runs began, least and most."""

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.worst <= self.bar


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number that has no peer, in a unit of its own."""

    name: str
    unit: str
    """What stands behind the number; "" for a plain one."""
    value: float
    bar: float | None = None
    """None: what is told beside the others, and held to nothing."""
    bar_is: Literal["at most", "at least"] = "at most"
    runs: int = 1
    load: tuple[float, float]
    """The machine's one-minute load when the runs began, least and most."""
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        if self.bar is None:
            return True
        return self.value <= self.bar if self.bar_is == "at most" else self.value >= self.bar


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one benchmark measured on one machine."""

    format: int = 1
    benchmark: str
    date: str
    commit: str
    """Of the checkout that measured; the version of an installed program."""
    machine: str
    results: tuple[Result, ...] = ()
    timings: tuple[Timing, ...] = ()
    figures: tuple[Figure, ...] = ()
    series: tuple[Series, ...] = ()
    settings: Mapping[str, str] = {}
    """What must be alike for two reports to be comparable: `seed`, `size`, `base`, `daemon`, and for each target
    `target:<name>`, its file system and how it carries layers. What is only told begins with `path.` or `told.`."""
    notes: tuple[str, ...] = ()
    """What the reader must know: why a loop image was made, why a scenario is missing."""

    @property
    def met(self) -> bool:
        """Whether every bar is met."""
        made: tuple[tuple[Result | Timing | Figure, ...], ...] = (self.results, self.timings, self.figures)
        return all(each.met for some in made for each in some)


def median_interval(values: Sequence[float], confidence: float = 0.90) -> tuple[float, float]:
    """The narrowest symmetric interval of order statistics that holds the median.

    Args:
        values: at least one independent measurement.
        confidence: the least probability, between 0 and 1.

    Returns:
        Two of the values. Too few values for the confidence give the least and the most.
    """
    ordered = sorted(values)
    count = len(ordered)
    for low in range(count // 2, 0, -1):
        # The median lies outside [x(low), x(n+1-low)] when fewer than `low` values lie on one side of it.
        outside = 2 * sum(math.comb(count, k) for k in range(low)) / 2**count
        if 1 - outside >= confidence:
            return ordered[low - 1], ordered[count - low]
    return ordered[0], ordered[-1]


def side(command: Sequence[str], solves: int, steps: Steps) -> Side:
    """One side as it was counted; `paired` adds what was measured."""
    return Side(command=tuple(command), median=0, solves=solves, executed=steps.executed, cached=steps.cached)


def paired(
    name: str,
    pairs: Sequence[tuple[float, float]],
    *,
    unit: str,
    bar: float,
    ours: Side,
    theirs: Side,
    loads: Sequence[float],
    bar_on: Literal["ratio", "ours"] = "ratio",
    void: int = 0,
    notes: tuple[str, ...] = (),
) -> Result:
    """A comparison out of interleaved pairs of (ours, theirs).

    Raises:
        SystemExit: there is no pair that counts.
    """
    if not pairs:
        raise SystemExit(f"{name}: every pair was void\nhint: run it on a quiet machine")
    ratios = [mine / other for mine, other in pairs]
    return Result(
        name=name,
        unit=unit,
        ours=msgspec.structs.replace(ours, median=statistics.median(mine for mine, _ in pairs)),
        theirs=msgspec.structs.replace(theirs, median=statistics.median(other for _, other in pairs)),
        ratio=statistics.median(ratios),
        interval=median_interval(ratios),
        bar=bar,
        bar_on=bar_on,
        rounds=len(pairs),
        void=void,
        load=(min(loads), max(loads)),
        notes=notes,
    )


def timing(name: str, command: Sequence[str], runs: Sequence[float], *, bar: float, loads: Sequence[float]) -> Timing:
    """The seconds of runs."""
    return Timing(
        name=name,
        command=tuple(command),
        worst=max(runs),
        median=statistics.median(runs),
        bar=bar,
        runs=len(runs),
        load=(min(loads), max(loads)),
    )


def load() -> float:
    """The machine's one-minute load average."""
    return os.getloadavg()[0]


def machine() -> str:
    """The machine in words: processor count, memory, kernel."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB, {system}"
