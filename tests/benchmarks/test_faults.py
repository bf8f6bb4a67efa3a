"""Faults of a pool: when they begin and end, whether anybody felt them, what counts; and a few real ones."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.fleet import faults, rounds
from benchmarks.fleet.rounds import Round
from benchmarks.fleet.watching import AT_WORK, Drawn, Refusal, Watch, When, drawn, wrongs
from orchestrator.events import (
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    RunCompleted,
    StepLog,
    StepStarted,
)
from tests.conftest import RealCount
from tests.lab import Lab

_ONE, _TWO = "ssh://one", "ssh://two"


def what(
    when: When = "working", *, nth: int = 1, images: int = 1, aside: bool = False, requests: int = 2, one: bool = False
) -> Drawn:
    return Drawn(when=when, nth=nth, images=images, aside=aside, status=503, requests=requests, one=one)


def started(time: float, app: str, host: str) -> Event:
    return AppStarted(time=time, app=app, host=host, image=app)


def at_work(time: float, app: str) -> Event:
    return StepLog(time=time, app=app, step="s", text=AT_WORK)


def completed(time: float, app: str) -> Event:
    return AppCompleted(
        time=time, app=app, image=app, tags=(), digest=f"sha256:{app}", seconds=1, steps=1, cached=0, sent_bytes=0
    )


def warned(time: float, app: str | None, message: str) -> Event:
    return AppWarning(time=time, app=app, message=message)


def watched(what_: Drawn | None, *events: Event, usual: float = 1.0) -> tuple[Watch, list[tuple[float, str]]]:
    """What a run has come to, and what was to be done when."""
    watch = Watch(what_, usual=usual)
    return watch, [(event.time, deed) for event in events if (deed := watch.hear(event)) is not None]


@pytest.mark.parametrize(
    ("drawn_", "at"), [(what("sent", nth=2), 2), (what("working", nth=2), 4), (what("pushing", nth=1), 5)]
)
def test_a_fault_begins_with_the_nth_event_of_its_kind_on_the_host_that_it_is_of(drawn_: Drawn, at: float) -> None:
    watch, deeds = watched(
        drawn_,
        started(1, "a", _TWO),
        started(2, "b", _ONE),
        at_work(3, "a"),
        at_work(4, "b"),
        StepStarted(time=5, app="b", step="p", name="pushing layers"),
    )

    assert (deeds, watch.host) == ([(at, "break")], _ONE)


def test_a_host_is_healed_when_so_many_images_were_made_elsewhere() -> None:
    _, deeds = watched(
        what(images=2),
        *(started(1, app, _TWO) for app in "bcd"),
        started(1, "a", _ONE),
        completed(2, "b"),
        at_work(3, "a"),
        completed(4, "c"),
        completed(5, "a"),
        completed(6, "d"),
    )

    assert deeds == [(3, "break"), (6, "heal")]


def test_or_when_it_is_set_aside() -> None:
    _, deeds = watched(
        what(aside=True),
        started(1, "a", _ONE),
        started(1, "b", _TWO),
        at_work(2, "a"),
        completed(3, "b"),
        warned(4, None, f"{_TWO} is set aside, and what was built there is built elsewhere: gone"),
        warned(5, None, f"{_ONE} is set aside, and what was built there is built elsewhere: gone"),
    )

    assert deeds == [(2, "break"), (5, "heal")]


@pytest.mark.parametrize(
    ("after", "felt"),
    [
        ([started(4, "a", _TWO), completed(5, "a")], {"a": "began again"}),
        ([warned(4, "a", "trying again in 2s (1 of 3): busy"), completed(5, "a")], {"a": "was tried again"}),
        (
            [warned(4, "a", "a step found no room on ssh://one: built elsewhere"), started(5, "a", _TWO)],
            {"a": "found no room"},
        ),
        ([completed(4, "b"), completed(5, "a")], {"a": "stood still"}),
        ([completed(3.2, "b"), completed(5, "a")], {}),
        ([completed(4, "a"), completed(5, "b")], {}),
        ([warned(4, "b", "trying again in 2s (1 of 3): busy"), completed(5, "b")], {}),
        ([started(3.1, "c", _ONE), completed(4.5, "b"), completed(9, "c")], {"c": "stood still"}),
    ],
    ids=["again", "tried", "no room", "still", "short", "done meanwhile", "elsewhere", "came meanwhile"],
)
def test_a_fault_is_felt_by_builds_that_were_there(after: list[Event], felt: Mapping[str, str]) -> None:
    watch, _ = watched(what(), started(1, "a", _ONE), started(1, "b", _TWO), at_work(3, "a"), *after)

    assert watch.felt == felt


def test_what_is_over_at_once_is_felt_only_by_what_began_again() -> None:
    watch = Watch(what(images=2), usual=1, lasts=False)

    for event in (
        *(started(1, app, _ONE) for app in "ab"),
        *(started(1, app, _TWO) for app in "cd"),
        at_work(2, "a"),
        started(2.1, "a", _ONE),
        started(2.2, "e", _ONE),
        completed(4, "c"),
        completed(5, "d"),
        *(completed(6, app) for app in "abe"),
    ):
        watch.hear(event)

    assert watch.felt == {"a": "began again"}


def test_where_nothing_is_to_break_nothing_does() -> None:
    watch, deeds = watched(
        None, started(1, "a", _ONE), at_work(2, "a"), completed(3, "a"), started(4, "b", _ONE), started(5, "b", _TWO)
    )

    assert (deeds, watch.felt, watch.again, watch.seconds) == ([], {}, 1, [1])


def put(app: str, kind: str = "blobs/uploads/1") -> tuple[str, str]:
    return "PUT", f"/v2/fleet-faults/run/{app}/{kind}"


def test_so_many_requests_of_pushes_are_refused_from_the_nth_on() -> None:
    refusal = Refusal(503, what(nth=2, requests=2), bodies=False)
    requests = [
        ("GET", "/v2/x/y/a/blobs/1"),
        put("a"),
        put("b", "manifests/latest"),
        ("HEAD", "/v2/"),
        put("c"),
        put("d"),
    ]

    assert [refusal(*each) for each in requests] == [None, None, 503, None, 503, None]
    assert refusal.refused == ["b", "c"]


def test_of_one_app_or_of_those_with_a_blob_only() -> None:
    refusal = Refusal(-1, what(nth=1, requests=2, one=True), bodies=True)

    assert [refusal(*each) for each in (put("a", "manifests/x"), put("a"), put("b"), put("a"), put("a"))] == [
        None,
        -1,
        None,
        -1,
        None,
    ]


def test_a_run_is_right_when_every_image_is_that_of_the_calm_run_under_its_tag_and_nothing_is_left() -> None:
    calm = {"a": "sha256:a", "b": "sha256:b"}
    ended = RunCompleted(time=9, exit_code=0, seconds=1, succeeded=2, failed=0, cancelled=0)
    all_, _ = watched(None, started(1, "a", _ONE), started(1, "b", _ONE), completed(2, "a"), completed(2, "b"), ended)
    failure = AppFailed(time=2, app="b", kind="k", message="gone", hint="", transient=True, seconds=1)
    one, _ = watched(None, started(1, "a", _ONE), completed(2, "a"), failure)

    assert wrongs(calm, all_, calm, left=[]) == []
    assert wrongs(calm, all_, {**calm, "a": "sha256:x"}, left=["host-1: 1 processes runc"]) == [
        "the tag of a is of another image",
        "host-1: 1 processes runc",
    ]
    assert wrongs({**calm, "a": "sha256:x"}, one, calm, left=[]) == [
        "exit code -1",
        "failed: b: gone",
        "no image of b",
        "a is another image",
    ]


def test_a_seed_draws_the_same_fault_again_and_within_the_run() -> None:
    draws = [drawn(seed, 24) for seed in range(400)]

    assert draws == [drawn(seed, 24) for seed in range(400)]
    assert {each.nth for each in draws} == set(range(1, 13))
    assert {each.images for each in draws} == set(range(1, 7))
    assert {each.status for each in draws} == {429, 500, 502, 503}
    assert {each.when for each in draws} == {"sent", "working", "pushing"}
    assert {each.transport for each in draws} == {"asyncssh", "openssh"}


def made(fault: str, seed: int = 1, *, felt: int = 1, wrong: tuple[str, ...] = (), builds: int = 4) -> Round:
    return Round(
        fault=fault,
        seed=seed,
        hosts=2,
        builds=builds,
        commit="c",
        date="d",
        seconds=1,
        load=0,
        drawn=what(),
        felt=felt,
        again=0,
        wrong=wrong,
    )


def test_rounds_go_on_where_they_were_left_until_there_are_enough_that_count(tmp_path: Path) -> None:
    file, classes = tmp_path / "rounds", ("x", "y")
    begun = list[tuple[str, int]]()

    while (due := rounds.due(rounds.read(file, hosts=2, builds=4), classes, times=2, seed=7)) is not None:
        begun.append(due)
        fault, seed = due
        rounds.append(file, made(fault, seed, felt=0 if len(begun) == 1 else 1))

    assert [fault for fault, _ in begun] == ["x", "y", "x", "y", "x"]
    assert len({seed for _, seed in begun}) == 5
    rounds.append(file, made("y", builds=9))
    assert len(rounds.read(file, hosts=2, builds=4)) == 5
    assert rounds.due([], classes, times=2, seed=7) == begun[0]
    assert rounds.due([], classes, times=2, seed=8) != begun[0]


def test_a_class_that_nobody_ever_feels_is_given_up() -> None:
    void = [made("x", felt=0)] * 8

    assert rounds.due(void[1:], ("x",), times=2, seed=7) is not None
    assert rounds.due(void, ("x",), times=2, seed=7) is None


def test_what_went_wrong_counts_and_what_nobody_felt_does_not() -> None:
    of = [made("x", felt=0), made("x", felt=3), made("x", felt=0, wrong=("exit code 1",)), made("y")]

    first, second = rounds.figures(of, ("x", "y", "z"), times=2)

    assert (first.value, first.met, first.runs) == (1, False, 2)
    assert "of 2;" in first.note
    assert "1 runs that nobody felt" in first.note
    assert (second.value, second.met, second.runs) == (0, True, 1)
    assert "of 1 (of 2 that are wanted)" in second.note


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_real_faults_of_every_class_cost_no_image(lab: Lab, tmp_path: Path, real_count: RealCount) -> None:
    assert lab.buildkitd.exists()
    file = tmp_path / "rounds"

    report = await faults.run_faults(
        seed=int.from_bytes(os.urandom(4)),
        hosts=3,
        builds=36,
        times=1,
        only=(),
        first=0,
        minutes=math.inf,
        rounds_file=file,
    )

    found = rounds.read(file, hosts=3, builds=36)
    assert [each for each in found if each.wrong] == []
    assert len(report.figures) == len(faults.CLASSES)
    real_count.record("build", times=36 * (len(found) + 1))
