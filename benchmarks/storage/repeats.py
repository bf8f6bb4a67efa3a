"""`repeats`: the same measurement again and again: does a repeat's median lie where the one before said it would?

Each is a whole `fleetpacks bench storage --quick`. A case is one scenario on one target in one repeat, held against the
interval that the measurement before stated; what was run only once states none. The interval is meant to hold 95 %, and
nine of ten are asked for: machines have better and worse hours, which no interval of three minutes knows.

The measurements lie in a file, a line each without their facts, and a run goes on where the last one ended.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.storage.measuring import Case, measured_here
from orchestrator.bench.measured import measured, values
from orchestrator.bench.reading import decode
from orchestrator.bench.result import Figure, Report, Series
from orchestrator.bench.statistics import spread
from orchestrator.text import duration

FILE = Path(__file__).parents[1] / "results" / "storage-repeats.jsonl"
TIMES = 10
_AGREED = 90.0
_FIRST_ANSWER = 180.0
_SECONDS = "told.seconds"


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How often repeats agreed on one scenario and target."""

    name: str
    agreed: int
    cases: int
    reach: float
    """How far the stated intervals reach above their medians, as a share: their median."""


async def run_repeats(case: Case, *, times: int, file: Path = FILE) -> Report:
    """Measure until there are so many repeats, beside the first one, and tell how they agree."""
    made = read(file)
    while len(made) <= times:
        print(f"measurement {len(made) + 1} of {times + 1}", file=sys.stderr)
        report, seconds = await measured_here(case, quick=True)
        line = _line(report, seconds)
        with file.open("ab") as opened:
            opened.write(msgspec.json.encode(line) + b"\n")
        made.append(line)
    last = made[-1]
    return Report(
        benchmark="storage-repeats",
        date=last.date,
        commit=last.commit,
        machine=last.machine,
        figures=figures(made),
        settings={name: value for name, value in last.settings.items() if name != _SECONDS},
    )


def read(file: Path) -> list[Report]:
    """The measurements so far."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [decode(line, name=f"{file}:{number}") for number, line in enumerate(lines, 1)]


def figures(made: Sequence[Report]) -> tuple[Figure, ...]:
    """What the measurements say together."""
    found = agreements(made)
    cases, agreed = sum(each.cases for each in found), sum(each.agreed for each in found)
    loads = [sample.load for report in made for series in report.series for sample in series.samples]
    load = (min(loads), max(loads))
    took = [float(report.settings[_SECONDS]) for report in made]
    own = [each.value for report in made for each in report.figures if each.unit == "%"]
    head = (
        Figure(
            name="medians of repeats that lay where the measurement before said (95 %)",
            unit="%",
            value=100 * agreed / cases if cases else 0.0,
            bar=_AGREED,
            bar_is="at least",
            runs=len(made),
            load=load,
            note=f"{agreed} of {cases} scenarios on targets in {len(made) - 1} repeats",
        ),
        Figure(
            name="`bench storage --quick` of two targets, with all that is made and deleted: the slowest",
            unit="s",
            value=max(took),
            bar=_FIRST_ANSWER,
            runs=len(made),
            load=load,
            note=f"median {duration(median(took))}",
        ),
        Figure(
            name="what the harness took of the wall time: the most",
            unit="%",
            value=max(own, default=0.0),
            bar=2,
            runs=len(made),
            load=load,
        ),
    )
    return (
        *head,
        *(
            Figure(
                name=f"{each.name}: repeats that agreed",
                unit=f"of {each.cases}",
                value=each.agreed,
                runs=len(made),
                load=load,
                note=f"an interval reaches {each.reach:.0%} above its median",
            )
            for each in found
        ),
    )


def agreements(made: Sequence[Report]) -> tuple[Agreement, ...]:
    """How often each measurement agreed with the one before, by scenario and target."""
    told: defaultdict[str, list[tuple[bool, float]]] = defaultdict(list)
    for before, after in pairwise(made):
        for name, one, other in _both(before, after):
            stated = spread(values(one))
            if stated.interval is not None:
                again = spread(values(other)).median
                told[name].append((stated.holds(again), stated.interval[1] / stated.median - 1))
    return tuple(
        Agreement(
            name=name,
            agreed=sum(held for held, _ in cases),
            cases=len(cases),
            reach=median(reach for _, reach in cases),
        )
        for name, cases in told.items()
    )


def _both(before: Report, after: Report) -> Iterator[tuple[str, Series, Series]]:
    ours, theirs = measured(before), measured(after)
    for (scenario, target), one in ours.series.items():
        if (other := theirs.get(scenario, target)) is not None:
            yield f"{scenario} on {target}", one, other


def _line(report: Report, seconds: float) -> Report:
    """A measurement as it is kept."""
    series = tuple(
        msgspec.structs.replace(
            each, samples=tuple(msgspec.structs.replace(sample, facts={}) for sample in each.samples)
        )
        for each in report.series
    )
    settings = {**report.settings, _SECONDS: f"{seconds:.1f}"}
    return msgspec.structs.replace(report, series=series, settings=settings)
