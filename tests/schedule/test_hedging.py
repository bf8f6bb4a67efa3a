"""When a build is late."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedule.hedging import late_after


@given(st.floats(0, 1e6), st.floats(1, 1000))
def test_a_build_is_late_when_it_takes_a_multiple_of_what_is_known_and_some_seconds_more(
    expected: float, factor: float
) -> None:
    after = late_after(expected, factor)

    assert after is not None
    assert after >= expected * factor
    assert after >= expected + 10


def test_what_is_not_known_or_not_asked_for_is_never_late() -> None:
    assert late_after(None, 2.0) is None
    assert late_after(5.0, None) is None
