"""How fast hosts are, told from what the same apps took on several of them."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedule.speed import speeds

_TOOK = st.dictionaries(
    st.text(max_size=3), st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e6), max_size=4), max_size=20
)


def test_a_host_that_takes_half_the_time_is_twice_as_fast_whatever_else_is_built_where() -> None:
    took = {f"app{number}": {"slow": 20.0 + number, "fast": 10.0 + number / 2} for number in range(20)}
    took |= {f"slow{number}": {"slow": 1000.0} for number in range(20)}

    found = speeds(took)

    assert found["fast"] / found["slow"] == 2.0


def test_one_comparison_says_little_and_a_small_difference_nothing() -> None:
    assert speeds({"app": {"a": 20.0, "b": 10.0}}) == {"a": 1.0, "b": 1.0}
    assert set(speeds({str(number): {"a": 10.0, "b": 12.0} for number in range(50)}).values()) == {1.0}


def test_one_build_that_stood_still_forsakes_no_host() -> None:
    took = {str(number): {"a": 10.0, "b": 10.0} for number in range(9)} | {"stuck": {"a": 3600.0, "b": 10.0}}

    assert speeds(took) == {"a": 1.0, "b": 1.0}


@given(_TOOK)
def test_speeds_are_bounded_and_nobody_is_compared_with_nobody(took: Mapping[str, Mapping[str, float]]) -> None:
    found = speeds(took)

    assert all(0.25 <= speed <= 4.0 for speed in found.values())
    compared = [{host for host, seconds in each.items() if seconds > 0} for each in took.values()]
    assert set(found) == {host for hosts in compared if len(hosts) > 1 for host in hosts}
