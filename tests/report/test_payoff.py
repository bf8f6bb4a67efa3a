"""Whether layer caches pay: what is counted as found in one, what it saved, and what is not known."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.events import AppCompleted, AppStarted, CacheExported, Event, RunStarted, StepCompleted
from orchestrator.report.payoff import Payoff, payoff
from orchestrator.report.record import Header, Record, RecordedApp
from orchestrator.report.text import paid
from orchestrator.report.timeline import Timeline, timeline

READ = "importing cache manifest from r.example/cache:cache-a"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A build of an app: its steps by name, with what they took; 0 was cached."""

    steps: dict[str, float]
    app: str = "a"
    worker: str = "one"
    reads: bool = True
    missing: bool = False
    """Whether there is no cache to read."""
    write: float | None = None
    sources: str = ""
    """Another source gives its steps other digests."""


def run(*builds: Made, host: str = "unix:///b.sock") -> Timeline:
    """A run of builds, one after another."""
    names = tuple(build.app for build in builds)
    now = 100.0
    events: list[Event] = [RunStarted(time=now, apps=names, builder=host, jobs=1)]

    def step(app: str, digest: str, name: str, seconds: float, *, cached: bool, error: str | None = None) -> None:
        nonlocal now
        now += seconds
        events.append(
            StepCompleted(
                time=now,
                app=app,
                step=digest,
                name=name,
                cached=cached,
                seconds=seconds,
                started=now - seconds,
                error=error,
            )
        )

    for build in builds:
        app = build.app
        events.append(AppStarted(time=now, app=app, host=host, image=app, worker=build.worker))
        if build.reads:
            step(app, "import", READ, 0.5, cached=False, error="not found" if build.missing else None)
        for name, seconds in build.steps.items():
            step(app, f"{name}{build.sources}", f"[build 1/9] RUN {name}", seconds, cached=seconds == 0)
        step(app, "export", "exporting to image", 0.25, cached=False)
        cached = sum(seconds == 0 for seconds in build.steps.values())
        events.append(
            AppCompleted(
                time=now,
                app=app,
                image=app,
                tags=(),
                digest=None,
                seconds=1.0,
                steps=len(build.steps),
                cached=cached,
                sent_bytes=0,
            )
        )
        if build.write is not None:
            now += build.write
            events.append(CacheExported(time=now, app=app, ref="r.example/cache", seconds=build.write, executed=0))
    planned = tuple(RecordedApp(name=name, path=name, language="go") for name in names)
    header = Header(time=100.0, run="r", version="0", source="/s", apps=planned)
    return timeline(Record(header=header, events=tuple(events)))


COLD = Made(steps={"install": 8.0, "make": 4.0}, missing=True, write=2.0)
WARM = Made(steps={"install": 0.0, "make": 0.0}, worker="two")


def known(runs: Sequence[Timeline]) -> Payoff:
    made = payoff(runs)
    assert made is not None
    return made


def test_what_an_empty_builder_finds_is_what_it_saves() -> None:
    made = known([run(COLD), run(WARM)])

    assert made == Payoff(
        verdict="pays",
        runs=2,
        written=1,
        write_seconds=2.0,
        read=1,
        read_seconds=0.5,
        steps=2,
        saved_seconds=12.0,
        unknown_steps=0,
    )
    assert paid(made) == (
        "layer caches pay: 2 steps of 12.0s were found that builders did not have, and reading took 0.5s; "
        "writing 1 took 2.0s, as far as runs are known (2)"
    )


@pytest.mark.parametrize(
    ("runs", "verdict", "steps", "saved"),
    [
        # Nobody has read it yet, or only who has the steps anyway.
        ([[COLD]], "unknown", 0, 0.0),
        ([[COLD], [msgspec.structs.replace(WARM, worker="one")]], "unknown", 0, 0.0),
        # The same builder, by the app's own words: with other sources a step has another digest.
        ([[COLD], [msgspec.structs.replace(WARM, worker="one", sources="x")]], "unknown", 0, 0.0),
        # No cache was there, or none was asked for: it is somebody else's doing that the steps are.
        ([[COLD], [msgspec.structs.replace(WARM, missing=True)]], "unknown", 0, 0.0),
        ([[COLD], [msgspec.structs.replace(WARM, reads=False)]], "unknown", 0, 0.0),
        # What it has found once, a builder has.
        ([[COLD], [WARM], [WARM]], "pays", 2, 12.0),
        ([[COLD], [WARM], [msgspec.structs.replace(WARM, worker="three")]], "pays", 4, 24.0),
        # Of apps that share steps, the builder would have executed them once.
        ([[COLD], [WARM, msgspec.structs.replace(WARM, app="b")]], "pays", 2, 12.0),
        ([[COLD, Made(app="b", steps={"install": 0.0, "make": 0.0})]], "unknown", 0, 0.0),
        # Sources that have changed: the length is known by the step's name.
        ([[COLD], [msgspec.structs.replace(WARM, sources="x")]], "pays", 2, 12.0),
        # Steps that were never executed here may have taken any time.
        ([[msgspec.structs.replace(WARM, write=1.0)]], "unknown", 2, 0.0),
        # It costs more than it saves.
        ([[COLD], [COLD], [COLD], [COLD], [COLD], [COLD], [WARM]], "costs", 2, 12.0),
    ],
)
def test_what_counts(runs: list[list[Made]], verdict: str, steps: int, saved: float) -> None:
    made = known([run(*builds) for builds in runs])

    assert (made.verdict, made.steps, made.saved_seconds) == (verdict, steps, saved)


def test_a_run_without_caches_has_nothing_to_say() -> None:
    assert payoff([run(Made(steps={"make": 1.0}, reads=False))]) is None
    assert payoff([]) is None


def test_what_a_step_took_last_is_what_it_takes() -> None:
    slower = Made(steps={"install": 8.0, "make": 9.0})

    assert known([run(COLD), run(slower), run(WARM)]).saved_seconds == 17.0


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([[COLD]], "is not known yet: writing 1 took 2.0s, as far as runs are known (1), and no build has found"),
        ([[msgspec.structs.replace(WARM, write=1.0)]], "is not known yet: 2 steps of 0.0s"),
        ([[COLD], [COLD], [COLD], [COLD], [COLD], [COLD], [WARM]], "layer caches have cost more than they saved: 2"),
    ],
)
def test_it_is_said_in_a_sentence(made: list[list[Made]], said: str) -> None:
    assert said in paid(known([run(*builds) for builds in made]))


_BUILDS = st.builds(
    Made,
    steps=st.dictionaries(st.sampled_from("xyz"), st.sampled_from([0.0, 1.0, 2.0])),
    app=st.sampled_from("ab"),
    worker=st.sampled_from(["one", "two"]),
    reads=st.booleans(),
    missing=st.booleans(),
    write=st.none() | st.sampled_from([0.0, 1.0]),
)


@given(st.lists(st.lists(_BUILDS, max_size=2, unique_by=lambda build: build.app), max_size=5))
def test_a_builder_finds_a_step_once_and_saves_no_more_than_it_takes(runs: list[list[Made]]) -> None:
    made = payoff([run(*builds) for builds in runs])

    builds = [build for each in runs for build in each]
    cached = {(build.worker, name) for build in builds for name, seconds in build.steps.items() if not seconds}
    if made is not None:
        assert made.steps <= len(cached)
        assert made.saved_seconds <= 2.0 * (made.steps - made.unknown_steps)
        assert made.written == sum(build.write is not None for build in builds)
        assert (made.verdict == "pays") <= (made.saved_seconds > made.write_seconds)
        assert (made.verdict == "costs") <= (made.read > 0 and not made.unknown_steps)
