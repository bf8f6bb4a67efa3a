"""When a lost host is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from remote.ssh.backoff import ATTEMPTS, FIRST, LONGEST, Backoff

_CHANCE = st.floats(0, 1)


@given(_CHANCE)
def test_a_host_that_was_never_reached_is_given_up_at_once(chance: float) -> None:
    backoff = Backoff(lambda: chance)

    assert backoff.failed() is None
    assert backoff.failed() is None


@given(st.lists(_CHANCE, min_size=ATTEMPTS, max_size=ATTEMPTS))
def test_a_host_that_was_reached_is_waited_for_in_growing_pauses_and_then_given_up(chances: list[float]) -> None:
    backoff = Backoff(iter(chances).__next__)
    backoff.succeeded()

    pauses = [backoff.failed() for _ in range(ATTEMPTS)]

    assert pauses[-1] is None
    for attempt, pause in enumerate(pauses[:-1]):
        whole = min(LONGEST, FIRST * 2**attempt)
        assert pause is not None
        assert whole / 2 <= pause <= whole


def test_whoever_comes_after_a_host_was_given_up_has_all_attempts_again() -> None:
    backoff = Backoff(lambda: 1.0)
    backoff.succeeded()

    first, second = ([backoff.failed() for _ in range(ATTEMPTS)] for _ in range(2))

    assert first == second


def test_pauses_are_short_again_when_the_host_was_back_in_between() -> None:
    backoff = Backoff(lambda: 1.0)
    backoff.succeeded()
    backoff.failed()
    backoff.failed()

    backoff.succeeded()

    assert backoff.failed() == FIRST
