"""A report as a picture, PNG or SVG; the same report gives the same bytes with the same matplotlib.

matplotlib is an extra that few need (`fleetpacks[plots]`), and large. It is imported where a picture is made, under no
name that a type checker would have to know, and without pyplot, so that there is neither a display nor a global state.
"""

import importlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from orchestrator.bench.measured import Measured, measured, values
from orchestrator.bench.result import Report, Result, Timing
from orchestrator.bench.statistics import spread
from orchestrator.bench.verdict import compared
from orchestrator.errors import UsageError
from orchestrator.text import inline

Kind = Literal["png", "svg"]

_KINDS: dict[str, Kind] = {".png": "png", ".svg": "svg"}
_SETTINGS = {"svg.hashsalt": "fleetpacks", "svg.fonttype": "none", "font.size": 9.0}
_WIDTH, _LINE, _REST = 10.0, 0.32, 1.6
"""Inches: of the picture, of a line in it, and of what is around the lines."""
_DPI = 120
_LONGEST = 80
"""Characters of a name."""
_SPREAD_OVER = 0.7
"""The part of a scenario's place that its targets share."""


def check(path: Path, *, said_by: str = "--plot") -> Kind:
    """Find out before there is a report whether it can be drawn.

    Args:
        path: where the picture goes; its name says of which kind it is.
        said_by: the option that names it.

    Raises:
        UsageError: the name says no kind, or matplotlib is not installed.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{said_by} {path}: not the name of a picture", hint="Let it end in .png or .svg.")
    _import("matplotlib")
    return kind


def draw(report: Report, kind: Kind) -> bytes:
    """The picture of a report.

    Raises:
        UsageError: there is nothing in it that has a picture, or matplotlib is not installed.
    """
    panels = _panels(report)
    if not panels:
        raise UsageError(
            f"a report of {report.benchmark} has no series and no comparisons: nothing to draw",
            hint="Read it as a table.",
        )
    heights = [_REST + _LINE * lines for lines, _ in panels]
    with _import("matplotlib").rc_context(_SETTINGS):
        picture = _import("matplotlib.figure").Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        axes = picture.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for (_, fill), (place,) in zip(panels, axes, strict=True):
            fill(place)
        picture.suptitle(f"{_name(report.benchmark)}, {report.date}: {_name(report.machine)}", fontsize=8)
        written = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {}
        picture.savefig(written, format=kind, dpi=_DPI, metadata=metadata)
    return written.getvalue()


def _import(name: str) -> Any:  # noqa: ANN401 -- matplotlib's own types are there only where it is installed
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"a picture needs matplotlib, which cannot be imported: {error}", hint="pip install 'fleetpacks[plots]'"
        ) from error


def _panels(report: Report) -> list[tuple[int, Callable[[Any], None]]]:
    """What is drawn, one below the other: the number of its lines, and what draws it."""
    panels: list[tuple[int, Callable[[Any], None]]] = []
    told = measured(report)
    seconds = [
        each for each in told.scenarios if any(each == key[0] and s.unit == "s" for key, s in told.series.items())
    ]
    if seconds:
        panels.append((len(seconds) * len(told.targets), lambda place: _taken(place, told, seconds)))
    first, *others = told.targets or ("",)
    both = [each for each in told.scenarios if any(told.pairs(each, first, other) for other in others)]
    if both:
        panels.append((len(both) * len(others), lambda place: _times(place, told, both, first, others)))
    if report.results:
        panels.append((len(report.results), lambda place: _comparisons(place, report.results)))
    if report.timings:
        panels.append((len(report.timings), lambda place: _timings(place, report.timings)))
    return panels


def _taken(place: Any, told: Measured, scenarios: Sequence[str]) -> None:  # noqa: ANN401 -- as above
    for number, target in enumerate(told.targets):
        for row, scenario in enumerate(scenarios):
            if (series := told.get(scenario, target)) is None:
                continue
            found, at = spread(values(series)), _at(row, number, len(told.targets))
            runs = values(series)
            place.plot(runs, [at] * len(runs), "|", color=f"C{number}", alpha=0.6, markersize=7)
            _point(place, found.median, found.interval, at, number)
        place.plot([], [], "o", color=f"C{number}", label=_name(target))
    _logarithmic(place)
    place.set_xlabel("seconds: each run, the median, and where that of a repeat will lie (95 %)")
    _lines(place, scenarios)
    place.legend(loc="best")


def _times(place: Any, told: Measured, scenarios: Sequence[str], first: str, others: Sequence[str]) -> None:  # noqa: ANN401 -- as above
    for number, other in enumerate(others, 1):
        for row, scenario in enumerate(scenarios):
            if (both := compared(told, scenario, first, other)) is not None:
                _point(place, both.ratio.value, both.ratio.interval, _at(row, number - 1, len(others)), number)
        place.plot([], [], "o", color=f"C{number}", label=_name(other))
    place.axvline(1, color="C0", linewidth=1)
    _logarithmic(place)
    place.set_xlabel(f"times as long as on {_name(first)} (90 % interval)")
    _lines(place, scenarios)
    place.legend(loc="best")


def _comparisons(place: Any, results: Sequence[Result]) -> None:  # noqa: ANN401 -- as above
    for row, each in enumerate(results):
        _point(place, each.ratio, each.interval, row, 0)
        if each.bar_on == "ratio":
            place.plot([each.bar], [row], "|", color="C3", markersize=16)
    _logarithmic(place)
    place.set_xlabel("ours as a multiple of theirs (90 % interval; red: the bar)")
    _lines(place, [each.name for each in results])


def _timings(place: Any, timings: Sequence[Timing]) -> None:  # noqa: ANN401 -- as above
    for row, each in enumerate(timings):
        _point(place, each.median, (each.median, each.worst), row, 0)
        place.plot([each.bar], [row], "|", color="C3", markersize=16)
    place.set_xlabel("seconds: the median and the worst run (red: the bar)")
    _lines(place, [each.name for each in timings])


def _at(row: int, number: int, count: int) -> float:
    """Where a target's mark is in its scenario's place."""
    return row + _SPREAD_OVER * ((number + 0.5) / count - 0.5)


def _point(place: Any, middle: float, interval: tuple[float, float] | None, at: float, color: int) -> None:  # noqa: ANN401 -- as above
    reach = None if interval is None else [[middle - interval[0]], [interval[1] - middle]]
    place.errorbar([middle], [at], xerr=reach, fmt="o", color=f"C{color}", markersize=4, capsize=3)


def _logarithmic(place: Any) -> None:  # noqa: ANN401 -- as above
    place.set_xscale("log")
    place.xaxis.set_major_formatter("{x:g}")


def _lines(place: Any, names: Sequence[str]) -> None:  # noqa: ANN401 -- as above
    place.set_yticks(range(len(names)), [_name(each) for each in names])
    place.invert_yaxis()
    place.grid(visible=True, axis="x", alpha=0.3)


def _name(text: str) -> str:
    # matplotlib takes what is between two dollars for a formula.
    return inline(text, _LONGEST).replace("$", "\\$")
