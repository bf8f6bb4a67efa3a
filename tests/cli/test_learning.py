"""What a run learns, and what the next one knows of it."""

from pathlib import Path

from orchestrator.app.learning import Learning
from orchestrator.events import AppCompleted, Event, MemoryMeasured
from orchestrator.schedule.memory import Memory as Room
from orchestrator.skip.memory import Memory
from tests.engine.test_run import plan_of

_BUILDER = "unix:///b.sock"


def measured(app: str, needed: int, available: int) -> Event:
    return MemoryMeasured(time=1.0, app=app, needed=needed, available=available, whole=True)


def completed(app: str, seconds: float, *, cached: int) -> Event:
    return AppCompleted(
        time=1.0, app=app, image=app, tags=(), digest=None, seconds=seconds, steps=3, cached=cached, sent_bytes=0
    )


def test_a_first_run_knows_nothing(tmp_path: Path) -> None:
    learning = Learning(plan_of("a"), Memory(tmp_path, tmp_path), _BUILDER)

    assert (learning.seconds, learning.room) == ({}, Room())


def test_a_run_knows_what_the_one_before_it_has_seen(tmp_path: Path) -> None:
    plan, memory = plan_of("a", "b", "c"), Memory(tmp_path, tmp_path)
    first = Learning(plan, memory, _BUILDER)

    for event in (
        completed("a", 2.0, cached=1),
        completed("b", 9.0, cached=3),
        measured("a", 5, 40),
        measured("b", 6, 30),
    ):
        first.note(event)
    memory.save()
    second = Learning(plan, Memory(tmp_path, tmp_path), _BUILDER)

    # What was cached as a whole says nothing of how long it takes; a builder has what it had at best.
    assert second.seconds == {"a": 2.0}
    assert second.room == Room(available=40, needed={"a": 5, "b": 6})


def test_what_the_operator_says_of_a_builder_counts(tmp_path: Path) -> None:
    memory = Memory(tmp_path, tmp_path)
    Learning(plan_of("a"), memory, _BUILDER).note(measured("a", 5, 40))

    assert Learning(plan_of("a"), memory, _BUILDER, said=30).room == Room(available=30, needed={"a": 5})


def test_a_builder_that_has_less_than_before_is_believed(tmp_path: Path) -> None:
    memory = Memory(tmp_path, tmp_path)
    Learning(plan_of("a"), memory, _BUILDER).note(measured("a", 5, 40))

    Learning(plan_of("a"), memory, _BUILDER).note(measured("a", 5, 20))

    assert Learning(plan_of("a"), memory, _BUILDER).room.available == 20
    assert Learning(plan_of("a"), memory, "unix:///other.sock").room.available == 0
