"""What the table knows: a fold over a run's events. Neither a width nor a colour is known here."""

import re
from typing import assert_never

import msgspec

from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    CacheExported,
    Event,
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

_INSTRUCTION = re.compile(r"\[(?:([^\]]+) )?(\d{1,4})/(\d{1,4})\] (FROM )?")
"""How BuildKit names a Dockerfile's instructions: `[builder 2/6] RUN make`. A base image is numbered too, but no step
that could be cached."""
_FLAGS = re.compile(r"(?<=\] )(RUN|COPY|ADD) (?:--\S+ +)+")
"""What stands before the command, and would fill the row: `RUN --mount=type=cache,... make`."""
_LAYER = "sha256:"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An app that is being built."""

    app: str
    language: str
    host: str
    step: str
    """What it is at: the step that started last, and what the daemon does there."""
    cached: int
    total: int
    """Instructions of the Dockerfile, as far as they are known."""
    current: int
    """Bytes that the running steps have moved."""
    size: int
    """Bytes that they will have moved; 0 when that is not known."""
    started: float
    """Seconds since the epoch."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The run at one moment."""

    builder: str
    running: tuple[Row, ...]
    """In the order in which they began."""
    failed: tuple[AppFailed, ...]
    waiting: int
    succeeded: int
    cancelled: int
    started: float


class _App:
    def __init__(self, event: AppStarted) -> None:
        self._event = event
        self._hosts = [event.host]
        self._running: dict[str, str] = {}
        self._moving: dict[str, StepProgress] = {}
        self._stages: dict[str, int] = {}
        self._bases: set[str] = set()
        self._seen: set[str] = set()
        self._cached = 0
        self._last = ""

    def join(self, event: AppStarted) -> None:
        """Another part of the same image begins."""
        if event.host not in self._hosts:
            self._hosts.append(event.host)

    def start(self, event: StepStarted) -> None:
        self._running[event.step] = self._last = event.name
        match = _INSTRUCTION.match(event.name)
        if match is not None:
            stage, _, count, base = match.groups(default="")
            self._stages[stage] = max(int(count), self._stages.get(stage, 0))
            if base:
                self._bases.add(stage)
            else:
                self._seen.add(event.step)

    def end(self, event: StepCompleted) -> None:
        self._running.pop(event.step, None)
        self._moving.pop(event.step, None)
        self._cached += event.cached and event.step in self._seen

    def move(self, event: StepProgress) -> None:
        if event.step in self._running:
            self._moving[event.step] = event

    def row(self) -> Row:
        event = self._event
        step = next(reversed(self._running), None)
        name = self._last if step is None else self._running[step]
        moving = self._moving.values()
        activity = self._moving[step].activity if step in self._moving else ""
        if activity and not activity.startswith(_LAYER):
            name = f"{name}: {activity}"
        name = _FLAGS.sub(r"\1 ", name, count=1)
        return Row(
            app=event.app,
            language=event.language,
            host=", ".join(self._hosts),
            step=name,
            cached=self._cached,
            total=max(len(self._seen), sum(self._stages.values()) - len(self._bases)),
            current=sum(each.current for each in moving),
            size=sum(each.total for each in moving) if all(each.total for each in moving) else 0,
            started=event.time,
        )


class Board:
    """The run so far. Takes events in any order: a display must not fail because of them."""

    def __init__(self) -> None:
        self._builder = ""
        self._started = 0.0
        self._known: set[str] = set()
        self._running: dict[str, _App] = {}
        self._ended: dict[str, AppCompleted | AppFailed | AppCancelled] = {}

    def apply(self, event: Event) -> None:
        """Fold one event."""
        match event:
            case RunStarted():
                self._builder, self._started = event.builder, event.time
                self._known.update(event.apps)
            case AppStarted():
                self._known.add(event.app)
                if event.platform and event.app in self._running:
                    self._running[event.app].join(event)
                else:
                    self._running[event.app] = _App(event)
            case StepStarted() | StepProgress() | StepCompleted():
                app = self._running.get(event.app)
                if app is not None:
                    _apply_step(app, event)
            case AppCompleted() | AppFailed() | AppCancelled():
                self._known.add(event.app)
                self._running.pop(event.app, None)
                self._ended[event.app] = event
            case StepContinued() | StepLog() | AppWarning() | CacheExported() | PackagesCarried() | RunCompleted():
                pass
            case MemoryMeasured():
                pass
            case _:
                assert_never(event)

    def view(self) -> View:
        """The run at this moment."""
        ended = self._ended.values()
        return View(
            builder=self._builder,
            running=tuple(app.row() for app in self._running.values()),
            failed=tuple(event for event in ended if isinstance(event, AppFailed)),
            waiting=len(self._known - self._running.keys() - self._ended.keys()),
            succeeded=sum(isinstance(event, AppCompleted) for event in ended),
            cancelled=sum(isinstance(event, AppCancelled) for event in ended),
            started=self._started,
        )


def _apply_step(app: _App, event: StepStarted | StepProgress | StepCompleted) -> None:
    match event:
        case StepStarted():
            app.start(event)
        case StepProgress():
            app.move(event)
        case StepCompleted():
            app.end(event)
        case _:
            assert_never(event)
