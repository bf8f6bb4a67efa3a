"""What a run learns, and what the next one knows of it."""

from pathlib import Path

from orchestrator.app.learning import Learning
from orchestrator.events import AppCompleted, AppStarted, Event, MemoryMeasured
from orchestrator.skip.memory import Memory
from tests.engine.test_run import plan_of

_BUILDER = "unix:///b.sock"


def started(app: str, host: str = _BUILDER) -> Event:
    return AppStarted(time=1.0, app=app, host=host, image=app)


def measured(app: str, needed: int, available: int) -> Event:
    return MemoryMeasured(time=1.0, app=app, needed=needed, available=available, whole=True)


def completed(app: str, seconds: float, *, cached: int, host: str = "", host_seconds: float = 0.0) -> Event:
    return AppCompleted(
        time=1.0,
        app=app,
        image=app,
        tags=(),
        digest=None,
        seconds=seconds,
        steps=3,
        cached=cached,
        sent_bytes=0,
        host=host,
        host_seconds=host_seconds,
    )


def test_a_first_run_knows_nothing(tmp_path: Path) -> None:
    learning = Learning(plan_of("a"), Memory(tmp_path, tmp_path))

    assert (learning.seconds, learning.needed, learning.available(_BUILDER)) == ({}, {}, 0)


def test_a_run_knows_what_the_one_before_it_has_seen(tmp_path: Path) -> None:
    plan, memory = plan_of("a", "b", "c"), Memory(tmp_path, tmp_path)
    first = Learning(plan, memory)

    for event in (
        started("a"),
        started("b"),
        completed("a", 2.0, cached=1),
        completed("b", 9.0, cached=3),
        measured("a", 5, 40),
        measured("b", 6, 30),
    ):
        first.note(event)
    memory.save()
    second = Learning(plan, Memory(tmp_path, tmp_path))

    # What was cached as a whole says nothing of how long it takes; a builder has what it had at best.
    assert second.seconds == {"a": 2.0}
    assert (second.needed, second.available(_BUILDER)) == ({"a": 5, "b": 6}, 40)
    assert second.hosts == {"a": (_BUILDER,), "b": (_BUILDER,)}


def test_the_hosts_that_built_an_app_last_are_known(tmp_path: Path) -> None:
    memory = Memory(tmp_path, tmp_path)
    learning = Learning(plan_of("a", "b"), memory)

    for host in "1234251":
        learning.note(started("a", host))
        learning.note(completed("a", 1.0, cached=3))

    # A skipped one has not begun.
    learning.note(completed("b", 1.0, cached=3))
    assert learning.hosts == {"a": ("1", "5", "2")}


def test_what_the_operator_says_of_a_builder_counts(tmp_path: Path) -> None:
    learning = Learning(plan_of("a"), Memory(tmp_path, tmp_path), said={_BUILDER: 30})

    learning.note(started("a"))
    learning.note(measured("a", 5, 40))

    assert learning.available(_BUILDER) == 30


def test_a_builder_that_has_less_than_before_is_believed(tmp_path: Path) -> None:
    memory = Memory(tmp_path, tmp_path)
    before, now = Learning(plan_of("a"), memory), Learning(plan_of("a"), memory)

    for learning, available in ((before, 40), (now, 20)):
        learning.note(started("a"))
        learning.note(measured("a", 5, available))

    assert now.available(_BUILDER) == 20
    assert now.available("unix:///other.sock") == 0


def test_hosts_are_compared_by_builds_of_which_nothing_was_cached(tmp_path: Path) -> None:
    names = [f"app{number}" for number in range(9)]
    memory = Memory(tmp_path, tmp_path)
    learning = Learning(plan_of(*names), memory)

    for name in names:
        for host, seconds, cached in (("slow", 40.0, 0), ("fast", 10.0, 0), ("slow", 1.0, 1), ("other", 1.0, 3)):
            learning.note(started(name, host))
            learning.note(completed(name, seconds, cached=cached))
    memory.save()
    again = Learning(plan_of(*names), Memory(tmp_path, tmp_path)).speeds

    assert set(again) == {"slow", "fast"}
    assert again["fast"] > 2 * again["slow"]


def test_of_a_build_that_was_begun_on_two_hosts_it_counts_what_the_faster_one_took(tmp_path: Path) -> None:
    memory = Memory(tmp_path, tmp_path)
    learning = Learning(plan_of("a", "b"), memory)

    for event in (
        started("a", "late"),
        completed("a", 90.0, cached=0, host="fast", host_seconds=10.0),
        # A record of before it was told.
        started("b", "late"),
        completed("b", 90.0, cached=0, host="fast"),
    ):
        learning.note(event)

    assert learning.seconds == {"a": 10.0}
    assert learning.hosts == {"a": ("fast",), "b": ("fast",)}
    assert memory.whole == {"a": {"fast": 10.0}}


def test_of_an_app_the_latest_hosts_are_compared(tmp_path: Path) -> None:
    memory = Memory(tmp_path, tmp_path)
    hosts = [str(number) for number in range(20)]

    for host in [*hosts, "13"]:
        memory.took_whole("app", host, 1.0)

    assert list(memory.whole["app"]) == ["12", "14", "15", "16", "17", "18", "19", "13"]
