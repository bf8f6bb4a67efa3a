"""Runs that never were: apps that are built on slots, with every step known, as a record would tell them."""

import heapq
from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from orchestrator.events import (
    AppCompleted,
    AppStarted,
    CacheExported,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepStarted,
)
from orchestrator.report.record import Header, Record, RecordedApp

BEGAN = 1_000_000.0
NAMES = (
    "[internal] load build context",
    "[internal] load metadata for docker.io/library/debian:bookworm-slim",
    "[install 1/3] FROM docker.io/library/node:22",
    "[install 3/3] RUN npm ci",
    "[builder 1/1] RUN npm run build",
    "exporting to image",
    "pushing image",
)


class MadeStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step; `needs` are numbers of earlier ones."""

    name: str
    seconds: float
    wait: float = 0.0
    """After what it needs had ended."""
    needs: tuple[int, ...] = ()
    cached: bool = False
    pushed: float = 0.0


class MadeApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app: its steps, and what passes before and after them."""

    steps: tuple[MadeStep, ...] = ()
    before: float = 0.0
    after: float = 0.0
    depends_on: tuple[int, ...] = ()
    """Numbers of earlier apps."""
    cache: float = 0.0
    """For which its layer cache is written."""
    delay: float = 0.0
    """For which we leave a free slot unused before it."""


def name_of(number: int) -> str:
    return f"app{number}"


def simulate(apps: Sequence[MadeApp], *, jobs: int, skew: float = 0.0, run: str = "r", source: str = "/s") -> Record:
    """The record of apps that are begun in their order as soon as there is a slot.

    Args:
        apps: what is built.
        jobs: slots.
        skew: by how much the builder's clock is ahead.
        run: its name.
        source: its source.
    """
    events: list[Event] = [
        RunStarted(time=BEGAN, apps=tuple(map(name_of, range(len(apps)))), builder="unix:///b.sock", jobs=jobs)
    ]
    slots = [BEGAN] * jobs
    ends: list[float] = []
    for number, app in enumerate(apps):
        ready = max([BEGAN, *(ends[each] for each in app.depends_on)])
        start = max(heapq.heappop(slots), ready) + app.delay
        end = _build(number, app, start, skew, events)
        ends.append(end)
        heapq.heappush(slots, end + app.cache)
        if app.cache:
            written = CacheExported(
                time=end + app.cache, app=name_of(number), ref="r.example/cache", seconds=app.cache, executed=0
            )
            events.append(written)
    last = max([BEGAN, *slots])
    events.sort(key=lambda event: event.time)
    events.append(
        RunCompleted(time=last, exit_code=0, seconds=last - BEGAN, succeeded=len(apps), failed=0, cancelled=0)
    )
    planned = tuple(
        RecordedApp(
            name=name_of(number),
            path=f"apps/{number}",
            language="nodejs",
            needs=tuple(map(name_of, app.depends_on)),
        )
        for number, app in enumerate(apps)
    )
    header = Header(time=BEGAN, run=run, version="0", source=source, revision="f" * 40, branch="main", apps=planned)
    return Record(header=header, events=tuple(events))


def _build(number: int, app: MadeApp, start: float, skew: float, events: list[Event]) -> float:
    name, host = name_of(number), "unix:///b.sock"
    events.append(AppStarted(time=start, app=name, host=host, image=f"r.example/{name}", language="nodejs"))
    ended: list[float] = []
    for index, step in enumerate(app.steps):
        begins = max([start + app.before, *(ended[each] for each in step.needs)]) + step.wait
        ended.append(begins + step.seconds)
        events.append(StepStarted(time=begins, app=name, step=f"{number}-{index}", name=step.name))
        events.append(
            StepCompleted(
                time=ended[-1],
                app=name,
                step=f"{number}-{index}",
                name=step.name,
                cached=step.cached,
                seconds=step.seconds,
                started=begins + skew,
                inputs=tuple(f"{number}-{each}" for each in step.needs),
                push_seconds=min(step.pushed, step.seconds),
            )
        )
    end = max([start + app.before, *ended]) + app.after
    events.append(
        AppCompleted(
            time=end,
            app=name,
            image=f"r.example/{name}",
            tags=(f"r.example/{name}:1",),
            digest=f"sha256:{number:064x}",
            seconds=end - start,
            steps=len(app.steps),
            cached=sum(step.cached for step in app.steps),
            sent_bytes=1000 * number,
        )
    )
    return end


# Sixteenths add up without a rounding error.
_SECONDS = st.integers(0, 80).map(lambda count: count / 16)


@st.composite
def made_apps(draw: st.DrawFn, *, delays: bool = False) -> list[MadeApp]:
    """Some apps with some steps."""
    apps: list[MadeApp] = []
    for number in range(draw(st.integers(0, 6))):
        steps = tuple(
            MadeStep(
                name=draw(st.sampled_from(NAMES)),
                seconds=draw(_SECONDS),
                wait=draw(_SECONDS),
                needs=tuple(draw(st.sets(st.integers(0, index - 1), max_size=2))) if index else (),
                cached=draw(st.booleans()),
                pushed=draw(_SECONDS),
            )
            for index in range(draw(st.integers(0, 5)))
        )
        apps.append(
            MadeApp(
                steps=steps,
                before=draw(_SECONDS),
                after=draw(_SECONDS),
                depends_on=tuple(draw(st.sets(st.integers(0, number - 1), max_size=2))) if number else (),
                cache=draw(_SECONDS),
                delay=draw(_SECONDS) if delays else 0.0,
            )
        )
    return apps
