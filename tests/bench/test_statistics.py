"""What is said of few runs holds as often as it is said to."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.statistics import Ratio, apart_ratio, paired_ratio, ratio_of_logs, spread

_TRIALS = 600

values = st.floats(1e-6, 1e6)


def lognormal(draw: random.Random, count: int, *, noise: float = 0.2, middle: float = 5.0) -> list[float]:
    return [middle * math.exp(draw.gauss(0, noise)) for _ in range(count)]


@given(st.lists(values, min_size=1, max_size=20))
def test_a_spread_holds_its_own_median(measured: list[float]) -> None:
    found = spread(measured)

    assert found.median == statistics.median(measured)
    assert (found.interval is None) == (len(measured) == 1)
    assert len(measured) == 1 or found.holds(found.median)


@given(st.lists(values, min_size=2, max_size=20), st.floats(0.01, 100))
def test_a_spread_is_the_same_in_every_unit(measured: list[float], factor: float) -> None:
    one, other = spread(measured), spread([value * factor for value in measured])

    assert one.interval is not None
    assert other.interval == pytest.approx([end * factor for end in one.interval])


@given(st.lists(st.tuples(values, values), min_size=1, max_size=20))
def test_a_ratio_lies_in_its_interval_and_turned_round_is_the_other_things(pairs: list[tuple[float, float]]) -> None:
    one, other = paired_ratio(pairs), paired_ratio([(second, first) for first, second in pairs])

    assert other.value == pytest.approx(one.inverted.value)
    assert (one.interval is None) == (len(pairs) == 1)
    if one.interval is not None and other.interval is not None:
        assert one.interval[0] <= one.value <= one.interval[1]
        assert other.interval == pytest.approx(one.inverted.interval, rel=1e-6)


@given(values, st.floats(0, 5), st.floats(0, 5), st.integers(2, 9))
def test_nothing_is_decided_when_the_interval_is_wider_than_the_difference(
    value: float, below: float, above: float, pairs: int
) -> None:
    ratio = Ratio(value=value, interval=(value * math.exp(-below), value * math.exp(above)), pairs=pairs)

    wider = below + above > abs(math.log(value)) + 1e-9

    assert not (ratio.decided and wider)


def test_one_round_decides_nothing_however_large_the_difference() -> None:
    assert not paired_ratio([(1, 1000)]).decided
    assert not apart_ratio([1], [1000, 1000]).decided


def test_a_difference_of_none_is_decided_by_no_interval() -> None:
    assert not paired_ratio([(1, 1), (1, 1), (1, 1)]).decided


@pytest.mark.parametrize("count", [3, 5, 7])
def test_the_median_of_a_repeat_lies_where_it_was_said_to(count: int) -> None:
    draw = random.Random(count)  # noqa: S311 -- no secret

    held = sum(spread(lognormal(draw, count)).holds(statistics.median(lognormal(draw, count))) for _ in range(_TRIALS))

    assert 0.93 <= held / _TRIALS <= 0.99


@pytest.mark.parametrize("count", [3, 5, 9])
@pytest.mark.parametrize("made", ["pairs", "apart"])
def test_the_true_ratio_lies_in_nine_intervals_of_ten(count: int, made: str) -> None:
    draw = random.Random(count)  # noqa: S311 -- no secret

    both = [(lognormal(draw, count), lognormal(draw, count, middle=10)) for _ in range(_TRIALS)]
    found = [
        apart_ratio(one, other) if made == "apart" else paired_ratio(list(zip(one, other, strict=True)))
        for one, other in both
    ]

    held = sum(each.interval is not None and each.interval[0] <= 2 <= each.interval[1] for each in found)
    assert 0.87 <= held / _TRIALS <= 0.97


@pytest.mark.parametrize("count", [3, 5])
def test_of_equals_hardly_ever_one_is_called_the_slower(count: int) -> None:
    draw = random.Random(count)  # noqa: S311 -- no secret

    wrong = sum(ratio_of_logs([draw.gauss(0, 0.2) for _ in range(count)]).decided for _ in range(_TRIALS))

    assert wrong / _TRIALS < 0.05


def test_runs_that_are_all_alike_still_leave_room_for_another_day() -> None:
    found = spread([2.0, 2.0, 2.0])

    assert found.interval == pytest.approx((2 / 1.03, 2 * 1.03))
