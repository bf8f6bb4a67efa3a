"""Two reports of the same benchmark: what became slower, what faster, and of what nothing can be said. Pure.

Two reports are of different days, so nothing is paired. A change is one when the interval of the ratio is not wider
than the difference, and each report's median lies outside of what the other one stated for a repeat: a gate that stops
people for what another run would not show again is soon no gate.

Reports are comparable when they are of one benchmark and say the same of everything that shapes the figures. Another
machine is none of that, since hosts are compared, too; it is told.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from orchestrator.bench.measured import cost, measured
from orchestrator.bench.result import Figure, Report, Result, Series, Timing
from orchestrator.bench.statistics import Ratio, apart_ratio, spread

TOLD = ("path.", "told.")
"""How settings begin that are told and shape nothing."""

Change = Literal["worse", "better", "same", "unknown"]
"""`same`: no change is shown; `unknown`: a single run on one side, of which none can be."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One figure in both reports."""

    name: str
    unit: str
    before: float
    after: float
    ratio: Ratio
    """Of what it costs afterwards: over 1 is worse, whatever the unit."""
    change: Change


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two reports say together."""

    refused: tuple[str, ...] = ()
    """Why they are not comparable; then nothing else is here, unless it was forced."""
    changed: tuple[Changed, ...] = ()
    lacking: tuple[str, ...] = ()
    """What only the second has."""
    notes: tuple[str, ...] = ()

    @property
    def regressions(self) -> tuple[Changed, ...]:
        """What became worse beyond the intervals."""
        return tuple(each for each in self.changed if each.change == "worse")


def compare(before: Report, after: Report, *, forced: bool = False) -> Comparison:
    """Hold a report against an earlier one, or against another host's.

    Args:
        before: what is held against.
        after: what is judged.
        forced: compare what differs in what shapes the figures, too. Other benchmarks stay incomparable.
    """
    refused = tuple(_refused(before, after))
    if before.benchmark != after.benchmark or (refused and not forced):
        return Comparison(refused=refused)
    changed = (*_series(before, after), *_ratios(before, after), *_timings(before, after), *_figures(before, after))
    if not changed:
        return Comparison(refused=(*refused, "they have nothing in common"))
    return Comparison(
        refused=refused,
        changed=changed,
        lacking=tuple(f"{name} is only in the second" for name in sorted(_names(after) - _names(before))),
        notes=tuple(_notes(before, after)),
    )


def _refused(before: Report, after: Report) -> Iterator[str]:
    if before.benchmark != after.benchmark:
        yield f"one is of {before.benchmark!r}, the other of {after.benchmark!r}"
        return
    ours, theirs = _shaping(before.settings), _shaping(after.settings)
    for name in dict.fromkeys((*ours, *theirs)):
        if ours.get(name) != theirs.get(name):
            yield f"{name} is {_said(ours.get(name))} in one, {_said(theirs.get(name))} in the other"
    # A gate is none that lets through whatever measures less.
    for name in sorted(_names(before) - _names(after)):
        yield f"{name} is only in the first"


def _shaping(settings: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in settings.items() if not name.startswith(TOLD)}


def _said(value: str | None) -> str:
    return "not told" if value is None else repr(value)


def _names(report: Report) -> set[str]:
    return {
        *(f"{each.scenario} on {each.target}" for each in report.series if each.samples),
        *(each.name for some in (report.results, report.timings, report.figures) for each in some),
    }


def _notes(before: Report, after: Report) -> Iterator[str]:
    if before.machine != after.machine:
        yield f"not the same machine: {before.machine}; {after.machine}"
    loads = [max((s.load for each in report.series for s in each.samples), default=0.0) for report in (before, after)]
    if max(loads) > 2 * min(loads) + 1:
        yield f"not at the same load: up to {loads[0]:.1f}; up to {loads[1]:.1f}"


def _series(before: Report, after: Report) -> Iterator[Changed]:
    ours, theirs = measured(before), measured(after)
    for key, one in ours.series.items():
        other = theirs.series.get(key)
        if other is not None and (other.unit, other.better) == (one.unit, one.better):
            yield _judged(f"{one.scenario} on {one.target}", one, other)


def _judged(name: str, one: Series, other: Series) -> Changed:
    costs = [tuple(cost(each, sample.value) for sample in each.samples) for each in (one, other)]
    ratio = apart_ratio(*costs)
    stated = [spread(each) for each in costs]
    outside = not stated[0].holds(stated[1].median) and not stated[1].holds(stated[0].median)
    return Changed(
        name=name,
        unit=one.unit,
        before=cost(one, stated[0].median),
        after=cost(other, stated[1].median),
        ratio=ratio,
        change=_change(ratio, outside=outside),
    )


def _change(ratio: Ratio, *, outside: bool) -> Change:
    if ratio.interval is None:
        return "unknown"
    if not (ratio.decided and outside):
        return "same"
    return "worse" if ratio.value > 1 else "better"


def _ratios(before: Report, after: Report) -> Iterator[Changed]:
    """Comparisons with a peer: intervals that share nothing are a change."""
    theirs = {each.name: each for each in after.results}
    for one in before.results:
        if (other := theirs.get(one.name)) is not None:
            yield _plain(one.name, "", (one.ratio, other.ratio), _moved(one, other))


def _moved(one: Result, other: Result) -> Change:
    if other.interval[0] > one.interval[1]:
        return "worse"
    return "better" if other.interval[1] < one.interval[0] else "same"


def _timings(before: Report, after: Report) -> Iterator[Changed]:
    """Seconds without a peer are held to a bar by their worst run: a change is that of being met."""
    theirs = {each.name: each for each in after.timings}
    for one in before.timings:
        if (other := theirs.get(one.name)) is not None:
            yield _plain(one.name, "s", (one.worst, other.worst), _met(one, other))


def _figures(before: Report, after: Report) -> Iterator[Changed]:
    theirs = {each.name: each for each in after.figures}
    for one in before.figures:
        other = theirs.get(one.name)
        if other is not None and other.unit == one.unit:
            yield _plain(one.name, one.unit, (one.value, other.value), _met(one, other))


def _met(one: Timing | Figure, other: Timing | Figure) -> Change:
    if one.met == other.met:
        return "same"
    return "worse" if one.met else "better"


def _plain(name: str, unit: str, ends: tuple[float, float], change: Change) -> Changed:
    before, after = ends
    value = after / before if before > 0 and after > 0 else 1.0
    ratio = Ratio(value=value, interval=None, pairs=1)
    return Changed(name=name, unit=unit, before=before, after=after, ratio=ratio, change=change)
