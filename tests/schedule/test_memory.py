"""What a host's memory leaves room for: never more than it has, but for what is built alone."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedule.placement import Host, Job, Placed, Pool

_NAMES = [f"app{number}" for number in range(10)]


def _job(app: str, needed: Mapping[str, int]) -> Job:
    return Job(app=app, memory=needed.get(app, 0))


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
    pool = Pool([Host(name="host", slots=9, memory=available)], limit=9)
    for name in running:
        pool.began(Placed(job=_job(name, needed), host="host", reason="only one"))

    placed = pool.next([_job(app, needed)])

    assert (placed is not None) is fits
    assert (app in pool.held) is not fits


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
    pool = Pool([Host(name="host", slots=slots, memory=available)], limit=slots)
    waiting, running, ended = [_job(app, needed) for app in order], list[Placed](), list[str]()
    choices = iter(ends)

    while waiting or running:
        placed = pool.next(waiting)
        if placed is None:
            # A slot is free and somebody waits only when there is no room for anybody.
            left = max(0, available - sum(each.job.memory for each in running))
            assert len(running) == slots or all(job.memory > left for job in waiting)
            done = running.pop(next(choices, 0) % len(running))
            pool.ended(done)
            ended.append(done.job.app)
            continue
        pool.began(placed)
        waiting.remove(placed.job)
        running.append(placed)
        known = [each.job.memory for each in running if each.job.memory]
        assert sum(known) <= available or len(known) == 1

    assert sorted(ended) == sorted(order)
