"""A report as tables, whatever they are printed as."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from orchestrator.bench.measured import Measured, fact, measured, steps, values
from orchestrator.bench.result import Figure, Report, Result, Series, Timing
from orchestrator.bench.statistics import Ratio, spread
from orchestrator.bench.verdict import compared
from orchestrator.text import size

_WHOLE, _TENTHS, _HUNDREDTHS = 100, 10, 0.1
"""From which on numbers are shown so."""
_OPEN = 10
"""An interval whose ends are further apart than so many times says nothing that its figures would."""
_WORTH = 0.05
"""A build step below this share of its build is not shown."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of cells below a head of as many."""

    title: str = ""
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Report) -> tuple[Table, ...]:
    """All tables of a report, without those that would be empty."""
    told = measured(report)
    made = (
        Table(
            head=(
                "comparison",
                "unit",
                "ours",
                "theirs",
                "ratio (90 % interval)",
                "bar",
                "pairs",
                "solves",
                "steps run / cached",
            ),
            rows=tuple(map(_comparison, report.results)),
        ),
        *(_of_series(told) if told.series else ()),
        Table(head=("figure", "bar", "measured", ""), rows=tuple(map(_figure, report.figures))),
        Table(head=("what", "bar", "worst", "median", "runs"), rows=tuple(map(_timing, report.timings))),
    )
    return tuple(each for each in made if each.rows)


def figure(value: float) -> str:
    """A number with about three digits, and never with an exponent for what people can read without."""
    if value >= _WHOLE:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= _TENTHS else f"{value:.2f}" if value >= _HUNDREDTHS else f"{value:.2g}"


def amount(value: float, unit: str) -> str:
    """A value with its unit."""
    if unit == "B/s":
        return f"{size(round(value))}/s"
    return f"{figure(value)}/s" if unit == "1/s" else f"{figure(value)} {unit}"


def taken(series: Series) -> str:
    """A series' median and interval."""
    found = spread(values(series))
    middle = amount(found.median, series.unit)
    if found.interval is None:
        return middle
    if _is_open(found.interval):
        return f"{middle} (?)"
    low, high = (amount(end, series.unit).removesuffix("/s").removesuffix(f" {series.unit}") for end in found.interval)
    return f"{middle} ({low} to {high})"


def times(ratio: Ratio) -> str:
    """A ratio and its interval."""
    if ratio.interval is None:
        return f"{figure(ratio.value)} (one round)"
    if _is_open(ratio.interval) and not ratio.decided:
        return f"{figure(ratio.value)} (?)"
    low, high = ratio.interval
    return f"{figure(ratio.value)} ({figure(low)} to {figure(high)})"


def _is_open(interval: tuple[float, float]) -> bool:
    return interval[1] > _OPEN * interval[0]


def _of_series(told: Measured) -> Iterator[Table]:
    first, *others = told.targets
    yield Table(
        title="What it took: the median, and where that of a repeat will lie (95 %; a question mark: hardly known)",
        head=("scenario", "runs", *told.targets),
        rows=tuple(_medians(told, scenario) for scenario in told.scenarios),
    )
    if others:
        yield Table(
            title=f"How many times as long as on {first} (90 % interval; a question mark: nothing is concluded)",
            head=("scenario", *others),
            rows=tuple(row for each in told.scenarios if any((row := _ratios(told, each, first, others))[1:])),
        )
    yield Table(
        title="What lies behind it: medians of the runs",
        head=(
            "scenario",
            "target",
            "load",
            "iowait",
            "cpu",
            "sync after",
            "fsync",
            "written",
            "to the device",
            "amplification",
        ),
        rows=tuple(_facts(each) for each in told.series.values() if any(sample.facts for sample in each.samples)),
    )
    yield Table(
        title="Where the time went: seconds of build steps",
        head=("scenario", "step", *told.targets),
        rows=tuple(row for scenario in told.scenarios for row in _steps_of(told, scenario)),
    )


def _medians(told: Measured, scenario: str) -> tuple[str, ...]:
    found = [told.get(scenario, target) for target in told.targets]
    counts = sorted({len(each.samples) for each in found if each is not None})
    runs = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return scenario, runs, *("" if each is None else taken(each) for each in found)


def _ratios(told: Measured, scenario: str, first: str, others: Sequence[str]) -> tuple[str, ...]:
    found = [compared(told, scenario, first, other) for other in others]
    return (
        scenario,
        *("" if each is None else _marked(each.ratio) for each in found),
    )


def _marked(ratio: Ratio) -> str:
    told = times(ratio)
    return told if ratio.decided or told.endswith("(?)") else f"{told} ?"


def _facts(series: Series) -> tuple[str, ...]:
    samples = series.samples
    loads = [sample.load for sample in samples]
    known = {name: fact(samples, name) for name in ("iowait", "cpu", "settle", "fsync", "written", "device-written")}
    amplified = fact(samples, "amplification")
    return (
        series.scenario,
        series.target,
        f"{min(loads):.1f} to {max(loads):.1f}",
        "" if (share := known["iowait"]) is None else f"{share:.0%}",
        *("" if (seconds := known[name]) is None else amount(seconds, "s") for name in ("cpu", "settle")),
        "" if (fsync := known["fsync"]) is None else f"{figure(fsync * 1000)} ms",
        *("" if (count := known[name]) is None else size(round(count)) for name in ("written", "device-written")),
        "" if amplified is None else figure(amplified),
    )


def _steps_of(told: Measured, scenario: str) -> Iterator[tuple[str, ...]]:
    found = [told.get(scenario, target) for target in told.targets]
    seconds: list[Mapping[str, float]] = [{} if each is None else steps(each.samples) for each in found]
    longest = max((sum(each.values()) for each in seconds), default=0.0)
    for name in dict.fromkeys(name for each in seconds for name in each):
        if any(each.get(name, 0.0) >= longest * _WORTH for each in seconds):
            yield scenario, name, *(figure(each[name]) if name in each else "" for each in seconds)


def _figure(each: Figure) -> tuple[str, ...]:
    unit = f" {each.unit}" if each.unit else ""
    bar = "" if each.bar is None else f"{each.bar_is} {each.bar:g}{unit}: {_met(each)}"
    return each.name, bar, f"{each.value:.4g}{unit}", each.note


def _timing(each: Timing) -> tuple[str, ...]:
    bar = f"{each.bar:.2g} s: {_met(each)}"
    return each.name, bar, f"{each.worst:.2f} s", f"{each.median:.2f} s", str(each.runs)


def _comparison(result: Result) -> tuple[str, ...]:
    low, high = result.interval
    ours, theirs = result.ours, result.theirs
    return (
        result.name,
        result.unit,
        f"{ours.median:.4g}",
        f"{theirs.median:.4g}",
        f"{result.ratio:.3g} ({low:.3g} to {high:.3g})",
        f"{result.bar_on} at most {result.bar:g}: {_met(result)}",
        str(result.rounds),
        f"{ours.solves} / {theirs.solves}",
        f"{ours.executed} / {ours.cached} against {theirs.executed} / {theirs.cached}",
    )


def _met(each: Result | Timing | Figure) -> str:
    return "met" if each.met else "MISSED"
