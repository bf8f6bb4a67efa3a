"""Which app is started next: needs before needers, at most so many at once, and always to an end."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedule.order import GiveUp, Start, decide

_NONE: Mapping[str, tuple[str, ...]] = {}


@pytest.mark.parametrize(
    ("waiting", "needs", "running", "succeeded", "failed", "told"),
    [
        ("abc", {}, "", "", "", Start("a")),
        ("bc", {}, "a", "", "", Start("b")),
        ("", {}, "a", "", "", None),
        ("", {}, "", "ab", "", None),
        # What needs an image waits for it, and lets others pass.
        ("ab", {"a": "c"}, "c", "", "", Start("b")),
        ("a", {"a": "c"}, "c", "", "", None),
        ("ab", {"a": "c"}, "", "c", "", Start("a")),
        ("a", {"a": "cd"}, "d", "c", "", None),
        # A failure is passed on at once, before anything is started.
        ("ab", {"b": "c"}, "", "", "c", GiveUp("b", "c")),
        ("ab", {"b": "cd"}, "d", "", "c", GiveUp("b", "c")),
        ("a", {"a": "b"}, "", "", "bc", GiveUp("a", "b")),
        # And only to those that need it.
        ("ab", {"b": "d"}, "", "d", "c", Start("a")),
    ],
)
def test_what_a_free_slot_does_next(  # noqa: PLR0917 -- a table
    waiting: str, needs: dict[str, str], running: str, succeeded: str, failed: str, told: Start | GiveUp | None
) -> None:
    assert decide(waiting, needs, running=running, succeeded=succeeded, failed=failed) == told


def test_apps_that_wait_for_each_other_are_no_silent_standstill() -> None:
    with pytest.raises(ValueError, match="each other"):
        decide("ab", {"a": "b", "b": "a"}, running="", succeeded="", failed="")


@st.composite
def _runs(draw: st.DrawFn) -> tuple[list[str], dict[str, set[str]], set[str], int, list[int]]:
    """Apps in any order, what each needs (without cycles), which of them fail, slots, and who ends when."""
    names = [f"app{number}" for number in range(draw(st.integers(1, 12)))]
    needs = {
        name: draw(st.sets(st.sampled_from(names[:index]), max_size=3)) for index, name in enumerate(names) if index
    }
    failing = draw(st.sets(st.sampled_from(names)))
    return draw(st.permutations(names)), needs, failing, draw(st.integers(1, 4)), draw(st.lists(st.integers(0, 3)))


@given(_runs())
def test_every_app_ends_once_and_none_starts_before_what_it_needs(
    run: tuple[list[str], dict[str, set[str]], set[str], int, list[int]],
) -> None:
    order, needs, failing, slots, choices = run
    waiting = list(order)
    running: list[str] = []
    succeeded: set[str] = set()
    failed: set[str] = set()
    started: list[str] = []
    ends = iter(choices)

    while waiting or running:
        told = (
            decide(waiting, needs, running=running, succeeded=succeeded, failed=failed)
            if len(running) < slots
            else None
        )
        if told is None:
            ended = running.pop(next(ends, 0) % len(running))
            (failed if ended in failing else succeeded).add(ended)
            continue
        waiting.remove(told.app)
        if isinstance(told, Start):
            assert needs.get(told.app, set()) <= succeeded
            running.append(told.app)
            started.append(told.app)
        else:
            assert told.because in failed & needs[told.app]
            failed.add(told.app)

    assert succeeded | failed == set(order)
    assert len(started) == len(set(started))
    # Only what fails, or needs what failed, has no image.
    lost = set(failing)
    while more := {app for app, wanted in needs.items() if wanted & lost} - lost:
        lost |= more
    assert failed == lost


def test_a_plan_of_a_thousand_apps_without_needs_is_decided_by_its_first() -> None:
    looked_at: list[str] = []

    def waiting() -> object:
        for number in range(1000):
            looked_at.append(str(number))
            yield str(number)

    told = decide(waiting(), _NONE, running=(), succeeded=(), failed={"x"})  # type: ignore[arg-type]  # a generator

    assert (told, looked_at) == (Start("0"), ["0"])
