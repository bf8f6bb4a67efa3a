"""Two reports: a gate that stops what became slower, and nobody else."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.bench.compare import compare
from orchestrator.bench.result import Figure, Report, Result, Side, timing
from tests.bench.made import drawn, rate, report, series


def test_a_repeat_is_no_regression() -> None:
    runs = [drawn({"local": 2, "cephfs": 6}, rounds=5, noise=0.1, seed=seed) for seed in range(20)]

    found = [compare(runs[0], run) for run in runs[1:]]

    # 16 figures in each of 19 comparisons.
    assert sum(len(each.regressions) for each in found) <= 0.02 * 16 * 19


def test_what_became_twice_as_slow_is_a_regression_and_the_way_back_is_none() -> None:
    before, after = (drawn({"local": takes}, rounds=5, noise=0.05, scenarios=["cache/source"]) for takes in (2, 4))

    found, back = compare(before, after), compare(after, before)

    [worse] = found.regressions
    assert (worse.name, worse.change) == ("cache/source on local", "worse")
    assert worse.ratio.value == pytest.approx(2, rel=0.1)
    assert ([each.change for each in back.changed], back.regressions) == (["better"], ())


def test_fewer_a_second_is_worse() -> None:
    before, after = (
        report(msgspec.structs.replace(series("raw/fsync", "local", values), unit="1/s", better="more"))
        for values in ([1000, 1010, 990], [500, 505, 495])
    )

    [worse] = compare(before, after).regressions

    assert (round(worse.before), round(worse.after)) == (1000, 500)
    assert worse.ratio.value == pytest.approx(2, rel=0.01)


def test_of_single_runs_nothing_is_known() -> None:
    [found] = compare(report(rate("local", 1000)), report(rate("local", 10))).changed

    assert found.change == "unknown"


@settings(max_examples=40)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=6), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_a_report_is_never_worse_both_ways(ours: list[float], theirs: list[float]) -> None:
    one, other = report(series("pull", "local", ours)), report(series("pull", "local", theirs))

    assert not (compare(one, other).regressions and compare(other, one).regressions)
    assert compare(one, one).regressions == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"benchmark": "peers"}, "one is of 'storage', the other of 'peers'"),
        ({"settings": {"seed": "8"}}, "seed is '7' in one, '8' in the other"),
        ({"settings": {}}, "seed is '7' in one, not told in the other"),
        ({"settings": {"seed": "7", "size": "quick"}}, "size is not told in one, 'quick' in the other"),
        ({"series": (series("pull", "nfs", [1]),)}, "pull on local is only in the first"),
        ({"series": ()}, "pull on local is only in the first"),
        ({"series": (series("pull", "local", []),)}, "pull on local is only in the first"),
    ],
)
def test_what_is_not_comparable_is_refused_with_the_reason(change: dict[str, Any], why: str) -> None:
    one = report(series("pull", "local", [1, 1]))

    found = compare(one, msgspec.structs.replace(one, **change))

    assert (found.refused, found.changed) == ((why,), ())


def test_what_is_only_told_may_differ_and_another_machine_is_noted() -> None:
    one = report(series("pull", "local", [1, 1]), settings={"path.local": "/a"})
    other = report(series("pull", "local", [1, 1]), settings={"path.local": "/b"}, machine="8 cores")

    found = compare(one, other)

    assert (found.refused, len(found.changed)) == ((), 1)
    assert found.notes == ("not the same machine: 2 cores; 8 cores",)


def test_force_compares_other_settings_and_never_other_benchmarks() -> None:
    one = report(series("pull", "local", [1, 1]))
    other = msgspec.structs.replace(one, settings={"seed": "8"})

    forced = compare(one, other, forced=True)

    assert (len(forced.refused), len(forced.changed)) == (1, 1)
    assert compare(one, msgspec.structs.replace(one, benchmark="peers"), forced=True).changed == ()


def test_what_only_one_of_them_has_is_told() -> None:
    both = series("pull", "local", [1, 1])

    found = compare(report(both), report(both, series("pull", "nfs", [1, 1])))

    assert found.lacking == ("pull on nfs is only in the second",)


def _benchmark(**made: Any) -> Report:  # noqa: ANN401 -- fields of a report
    return Report(benchmark="plan", date="2026-11-22", commit="c", machine="m", **made)


def _comparison(low: float, high: float) -> Result:
    side = Side(command=("true",), median=1, solves=0, executed=0, cached=0)
    return Result(
        name="a",
        unit="s",
        ours=side,
        theirs=side,
        ratio=(low + high) / 2,
        interval=(low, high),
        bar=1,
        rounds=15,
        void=0,
        load=(0, 1),
    )


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (_benchmark(results=(_comparison(0.8, 0.9),)), _benchmark(results=(_comparison(0.85, 1.1),)), "same"),
        (_benchmark(results=(_comparison(0.8, 0.9),)), _benchmark(results=(_comparison(0.95, 1.1),)), "worse"),
        (_benchmark(results=(_comparison(0.8, 0.9),)), _benchmark(results=(_comparison(0.1, 0.2),)), "better"),
        *(
            (
                _benchmark(timings=(timing("a", ["true"], [before], bar=1, loads=[0]),)),
                _benchmark(timings=(timing("a", ["true"], [after], bar=1, loads=[0]),)),
                change,
            )
            for before, after, change in ((0.5, 0.9, "same"), (0.9, 1.1, "worse"), (1.1, 0.9, "better"))
        ),
        *(
            (
                _benchmark(figures=(Figure(name="a", unit="%", value=before, bar=75, bar_is="at least", load=(0, 1)),)),
                _benchmark(figures=(Figure(name="a", unit="%", value=after, bar=75, bar_is="at least", load=(0, 1)),)),
                change,
            )
            for before, after, change in ((90, 80, "same"), (80, 70, "worse"), (70, 80, "better"))
        ),
    ],
)
def test_reports_without_series_are_compared_by_their_intervals_and_bars(
    before: Report, after: Report, change: str
) -> None:
    [found] = compare(before, after).changed

    assert found.change == change
