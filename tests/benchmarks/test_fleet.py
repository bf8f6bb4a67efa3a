"""What the benchmarks of several hosts compute, in small."""

from benchmarks.fleet.placement import placement
from benchmarks.result import Report, table


def test_a_small_simulation_places_every_build_and_moves_no_app_that_need_not_move() -> None:
    figures = placement(60, 300, 400, seed=1)

    rows = {figure.name: figure for figure in figures}
    assert [figure.runs for figure in figures if "processor time" in figure.name] == [300, 300, 400]
    assert [figure.value for figure in figures if "move" in figure.name] == [0, 0]
    assert rows["the day: builds where their app was built before"].value > 90
    report = Report(benchmark="fleet-placement", date="d", commit="c", machine="m", results=(), figures=tuple(figures))
    assert len(table(report).splitlines()) == len(figures) + 2
