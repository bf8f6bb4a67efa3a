"""What to put where: concluded from what was measured, and from nothing else."""

from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from orchestrator.bench.causes import causes
from orchestrator.bench.measured import Placed, placed, split
from orchestrator.bench.result import Report
from orchestrator.bench.telling import conclusions
from orchestrator.bench.verdict import Placement, Role, verdict
from tests.bench.made import BUILDS, drawn, rate, report, series

_SPLITS = ("local", "cephfs", split("local", "cephfs"), split("cephfs", "local"))


def of(made: Report, role: Role) -> Placement:
    [found] = [each for each in verdict(made) if each.role == role]
    return found


@st.composite
def reports(draw: DrawFn) -> Report:
    rounds = draw(st.integers(1, 4))
    targets = draw(st.lists(st.sampled_from([*_SPLITS, "nfs"]), min_size=1, max_size=5, unique=True))
    seconds = st.lists(st.floats(0.01, 1000), min_size=rounds, max_size=rounds)
    scenarios = draw(st.lists(st.sampled_from([*BUILDS, "export"]), min_size=1, max_size=3, unique=True))
    return report(*(series(each, target, draw(seconds)) for each in scenarios for target in targets))


@settings(max_examples=30)
@given(reports())
def test_nothing_is_concluded_when_the_interval_is_wider_than_the_difference(made: Report) -> None:
    for placement in verdict(made):
        for each in placement.dearer:
            assert each.ratio.interval is not None
            low, high = each.ratio.interval
            assert log(high) - log(low) <= log(each.ratio.value) + 1e-9
            assert low > 1


@settings(max_examples=30)
@given(reports())
def test_every_storage_is_either_among_the_best_or_dearer(made: Report) -> None:
    for placement in verdict(made):
        names = [placement.best[0], *(each.storage for each in placement.against)]

        assert len(set(names)) == len(names)
        assert {*placement.best, *(each.storage for each in placement.dearer)} == set(names)
        assert "=" not in "".join(names)


@settings(max_examples=30)
@given(reports())
def test_whatever_is_concluded_can_be_told(made: Report) -> None:
    assert all(conclusions(made))


def test_a_clear_difference_is_concluded_with_what_it_costs() -> None:
    made = drawn({"local": 2, "cephfs": 6}, rounds=5, noise=0.1)

    layers = of(made, "layers")

    assert layers.best == ("local",)
    [dearer] = layers.dearer
    assert dearer.storage == "cephfs"
    assert dearer.ratio.value == pytest.approx(3, rel=0.1)
    # What uses package caches, too, was not measured with those left where they are.
    assert [each.scenario for each in dearer.scenarios] == [name for name in BUILDS if name != "cache/first"]


@pytest.mark.parametrize(("takes", "noise"), [(2.1, 0.2), (2, 0.01), (3, 1.5)])
def test_what_is_not_clear_is_left_open(takes: float, noise: float) -> None:
    layers = of(drawn({"local": 2, "cephfs": takes}, rounds=3, noise=noise, scenarios=["cache/source"]), "layers")

    assert (set(layers.best), layers.decided, layers.dearer) == ({"local", "cephfs"}, False, ())


def test_one_round_says_nothing_and_how_many_would_say_more() -> None:
    told = list(conclusions(drawn({"local": 2, "cephfs": 6}, rounds=1, noise=0.1, scenarios=["cache/source"])))

    assert told[0] == "layers (the daemon's directory): nothing is concluded between local and cephfs"
    assert told[1].endswith(" times as long in one round, which says nothing: measure at least three")


def test_three_storages_are_ranked() -> None:
    layers = of(drawn({"cephfs": 6, "local": 2, "nfs": 4}, rounds=5, noise=0.05), "layers")

    assert layers.best == ("local",)
    assert [each.storage for each in layers.against] == ["nfs", "cephfs"]


def test_layers_and_package_caches_are_judged_apart_where_they_were_measured_apart() -> None:
    # Layers cost four times as much on cephfs; package caches nothing.
    takes = {target: 8.0 if placed(target).layers == "cephfs" else 2.0 for target in _SPLITS}
    made = drawn(takes, rounds=5, noise=0.02)

    layers, packages = of(made, "layers"), of(made, "packages")

    assert layers.best == ("local",)
    assert layers.dearer[0].ratio.value == pytest.approx(4, rel=0.1)
    assert [(each.first, each.second) for each in layers.dearer[0].scenarios if each.scenario == "cache/first"] == [
        ("local", "layers=cephfs+packages=local"),
        ("layers=local+packages=cephfs", "cephfs"),
    ]
    assert (set(packages.best), packages.decided) == ({"local", "cephfs"}, False)
    assert {each.scenario for each in packages.against[0].scenarios} == {"cache/first"}


def test_of_package_caches_nothing_is_said_that_was_not_measured_apart() -> None:
    assert [each.role for each in verdict(drawn({"local": 2, "cephfs": 6}, rounds=5, noise=0.1))] == [
        "layers",
        "registry",
    ]


def test_one_storage_alone_gives_no_verdict() -> None:
    assert verdict(drawn({"local": 2}, rounds=5, noise=0.1)) == ()


def test_a_round_that_lacks_a_scenario_is_left_out_of_the_mean() -> None:
    made = report(
        series("cache/source", "local", [1, 1, 1]),
        series("cache/source", "cephfs", [2, 2.1, 50]),
        series("cache/same", "local", [1, 1]),
        series("cache/same", "cephfs", [2, 2.1]),
    )

    [against] = of(made, "layers").against

    assert against.ratio.pairs == 2
    assert against.ratio.value == pytest.approx(2.05, rel=0.01)


def test_the_least_is_what_takes_the_least_whatever_was_named_first() -> None:
    first, second = ({"a": 1.0, "b": 3.0}, {"b": 3.0, "a": 1.0})

    assert of(drawn(first, rounds=4, noise=0.02), "registry").best == ("a",)
    assert of(drawn(second, rounds=4, noise=0.02), "registry").best == ("a",)


def test_counters_and_raw_figures_explain_a_difference() -> None:
    ours = {"fsync": 0.001, "iowait": 0.02, "device-written": 1e6, "step:npm": 2.0, "step:pip": 1.0}
    theirs = {"fsync": 0.04, "iowait": 0.31, "device-written": 1e6, "step:npm": 9.0, "step:pip": 1.5}
    made = report(
        rate("local", 4300, 4300),
        rate("cephfs", 100, 100),
        series("cache/source", "local", [4, 4], **ours),
        series("cache/source", "cephfs", [12, 12], **theirs),
    )

    [cause] = causes(made, "local")

    assert cause.reasons == (
        "43 times fewer small writes with fsync a second",
        "an fsync took 40 times as long beside the builds",
        "processors waited for storage 31% of the time, instead of 2%",
        "most is lost in npm (cache/source): 9 s instead of 2 s",
    )


@pytest.mark.parametrize("target", ["local", "layers=a+packages=b", "layers=a", "layers=+packages=", "layers="])
def test_a_targets_name_says_where_things_are(target: str) -> None:
    place = placed(target)

    assert placed(split(place.layers, place.packages)) == place
    assert placed("layers=a+packages=b") == Placed("a", "b")
