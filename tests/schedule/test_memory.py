"""What the builder's memory leaves room for: never more than it has, but for what is built alone."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedule.memory import Memory
from orchestrator.schedule.order import Start, decide

_NAMES = [f"app{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("available", "needed", "running", "app", "fits"),
    [
        (10, {"a": 4, "b": 6}, "a", "b", True),
        (10, {"a": 4, "b": 7}, "a", "b", False),
        # One that needs more than there is, is built alone, and lets in only those of which nothing is known.
        (10, {"b": 11}, "", "b", True),
        (10, {"a": 11, "b": 1}, "a", "b", False),
        (10, {"a": 11}, "a", "b", True),
        # What is not known limits nothing.
        (0, {"a": 4, "b": 7}, "a", "b", True),
        (10, {"b": 7}, "a", "b", True),
        (10, {}, "a", "b", True),
    ],
)
def test_what_there_is_room_for(
    available: int, needed: Mapping[str, int], running: str, app: str, *, fits: bool
) -> None:
    memory = Memory(available=available, needed=needed)

    assert memory.fits(app, memory.left(running)) is fits


@given(
    st.permutations(_NAMES),
    st.dictionaries(st.sampled_from(_NAMES), st.integers(0, 60)),
    st.integers(1, 100),
    st.integers(1, 5),
    st.lists(st.integers(0, 4)),
)
def test_what_runs_together_fits_or_runs_alone_and_everything_runs(
    order: list[str], needed: dict[str, int], available: int, slots: int, ends: list[int]
) -> None:
    memory = Memory(available=available, needed=needed)
    waiting, running, ended = list(order), list[str](), list[str]()
    choices = iter(ends)

    while waiting or running:
        left = memory.left(running)
        told = None
        if len(running) < slots:
            told = decide(
                waiting,
                {},
                running=running,
                succeeded=ended,
                failed=(),
                fits=lambda app, left=left: memory.fits(app, left),  # type: ignore[misc]  # bound now
            )
        if told is None:
            # A slot is free and somebody waits only when there is no room for anybody.
            assert len(running) == slots or all(not memory.fits(app, left) for app in waiting)
            ended.append(running.pop(next(choices, 0) % len(running)))
            continue
        assert isinstance(told, Start)
        waiting.remove(told.app)
        running.append(told.app)
        known = [needed[app] for app in running if needed.get(app)]
        assert sum(known) <= available or len(known) == 1

    assert sorted(ended) == sorted(order)


def test_an_app_that_waits_for_another_is_not_asked_whether_it_fits() -> None:
    asked: list[str] = []

    def fits(app: str) -> bool:
        asked.append(app)
        return False

    told = decide("bc", {"b": "a"}, running="a", succeeded="", failed="", fits=fits)

    assert (told, asked) == (None, ["c"])
