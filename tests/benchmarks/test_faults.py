"""Faults of a pool: when they begin and end, whether anybody felt them, what counts; and a few real ones."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from benchmarks.fleet import drawing, faults, rounds
from benchmarks.fleet.breaking import AT_WORK, HostFault, RegistryFault
from benchmarks.fleet.drawing import CLASSES, Drawn, Link, When, chain, drawn
from benchmarks.fleet.rounds import Round
from benchmarks.fleet.watching import Watch, wrongs
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
    when: When = "working",
    *,
    nth: int = 1,
    images: int = 1,
    aside: bool = False,
    most: int = 0,
    requests: int = 2,
    one: bool = False,
) -> Drawn:
    return Drawn(when=when, nth=nth, images=images, aside=aside, most=most, status=503, requests=requests, one=one)


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


def watched(what_: Drawn, *events: Event, name: str = drawing.CUT_OFF) -> tuple[HostFault, list[tuple[float, str]]]:
    """What has become of a fault of a host, and what was to be done when."""
    fault = HostFault(name, what_, usual=1.0)
    return fault, [(time, deed) for time, deed, _ in deeds(Watch([fault]), *events)]


def deeds(watch: Watch, *events: Event) -> list[tuple[float, str, str]]:
    """What was to be done when, and to which host."""
    done = [(event.time, watch.hear(event)) for event in events]
    return [(time, deed.what, deed.host) for time, deed in done if deed is not None]


@pytest.mark.parametrize(
    ("drawn_", "at"), [(what("sent", nth=2), 2), (what("working", nth=2), 4), (what("pushing", nth=1), 5)]
)
def test_a_fault_begins_with_the_nth_event_of_its_kind_on_the_host_that_it_is_of(drawn_: Drawn, at: float) -> None:
    fault, done = watched(
        drawn_,
        started(1, "a", _TWO),
        started(2, "b", _ONE),
        at_work(3, "a"),
        at_work(4, "b"),
        StepStarted(time=5, app="b", step="p", name="pushing layers"),
    )

    assert (done, fault.host) == ([(at, "break")], _ONE)


def test_a_host_is_healed_when_so_many_images_were_made_elsewhere() -> None:
    _, done = watched(
        what(images=2),
        *(started(1, app, _TWO) for app in "bcd"),
        started(1, "a", _ONE),
        completed(2, "b"),
        at_work(3, "a"),
        completed(4, "c"),
        completed(5, "a"),
        completed(6, "d"),
    )

    assert done == [(3, "break"), (6, "heal")]


def test_or_when_it_is_set_aside() -> None:
    _, done = watched(
        what(aside=True),
        started(1, "a", _ONE),
        started(1, "b", _TWO),
        at_work(2, "a"),
        completed(3, "b"),
        warned(4, None, f"{_TWO} is set aside, and what was built there is built elsewhere: gone"),
        warned(5, None, f"{_ONE} is set aside, and what was built there is built elsewhere: gone"),
    )

    assert done == [(2, "break"), (5, "heal")]


def test_but_not_later_than_a_run_has_time() -> None:
    _, done = watched(
        what(aside=True, most=2),
        started(1, "a", _ONE),
        *(started(1, app, _TWO) for app in "bc"),
        at_work(2, "a"),
        completed(3, "b"),
        completed(4, "c"),
    )

    assert done == [(2, "break"), (4, "heal")]


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
    fault, _ = watched(what(), started(1, "a", _ONE), started(1, "b", _TWO), at_work(3, "a"), *after)

    assert fault.felt == felt


def test_what_is_over_at_once_is_felt_only_by_what_began_again() -> None:
    fault, done = watched(
        what(images=2),
        *(started(1, app, _ONE) for app in "ab"),
        *(started(1, app, _TWO) for app in "cd"),
        at_work(2, "a"),
        started(2.1, "a", _ONE),
        started(2.2, "e", _ONE),
        completed(4, "c"),
        completed(5, "d"),
        *(completed(6, app) for app in "abe"),
        name=drawing.RESTARTED,
    )

    assert (done, fault.felt, fault.again) == ([(2, "break")], {"a": "began again"}, 1)


def test_where_nothing_is_to_break_nothing_does() -> None:
    watch = Watch()

    done = deeds(
        watch, started(1, "a", _ONE), at_work(2, "a"), completed(3, "a"), started(4, "b", _ONE), started(5, "b", _TWO)
    )

    assert (done, watch.again, watch.seconds) == ([], 1, [1])


def put(app: str, kind: str = "blobs/uploads/1") -> tuple[str, str]:
    return "PUT", f"/v2/fleet-faults/run/{app}/{kind}"


def test_so_many_requests_of_pushes_are_refused_from_the_nth_on() -> None:
    fault = RegistryFault(drawing.BUSY, what(nth=2, requests=2), status=503, bodies=False)
    requests = [
        ("GET", "/v2/x/y/a/blobs/1"),
        put("a"),
        put("b", "manifests/latest"),
        ("HEAD", "/v2/"),
        put("c"),
        put("d"),
    ]

    assert [fault.refuse(*each) for each in requests] == [None, None, 503, None, 503, None]
    assert fault.felt == {"b": "was refused 1 times", "c": "was refused 1 times"}
    assert fault.over


def test_of_one_app_or_of_those_with_a_blob_only() -> None:
    fault = RegistryFault(drawing.CUT_SHORT, what(nth=1, requests=2, one=True), status=-1, bodies=True)

    assert [fault.refuse(*each) for each in (put("a", "manifests/x"), put("a"), put("b"), put("a"), put("a"))] == [
        None,
        -1,
        None,
        -1,
        None,
    ]


def test_a_registrys_fault_of_one_app_is_over_when_that_app_is_done() -> None:
    fault = RegistryFault(drawing.BUSY, what(requests=9, one=True), status=503, bodies=False)
    watch = Watch([fault])
    deeds(watch, *(started(1, app, _ONE) for app in "ab"))
    watch.refuse(*put("a"))

    deeds(watch, completed(2, "b"))
    before = fault.over
    deeds(watch, completed(3, "a"))

    assert (before, fault.over) == (False, True)


def chained(*classes: str) -> tuple[Watch, dict[str, HostFault | RegistryFault]]:
    """A run that meets faults of some classes, each as soon as it can."""
    made = {
        name: RegistryFault(name, what(requests=1), status=503, bodies=False)
        if name in drawing.OF_REGISTRIES
        else HostFault(name, what(), usual=1.0)
        for name in classes
    }
    return Watch(tuple(made.values())), made


def test_a_fault_begins_when_the_one_before_it_is_healed_and_was_felt() -> None:
    watch, made = chained(drawing.CUT_OFF, drawing.BUSY, drawing.STOPPED)

    done = deeds(watch, started(1, "a", _ONE), *(started(1, app, _TWO) for app in "bcd"), at_work(2, "a"))
    early = watch.refuse(*put("b"))
    done += deeds(watch, at_work(3, "c"), completed(4, "b"), at_work(5, "d"), completed(6, "a"), at_work(7, "c"))
    refused = watch.refuse(*put("c"))
    done += deeds(watch, at_work(8, "c"))

    assert (early, refused) == (None, 503)
    assert done == [(2, "break", _ONE), (4, "heal", _ONE), (8, "break", _TWO)]
    assert [list(fault.felt) for fault in made.values()] == [["a"], ["c"], []]


def test_one_that_nobody_can_feel_any_more_makes_room_for_the_next() -> None:
    watch, made = chained(drawing.FULL, drawing.STOPPED)

    done = deeds(
        watch,
        started(1, "a", _ONE),
        *(started(1, app, _TWO) for app in "bc"),
        at_work(2, "a"),
        completed(2.1, "a"),
        completed(2.2, "b"),
        at_work(3, "c"),
    )

    assert done == [(2, "break", _ONE), (2.2, "heal", _ONE), (3, "break", _TWO)]
    assert not made[drawing.FULL].felt


def test_what_one_fault_struck_is_not_felt_by_it_as_the_next() -> None:
    watch, made = chained(drawing.KILLED, drawing.RESTARTED)

    done = deeds(
        watch,
        *(started(1, app, _ONE) for app in "ab"),
        *(started(1, app, _TWO) for app in "cd"),
        at_work(2, "a"),
        started(3, "a", _TWO),
        completed(4, "c"),
        # b has not begun again yet: what it says is no beginning, and what becomes of it is the first one's doing.
        at_work(5, "b"),
        at_work(6, "d"),
        started(7, "b", _TWO),
        started(8, "d", _TWO),
    )

    assert done == [(2, "break", _ONE), (4, "heal", _ONE), (6, "break", _TWO)]
    assert [list(fault.felt) for fault in made.values()] == [["a", "b"], ["d"]]
    assert [fault.again for fault in made.values()] == [2, 1]
    assert watch.again == 3


def test_a_host_that_is_lost_is_not_broken_again() -> None:
    watch, _ = chained(drawing.LOST, drawing.STOPPED)

    done = deeds(
        watch,
        *(started(1, app, _ONE) for app in "ab"),
        *(started(1, app, _TWO) for app in "cd"),
        at_work(2, "a"),
        completed(3, "c"),
        started(4, "a", _TWO),
        started(5, "e", _ONE),
        at_work(6, "e"),
        at_work(7, "d"),
    )

    assert done == [(2, "break", _ONE), (3, "heal", _ONE), (7, "break", _TWO)]


def test_a_run_is_right_when_every_image_is_that_of_the_calm_run_under_its_tag_and_nothing_is_left() -> None:
    calm = {"a": "sha256:a", "b": "sha256:b"}
    ended = RunCompleted(time=9, exit_code=0, seconds=1, succeeded=2, failed=0, cancelled=0)
    all_, one = Watch(), Watch()
    deeds(all_, started(1, "a", _ONE), started(1, "b", _ONE), completed(2, "a"), completed(2, "b"), ended)
    failure = AppFailed(time=2, app="b", kind="k", message="gone", hint="", transient=True, seconds=1)
    deeds(one, started(1, "a", _ONE), completed(2, "a"), failure)

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


def test_a_seed_draws_the_same_chain_again_with_one_fault_of_each_class_and_room_for_all() -> None:
    slots, chains = 12, [chain(seed, 12) for seed in range(400)]

    assert chains == [chain(seed, 12) for seed in range(400)]
    assert {tuple(sorted(link.fault for link in links)) for links in chains} == {tuple(sorted(CLASSES))}
    assert {links[0].fault for links in chains} == {links[-1].fault for links in chains} == {*CLASSES}
    assert {len({link.drawn.transport for link in links}) for links in chains} == {1}
    assert {links[0].drawn.transport for links in chains} == {"asyncssh", "openssh"}
    for link in (link for links in chains for link in links):
        assert 1 <= link.drawn.nth <= slots
        assert 2 <= link.drawn.images <= 2 * slots
        # What builds only feel by its length lasts longer than a build.
        assert link.drawn.images > slots or link.fault not in {drawing.CUT_OFF, drawing.STOPPED}


def test_the_draws_of_runs_that_were_recorded_are_drawn_still() -> None:
    recorded = rounds.read(faults.FILE, hosts=6, builds=200)
    # The first were made before what speaks SSH was drawn, which is drawn last.
    single = [
        msgspec.structs.replace(drawn(each.seed, 200), transport="asyncssh") for each in recorded if not each.place
    ]
    chains = {each.seed: chain(each.seed, 12) for each in recorded if each.place}

    assert single == [msgspec.structs.replace(each.drawn, transport="asyncssh") for each in recorded if not each.place]
    for each in recorded:
        assert not each.place or chains[each.seed][each.place - 1] == Link(each.fault, each.drawn)


def made(
    fault: str, seed: int = 1, *, place: int = 0, felt: int = 1, wrong: tuple[str, ...] = (), builds: int = 4
) -> Round:
    return Round(
        fault=fault,
        seed=seed,
        place=place,
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
        rounds.append(file, [made(fault, seed, felt=0 if len(begun) == 1 else 1)])

    assert [fault for fault, _ in begun] == ["x", "y", "x", "y", "x"]
    assert len({seed for _, seed in begun}) == 5
    rounds.append(file, [made("y", builds=9)])
    assert len(rounds.read(file, hosts=2, builds=4)) == 5
    assert rounds.due([], classes, times=2, seed=7) == begun[0]
    assert rounds.due([], classes, times=2, seed=8) != begun[0]


def test_chains_go_on_until_there_are_enough_of_each_class_whoever_else_has_met_it(tmp_path: Path) -> None:
    file, classes = tmp_path / "rounds", ("x", "y")
    rounds.append(file, [made("x"), made("x")])
    begun = list[int]()

    while (due := rounds.due(rounds.read(file, hosts=2, builds=4), classes, times=2, seed=7, chained=True)) is not None:
        fault, seed = due
        assert fault == rounds.CHAIN
        begun.append(seed)
        felt = 0 if len(begun) == 1 else 1
        rounds.append(file, [made("y", seed, place=1, felt=felt), made("x", seed, place=2)])

    assert len(set(begun)) == len(begun) == 3


def test_of_a_run_with_several_faults_each_is_counted_by_itself() -> None:
    watch, met = chained(drawing.CUT_OFF, drawing.BUSY)
    links = [Link(name, what()) for name in met]
    deeds(watch, started(1, "a", _ONE), started(1, "b", _TWO), at_work(2, "a"), completed(3, "b"), completed(4, "a"))

    right = rounds.of_run(made("", 5, felt=0), links, watch.faults)
    bad = rounds.of_run(made("", 5, felt=0, wrong=("exit code 1",)), links, watch.faults)
    alone = rounds.of_run(made("x", 5, felt=0), links[:1], watch.faults[:1])

    assert [(each.fault, each.place, each.felt, each.void) for each in right] == [
        (drawing.CUT_OFF, 1, 1, False),
        (drawing.BUSY, 2, 0, True),
    ]
    assert [each.wrong for each in bad] == [("exit code 1",), ()]
    assert [(each.fault, each.place, each.felt) for each in alone] == [("x", 0, 1)]
    never = chained(drawing.CUT_OFF, drawing.BUSY)[0].faults
    assert all(each.wrong for each in rounds.of_run(made("", wrong=("exit code 1",)), links, never))


def test_a_class_that_nobody_ever_feels_is_given_up() -> None:
    void = [made("x", felt=0)] * 8

    assert rounds.due(void[1:], ("x",), times=2, seed=7) is not None
    assert rounds.due(void, ("x",), times=2, seed=7) is None


def test_what_went_wrong_counts_and_what_nobody_felt_does_not() -> None:
    of = [made("x", felt=0), made("x", felt=3), made("x", felt=0, wrong=("exit code 1",)), made("y", place=3)]

    first, second = rounds.figures(of, ("x", "y", "z"), times=2)

    assert (first.value, first.met, first.runs) == (1, False, 2)
    assert "of 2;" in first.note
    assert "1 runs that nobody felt" in first.note
    assert (second.value, second.met, second.runs) == (0, True, 1)
    assert "of 1 (of 2 that are wanted), 1 of them with the other faults in one run;" in second.note


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_real_faults_of_every_class_cost_no_image(lab: Lab, tmp_path: Path, real_count: RealCount) -> None:
    assert lab.buildkitd.exists()
    file = tmp_path / "rounds"

    report = await faults.run_faults(
        seed=int.from_bytes(os.urandom(4)),
        hosts=6,
        builds=200,
        times=1,
        only=(),
        first=0,
        minutes=math.inf,
        rounds_file=file,
    )

    found = rounds.read(file, hosts=6, builds=200)
    assert [each for each in found if each.wrong] == []
    assert len(report.figures) == len(CLASSES)
    real_count.record("build", times=200 * (len({each.seed for each in found}) + 1))
