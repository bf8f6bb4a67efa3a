"""Where a run's time went: what must hold for every run, and what holds for some."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    MemoryMeasured,
    RunCompleted,
    StepStarted,
)
from orchestrator.report import text
from orchestrator.report.analysis import Report, previous, report
from orchestrator.report.record import Record
from orchestrator.report.timeline import timeline
from tests.report.simulated import BEGAN, MadeApp, MadeStep, made_apps, simulate

_JOBS = st.integers(1, 4)
_SKEW = st.sampled_from([0.0, -86400.0, 3600.5])


@given(made_apps(delays=True), _JOBS, _SKEW)
def test_the_critical_path_is_the_runs_time_without_a_gap(apps: list[MadeApp], jobs: int, skew: float) -> None:
    made = report(simulate(apps, jobs=jobs, skew=skew))

    parts = made.critical_path
    assert all(one.end == after.start for one, after in pairwise(parts))
    assert sum(part.seconds for part in parts) == pytest.approx(made.seconds)
    assert all(part.seconds > 0 for part in parts)
    if parts:
        assert (parts[0].start, parts[-1].end) == (0.0, made.seconds)


@given(made_apps(delays=True), _JOBS, _SKEW)
def test_what_an_apps_time_was_spent_on_adds_up_to_it(apps: list[MadeApp], jobs: int, skew: float) -> None:
    made = report(simulate(apps, jobs=jobs, skew=skew))

    for app in made.apps:
        assert app.seconds is not None
        assert sum(app.kinds.values()) == pytest.approx(app.seconds)


@given(made_apps(delays=True), _JOBS, _SKEW)
def test_a_builders_clock_changes_nothing(apps: list[MadeApp], jobs: int, skew: float) -> None:
    here, there = (timeline(simulate(apps, jobs=jobs, skew=each)) for each in (0.0, skew))

    assert [[(step.start, step.end) for step in app.steps] for app in there.apps] == [
        [pytest.approx((step.start, step.end), abs=1e-3) for step in app.steps] for app in here.apps
    ]


@given(made_apps(), _JOBS)
def test_a_run_that_uses_every_slot_at_once_is_never_idle(apps: list[MadeApp], jobs: int) -> None:
    # What waits for others holds a slot of the simulation back; alone of them, an app only waits for a slot.
    alone = [msgspec.structs.replace(app, depends_on=()) for app in apps]

    made = report(simulate(alone, jobs=jobs))

    assert made.client_idle == 0.0


@given(made_apps(delays=True), _JOBS)
def test_idle_is_no_longer_than_the_run_and_than_what_was_waited(apps: list[MadeApp], jobs: int) -> None:
    made = report(simulate(apps, jobs=jobs))

    assert made.client_idle is not None
    assert 0.0 <= made.client_idle <= made.seconds + 1e-9
    assert made.client_idle <= made.waited + 1e-9


def test_a_slot_that_is_left_free_is_idle_for_as_long() -> None:
    app = MadeApp(before=4.0)

    made = report(simulate([app, msgspec.structs.replace(app, delay=2.5), app], jobs=2))

    # The second waits for us until 2.5, the third for a slot until 4: no slot is free from 2.5 on.
    assert made.client_idle == 2.5
    assert [each.waited for each in made.apps] == [0.0, 2.5, 4.0]


def test_an_app_that_waits_for_the_builders_memory_is_not_our_idleness() -> None:
    app = MadeApp(before=4.0)
    record = simulate([app, msgspec.structs.replace(app, delay=4.0)], jobs=2)
    events = [
        msgspec.structs.replace(event, held=3.0) if isinstance(event, AppStarted) and event.app == "app1" else event
        for event in record.events
    ]
    events.append(MemoryMeasured(time=BEGAN + 8, app="app1", needed=3 << 30, available=4 << 30, whole=True))

    made = report(msgspec.structs.replace(record, events=tuple(events)))

    # One of the four seconds was ours.
    assert (made.client_idle, made.waited) == (1.0, 4.0)
    assert [(each.held, each.memory) for each in made.apps] == [(0.0, None), (3.0, 3 << 30)]
    said = list(text.lines(made))
    assert "memory that steps needed at the most: 3.2 GB (app1)" in said
    assert "waited for the builder's memory: 1 apps, 3.0s in all" in said


def test_an_apps_place_is_told_with_its_reason_and_that_of_all_where_there_were_several_hosts() -> None:
    places = {"app0": ("b", "drawn", ()), "app1": ("a", "cached", ("app", "base")), "app2": ("a", "home is busy", ())}

    def at(event: Event) -> Event:
        if not isinstance(event, AppStarted):
            return event
        host, placed, warm = places[event.app]
        return msgspec.structs.replace(event, host=host, placed=placed, warm=warm)

    record = simulate([MadeApp(before=1.0) for _ in places], jobs=3)
    made = report(msgspec.structs.replace(record, events=tuple(map(at, record.events))))

    assert {app.name: (app.host, app.placed, app.warm) for app in made.apps} == places
    (line,) = [line for line in text.lines(made) if line.startswith("apps by host")]
    assert line == "apps by host: a 2, b 1 (1 drawn, 1 where it was cached, 1 away from a busy host)"


def test_an_app_that_waits_for_another_is_not_our_idleness() -> None:
    first = MadeApp(before=4.0)
    second = MadeApp(before=1.0, depends_on=(0,))

    made = report(simulate([first, second], jobs=2))

    assert (made.client_idle, made.waited, made.seconds) == (0.0, 0.0, 5.0)


def one_app() -> Record:
    """An app with a step of each kind, and 0.5 s of tagging."""
    names = ("[internal] load metadata for x", "[install 2/2] RUN npm ci", "[2/2] RUN make", "exporting to image")
    steps = [
        MadeStep(name=name, seconds=seconds, needs=(number - 1,) if number else ())
        for number, (name, seconds) in enumerate(zip(names, (1.0, 8.0, 4.0, 2.0), strict=True))
    ]
    steps[-1] = msgspec.structs.replace(steps[-1], pushed=0.5)
    return simulate([MadeApp(steps=tuple(steps), before=0.25, after=0.5)], jobs=1)


def test_each_second_is_of_one_kind() -> None:
    made = report(one_app())

    [app] = made.apps
    assert app.kinds == {"other": 0.25, "base": 1.0, "install": 8.0, "build": 4.0, "export": 1.5, "push": 1.0}
    assert [(part.kind, part.seconds) for part in made.critical_path] == [
        ("other", 0.25),
        ("base", 1.0),
        ("install", 8.0),
        ("build", 4.0),
        ("export", 1.5),
        ("push", 0.5),
        ("push", 0.5),
    ]
    assert [(each.name, each.seconds) for each in made.slowest][:2] == [
        ("[install 2/2] RUN npm ci", 8.0),
        ("[2/2] RUN make", 4.0),
    ]


def test_the_critical_path_follows_what_a_step_needed_and_not_what_ended_beside_it() -> None:
    steps = (
        MadeStep(name="[builder 2/2] RUN slow", seconds=3.0),
        MadeStep(name="[assets 2/2] RUN beside", seconds=3.75),
        MadeStep(name="[runtime 2/2] COPY --from=builder", seconds=2.0, wait=1.0, needs=(0,)),
    )

    made = report(simulate([MadeApp(steps=steps)], jobs=1))

    assert [(part.name, part.start, part.end) for part in made.critical_path] == [
        ("[builder 2/2] RUN slow", 0.0, 3.0),
        ("", 3.0, 4.0),
        ("[runtime 2/2] COPY --from=builder", 4.0, 6.0),
    ]


def test_an_app_that_waited_for_a_slot_leads_to_the_one_that_left_it() -> None:
    apps = [MadeApp(before=1.0), MadeApp(before=3.0), MadeApp(before=5.0)]

    made = report(simulate(apps, jobs=2))

    assert [(part.app, part.start, part.end) for part in made.critical_path] == [("app0", 0.0, 1.0), ("app2", 1.0, 6.0)]


def test_a_slot_in_which_a_layer_cache_is_written_is_not_free() -> None:
    apps = [MadeApp(before=1.0, cache=2.0), MadeApp(before=1.0), MadeApp(before=1.0, depends_on=(0,))]

    made = report(simulate(apps, jobs=1))

    assert (made.client_idle, made.cache_seconds, made.seconds) == (0.0, 2.0, 5.0)
    assert [(part.app, part.name, part.start, part.end) for part in made.critical_path] == [
        ("app0", "", 0.0, 1.0),
        ("app0", "writing the layer cache", 1.0, 3.0),
        ("app1", "", 3.0, 4.0),
        ("app2", "", 4.0, 5.0),
    ]
    assert "1 of 1 layer caches written after publication in 2.0s, 0 steps run once more for it" in list(
        text.lines(made)
    )


@given(made_apps(delays=True), _JOBS, st.data())
def test_a_record_that_ends_anywhere_makes_a_report(apps: list[MadeApp], jobs: int, data: st.DataObject) -> None:
    whole = simulate(apps, jobs=jobs)
    length = data.draw(st.integers(0, len(whole.events)))
    cut = msgspec.structs.replace(whole, events=whole.events[:length], torn=True)

    made = report(cut)

    assert made.status == ("succeeded" if length == len(whole.events) else "unfinished")
    assert made.incomplete
    assert sum(part.seconds for part in made.critical_path) == pytest.approx(made.seconds)
    assert list(text.lines(made))


def test_a_step_that_was_running_when_the_run_was_killed_lasts_until_then() -> None:
    started = AppStarted(time=BEGAN + 1, app="app0", host="h", image="i")
    step = StepStarted(time=BEGAN + 2, app="app0", step="s", name="[2/2] RUN make")
    last = AppWarning(time=BEGAN + 9, app=None, message="x")
    record = simulate([MadeApp()], jobs=1)

    made = report(msgspec.structs.replace(record, events=(record.events[0], started, step, last)))

    assert (made.status, made.apps[0].status, made.seconds) == ("unfinished", "unfinished", 9.0)
    assert made.critical_path[-1].name == "[2/2] RUN make"
    assert made.critical_path[-1].seconds == 7.0


def ended(*events: Event, exit_code: int, cancelled: int = 0, failed: int = 0) -> Report:
    record = simulate([MadeApp()], jobs=1)
    last = RunCompleted(
        time=BEGAN + 9, exit_code=exit_code, seconds=9.0, succeeded=0, failed=failed, cancelled=cancelled
    )
    return report(msgspec.structs.replace(record, events=(record.events[0], *events, last)))


def test_a_failed_app_is_told_with_its_last_words() -> None:
    started = AppStarted(time=BEGAN, app="app0", host="h", image="i")
    failure = AppFailed(
        time=BEGAN + 4, app="app0", kind="build", message="make: 2", hint="look", transient=False, seconds=4,
        file="Dockerfile", line=3, source=("RUN make",), log=("cc -c x.c", "no such file"),
    )  # fmt: skip

    made = ended(started, failure, exit_code=1, failed=1)

    assert (made.status, made.failed, made.apps[0].failure) == ("failed", 1, failure)
    said = list(text.lines(made))
    assert said[said.index("app0 failed: make: 2") + 1 :] == [
        "  Dockerfile:3 | RUN make",
        "  | cc -c x.c",
        "  | no such file",
        "  hint: look",
    ]


def test_an_app_that_was_never_begun_waited_until_it_was_cancelled() -> None:
    made = ended(AppCancelled(time=BEGAN + 9, app="app0", reason="interrupted"), exit_code=130, cancelled=1)

    assert (made.status, made.exit_code, made.apps[0].status) == ("cancelled", 130, "cancelled")
    assert (made.apps[0].waited, made.apps[0].seconds, made.client_idle) == (9.0, None, 9.0)


def test_an_app_that_was_skipped_waited_for_nobody_and_names_its_revision() -> None:
    skipped = AppCompleted(
        time=BEGAN + 1, app="app0", image="r/app0", tags=("r/app0:1",), digest="sha256:1f", seconds=0.5, steps=0,
        cached=0, sent_bytes=0, skipped=True, revision="abcdef0123456789",
    )  # fmt: skip

    made = ended(skipped, exit_code=0)

    [app] = made.apps
    assert (app.status, app.waited, app.seconds, app.revision) == ("skipped", 0.0, None, "abcdef0123456789")
    assert (made.succeeded, made.skipped, made.client_idle) == (1, 1, 0.0)
    said = list(text.lines(made))
    assert "succeeded, exit code 0: 1 succeeded (1 skipped), 0 failed, 0 cancelled in 9.0s" in said
    assert any("skipped, as abcdef012345" in line for line in said)


def test_a_run_that_never_began_says_why() -> None:
    record = simulate([MadeApp()], jobs=1)
    last = RunCompleted(
        time=BEGAN + 1, exit_code=75, seconds=1.0, succeeded=0, failed=0, cancelled=0, error="nothing answers"
    )

    made = report(msgspec.structs.replace(record, events=(last,)))

    assert (made.status, made.error, made.builder, made.client_idle) == ("failed", "nothing answers", None, None)
    assert "error: nothing answers" in list(text.lines(made))


def test_a_run_is_compared_with_the_last_one_of_its_source_that_built_something() -> None:
    cold = MadeApp(steps=(MadeStep(name="[1/1] RUN make", seconds=30.0),))
    warm = MadeApp(steps=(MadeStep(name="[1/1] RUN make", seconds=0.0, cached=True),), before=1.0)
    this = simulate([warm, warm], jobs=2, run="r4")
    nothing = msgspec.structs.replace(simulate([], jobs=2, run="r3"), header=this.header)
    earlier = [
        msgspec.structs.replace(nothing, events=()),
        simulate([cold], jobs=2, run="r2", source="/elsewhere"),
        simulate([cold], jobs=2, run="r1"),
        simulate([warm], jobs=2, run="r0"),
    ]

    before = previous(this, earlier)
    made = report(this, before=before)

    assert made.previous is not None
    assert (made.previous.run, made.previous.seconds, made.previous.cached) == ("r1", 30.0, 0)
    assert [(each.name, each.seconds_before, each.seconds) for each in made.previous.apps] == [("app0", 30.0, 1.0)]
    assert "  app0  30.0s -> 1.0s  0/1 -> 1/1 cached" in list(text.lines(made))


def test_a_report_is_data_without_a_loss() -> None:
    made = report(one_app())

    assert msgspec.json.decode(msgspec.json.encode(made), type=Report) == made


def test_a_thousand_apps_are_analysed_soon_enough() -> None:
    steps = tuple(MadeStep(name="[1/1] RUN make", seconds=1.0, needs=(n - 1,) if n else ()) for n in range(20))

    made = report(simulate([MadeApp(steps=steps)] * 1000, jobs=8))

    assert len(made.critical_path) == 20 * 125
