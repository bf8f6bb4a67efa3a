"""What the benchmarks of several hosts compute, in small."""

from benchmarks.fleet import second, speedup
from benchmarks.fleet.placement import placement
from benchmarks.fleet.pool import Ran
from orchestrator.bench.markdown import table
from orchestrator.bench.result import Report
from orchestrator.events import AppCompleted, AppStarted


def test_a_small_simulation_places_every_build_and_moves_no_app_that_need_not_move() -> None:
    figures = placement(60, 300, 400, seed=1)

    rows = {figure.name: figure for figure in figures}
    assert [figure.runs for figure in figures if "processor time" in figure.name] == [300, 300, 400]
    assert [figure.value for figure in figures if "move" in figure.name] == [0, 0]
    assert rows["the day: builds where their app was built before"].value > 90
    report = Report(benchmark="fleet-placement", date="d", commit="c", machine="m", results=(), figures=tuple(figures))
    assert len(table(report).splitlines()) == len(figures) + 2


def _ran(places: dict[str, str], *, seconds: float, cached: int, sent: int) -> Ran:
    started = [AppStarted(time=0, app=app, host=host, image="i") for app, host in places.items()]
    completed = [
        AppCompleted(
            time=1, app=app, image="i", tags=(), digest=None, seconds=seconds, steps=4, cached=cached, sent_bytes=sent
        )
        for app in places
    ]
    return Ran(seconds=seconds * len(places), idle=0.5, events=(*started, *completed))


def test_a_second_run_is_held_to_its_worst_host() -> None:
    first = _ran({"a": "one", "b": "two", "c": "two"}, seconds=1, cached=0, sent=1000)
    again = _ran({"a": "one", "b": "two", "c": "one"}, seconds=1, cached=3, sent=20)

    steps, sent = second.figures(first, again, loads=(0, 0))

    assert (steps.value, steps.met, "1 apps" in steps.note) == (75, False, True)
    assert (sent.value, sent.met) == (4, False)


def test_no_makespan_is_expected_below_the_longest_build_or_an_even_share() -> None:
    assert speedup.least([2.0] * 4, hosts=2) == 4
    assert speedup.least([2.0, 9.0], hosts=2) == 9
