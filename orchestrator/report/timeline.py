"""A run on one clock: a fold over its record. Times are seconds since the run began.

Our own events bound an app; within it, the builder's clock says when steps began, and is set by the step that was told
soonest. What no step accounts for stays a gap: before the first one a session was opened, after the last one tags were
put.
"""

from collections.abc import Iterable
from typing import Literal, assert_never

import msgspec

from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    CacheExported,
    Event,
    ImagePart,
    MemoryMeasured,
    PackagesCarried,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepContinued,
    StepLog,
    StepProgress,
    StepStarted,
)
from orchestrator.report.kinds import Kind, kind_of
from orchestrator.report.record import Record, RecordedApp

Status = Literal["succeeded", "skipped", "failed", "cancelled", "unfinished", "waiting"]
"""Of an app; `skipped` has an image that was there already, `unfinished` and `waiting` are those of a run that goes on
or was killed."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of an app's build; one that went on after its end is here more than once."""

    step: str
    """The vertex digest."""
    name: str
    kind: Kind
    cached: bool
    start: float
    end: float
    pushed: float = 0.0
    """Seconds at its end in which it pushed."""
    moved_bytes: int = 0
    inputs: tuple[str, ...] = ()
    error: str | None = None
    ended: bool = True
    """False for one that was running when the record ends."""


class TimedApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app of a run."""

    name: str
    path: str
    language: str
    version: str | None
    reason: str
    needs: tuple[str, ...]
    status: Status
    host: str | None
    """The builder's address; None when it was never sent to one."""
    placed: str
    """Why there, as in `AppStarted`; empty when it was not told."""
    warm: tuple[str, ...]
    """What of it was known to lie there."""
    worker: str
    """The builder's id of its own; empty when it was not told."""
    image: str | None
    tags: tuple[str, ...]
    digest: str | None
    revision: str | None
    """What a skipped image was built from, where that is known."""
    ready: float
    """When it could have begun: the images that it needs were there."""
    start: float | None
    end: float
    """When the run ended, for what was never begun or never ended."""
    cached: int
    total: int
    """Instructions that were found cached, and all."""
    sent_bytes: int
    parts: tuple[ImagePart, ...]
    """What each host has built of it; empty when one has built all."""
    steps: tuple[Step, ...]
    """In the order in which they began."""
    failure: AppFailed | None
    cache: CacheExported | None
    """What became of its layer cache, which is written in its slot when it is published."""
    freed: float
    """When its slot was free again."""
    held: float
    """Seconds before its start in which it waited for the builder's memory."""
    memory: int | None
    """Bytes that it needed of that; None: not measured."""
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """How long it was built; None when it was never begun."""
        return None if self.start is None else self.end - self.start


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """A run."""

    began: float
    """Seconds since the epoch."""
    seconds: float
    jobs: int
    memory: int
    """Bytes that the builder had to give, as far as was known when it began; 0: not known."""
    builder: str | None
    """None when no builder was reached."""
    completed: RunCompleted | None
    apps: tuple[TimedApp, ...]
    carried: tuple[PackagesCarried, ...]
    """Package caches, which are filled before builds and kept after them."""
    warnings: tuple[str, ...]


class _App:
    def __init__(self, planned: RecordedApp) -> None:
        self.planned = planned
        self.started: AppStarted | None = None
        self.outcome: AppCompleted | AppFailed | AppCancelled | None = None
        self.open: dict[str, StepStarted] = {}
        self.done: list[StepCompleted | StepContinued] = []
        self.exported: CacheExported | None = None
        self.memory: int | None = None
        self.warnings: list[str] = []

    def start(self, event: AppStarted) -> None:
        # Parts begin one after another, and the image with the first of them.
        if not event.platform or self.started is None:
            self.started = event

    def step(self, event: StepStarted | StepCompleted | StepContinued) -> None:
        if isinstance(event, StepStarted):
            self.open[event.step] = event
        else:
            self.open.pop(event.step, None)
            self.done.append(event)

    def end(self, event: AppCompleted | AppFailed | AppCancelled | CacheExported) -> None:
        if isinstance(event, CacheExported):
            self.exported = event
        else:
            self.outcome = event

    def timed(self, *, began: float, ended: float) -> TimedApp:
        outcome, started = self.outcome, self.started
        end = _between(outcome.time - began if outcome else ended, 0.0, ended)
        start = None if started is None else _between(started.time - began, 0.0, end)
        completed = outcome if isinstance(outcome, AppCompleted) else None
        steps = () if start is None else self._steps(began, start, end)
        counted = {step.step: step for step in steps if step.kind in {"install", "build"}}.values()
        return TimedApp(
            name=self.planned.name,
            path=self.planned.path,
            language=self.planned.language or (started.language if started else ""),
            version=self.planned.version,
            reason=(started.reason if started else "") or self.planned.reason,
            needs=self.planned.needs,
            status=self._status(),
            host=(completed.host if completed else "") or (started.host if started else None),
            placed=started.placed if started else "",
            warm=started.warm if started else (),
            worker=started.worker if started else "",
            image=started.image if started else completed.image if completed else None,
            tags=completed.tags if completed else (),
            digest=completed.digest if completed else None,
            revision=completed.revision if completed else None,
            ready=0.0,
            start=start,
            end=end,
            cached=completed.cached if completed else sum(step.cached for step in counted),
            total=completed.steps if completed else len(counted),
            sent_bytes=completed.sent_bytes if completed else 0,
            parts=completed.parts if completed else (),
            steps=steps,
            failure=outcome if isinstance(outcome, AppFailed) else None,
            cache=self.exported,
            freed=_between(self.exported.time - began, end, ended) if self.exported else end,
            held=0.0 if started is None or start is None else _between(started.held, 0.0, start),
            memory=self.memory,
            warnings=tuple(self.warnings),
        )

    def _status(self) -> Status:
        match self.outcome:
            case AppCompleted():
                return "skipped" if self.outcome.skipped else "succeeded"
            case AppFailed():
                return "failed"
            case AppCancelled():
                return "cancelled"
            case None:
                return "waiting" if self.started is None else "unfinished"
            case _:
                assert_never(self.outcome)

    def _steps(self, began: float, start: float, end: float) -> tuple[Step, ...]:
        # A builder's clock may be anywhere: the step whose end was told soonest says where.
        late = [each.time - (each.started + each.seconds) for each in self.done if each.started is not None]
        offset = min(late, default=0.0) - began
        inputs = {each.step: each.inputs for each in self.done if isinstance(each, StepCompleted)}
        steps: list[Step] = []
        for each in self.done:
            first = each.time - began - each.seconds if each.started is None else each.started + offset
            low = _between(first, start, end)
            high = _between(first + each.seconds, low, end)
            steps.append(
                Step(
                    step=each.step,
                    name=each.name,
                    kind=kind_of(each.name),
                    cached=each.cached,
                    start=low,
                    end=high,
                    pushed=min(each.push_seconds, high - low) if isinstance(each, StepCompleted) else 0.0,
                    moved_bytes=each.moved_bytes,
                    inputs=inputs.get(each.step, ()),
                    error=each.error if isinstance(each, StepCompleted) else None,
                )
            )
        for step in self.open.values():
            low = _between(step.time - began, start, end)
            kind = kind_of(step.name)
            last = Step(
                step=step.step,
                name=step.name,
                kind=kind,
                cached=False,
                start=low,
                end=end,
                ended=self.outcome is not None,
            )
            steps.append(last)
        return tuple(sorted(steps, key=lambda step: (step.start, step.end)))


class _Fold:
    def __init__(self, planned: Iterable[RecordedApp]) -> None:
        self.apps = {each.name: _App(each) for each in planned}
        self.started: RunStarted | None = None
        self.completed: RunCompleted | None = None
        self.carried: list[PackagesCarried] = []
        self.warnings: list[str] = []

    def app(self, name: str) -> _App:
        return self.apps.setdefault(name, _App(RecordedApp(name=name, path="", language="")))

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.started = event
            case AppStarted():
                self.app(event.app).start(event)
            case StepStarted() | StepCompleted() | StepContinued():
                self.app(event.app).step(event)
            case AppWarning():
                said = self.warnings if event.app is None else self.app(event.app).warnings
                said.append(event.message)
            case RunCompleted():
                self.completed = event
            case AppCompleted() | AppFailed() | AppCancelled() | CacheExported():
                self.app(event.app).end(event)
            case MemoryMeasured():
                self.app(event.app).memory = event.needed
            case PackagesCarried():
                self.carried.append(event)
            case StepLog() | StepProgress():
                pass
            case _:
                assert_never(event)


def timeline(record: Record, *, now: float | None = None) -> Timeline:
    """Put a record's events on one clock.

    Args:
        record: a run's.
        now: seconds since the epoch, of a run that goes on.
    """
    fold = _Fold(record.header.apps)
    for event in record.events:
        fold.apply(event)
    began = fold.started.time if fold.started else record.header.time
    last = max((event.time for event in record.events), default=began) if now is None else now
    seconds = fold.completed.seconds if fold.completed and fold.started else max(0.0, last - began)
    apps: dict[str, TimedApp] = {}
    for name, app in fold.apps.items():
        apps[name] = app.timed(began=began, ended=seconds)
    return Timeline(
        began=began,
        seconds=seconds,
        jobs=fold.started.jobs if fold.started else 0,
        memory=fold.started.memory if fold.started else 0,
        builder=fold.started.builder if fold.started else None,
        completed=fold.completed,
        apps=tuple(_waiting(app, apps) for app in apps.values()),
        carried=tuple(fold.carried),
        warnings=tuple(fold.warnings),
    )


def _waiting(app: TimedApp, apps: dict[str, TimedApp]) -> TimedApp:
    """An app with the moment from which on it could have begun."""
    ends = [apps[name].end for name in app.needs if name in apps]
    latest = app.end if app.start is None else app.start
    # What is skipped waits for nobody.
    ready = latest if app.status == "skipped" else min(max(ends, default=0.0), latest)
    return msgspec.structs.replace(app, ready=ready)


def _between(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))
