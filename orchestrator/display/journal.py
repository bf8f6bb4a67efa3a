"""What happened as lines of text, each prefixed by its app and the step's number; and what is said at a run's end.

An app's lines are kept until it has ended well: the full log of every failed app is shown again at the end.
"""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, assert_never

from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    CacheExported,
    PackagesCarried,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepLog,
    StepStarted,
)
from orchestrator.text import indented, printable, short, size

_IN_MEMORY = 256 * 1024
"""Bytes of one app's log kept in memory; beyond it an unnamed temporary file holds them."""
_AT_ONCE = 256 * 1024
"""Characters of a log that are read at once."""

_AppEvent = AppStarted | AppWarning | AppCompleted | AppFailed | AppCancelled | CacheExported
_StepEvent = StepStarted | StepCompleted | StepLog


class Journal:
    """The state behind the lines: the prefix's width, the steps' numbers, the logs of apps that have not ended well."""

    def __init__(self) -> None:
        self._width = 0
        self._numbers: dict[str, dict[str, int]] = {}
        self._logs: dict[str, IO[str] | None] = {}
        self._running: dict[str, dict[str, StepStarted]] = {}

    def close(self) -> None:
        """Let go of all logs."""
        for app in list(self._logs):
            self.forget(app)

    def started(self, event: RunStarted) -> str:
        """The run's first line."""
        self._width = max((len(name) for name in event.apps), default=0)
        count = len(event.apps)
        return f"building {count} {'app' if count == 1 else 'apps'} on {printable(event.builder)}\n"

    def step(self, event: _StepEvent) -> str:
        """The lines that an event of a step adds; they are kept, too."""
        numbers = self._numbers.setdefault(event.app, {})
        number = numbers.setdefault(event.step, len(numbers) + 1)
        if isinstance(event, StepStarted):
            self._running.setdefault(event.app, {})[event.step] = event
        elif isinstance(event, StepCompleted):
            self._running.get(event.app, {}).pop(event.step, None)
        lines = self._lines(event.app, f"#{number} {_step_text(event)}")
        if event.app not in self._logs:
            # Held until the app has ended well or its log was shown: `close` and `forget` let go of it.
            self._logs[event.app] = tempfile.SpooledTemporaryFile(  # noqa: SIM115
                _IN_MEMORY, mode="w+", encoding="utf-8", errors="backslashreplace"
            )
        log = self._logs[event.app]
        if log is not None:
            try:
                log.write(lines)
            except OSError:
                # The disk is full: the builds matter more than showing their output once more.
                self.forget(event.app)
                self._logs[event.app] = None
        return lines

    def app(self, event: _AppEvent) -> str:
        """The lines that an event of an app adds."""
        if isinstance(event, AppCompleted | AppCancelled | AppFailed):
            self._running.pop(event.app, None)
        if isinstance(event, AppCompleted | AppCancelled):
            self.forget(event.app)
            self._numbers.pop(event.app, None)
        return self._lines(event.app or "", _app_text(event))

    def carried(self, event: PackagesCarried) -> str:
        """The line of a package cache."""
        return self._lines("", _packages_text(event))

    def running(self, now: float) -> Iterator[str]:
        """The lines that say which steps go on, and for how long.

        Args:
            now: seconds since the epoch.
        """
        for app, steps in self._running.items():
            for step in steps.values():
                seconds = max(0.0, now - step.time)
                yield self._lines(app, f"#{self._numbers[app][step.step]} still at {step.name}, for {seconds:.0f}s")

    def log(self, app: str) -> Iterator[str]:
        """An app's whole log, in pieces: it may be larger than what memory should hold."""
        log = self._logs.get(app)
        if log is not None:
            try:
                log.seek(0)
                while piece := log.read(_AT_ONCE):
                    yield piece
            except OSError:
                yield "(the rest cannot be read)\n"
        elif app in self._logs:
            yield "(it could not be kept: the temporary directory is full or missing)\n"

    def forget(self, app: str) -> None:
        """Let go of an app's log."""
        log = self._logs.pop(app, None)
        if log is not None:
            with suppress(OSError):
                log.close()

    def _lines(self, app: str, text: str) -> str:
        prefix = f"{printable(app):<{self._width}}"
        return "".join(f"{prefix} | {printable(line)}\n" for line in text.splitlines() or [""])


def failure(event: AppFailed) -> str:
    """What went wrong with an app, where in its Dockerfile, the step's last words, and what to do next."""
    where = [f"  {event.file}:{line} | {text}" for line, text in enumerate(event.source, event.line or 1)]
    said = ["  the step's last lines:", *(f"  | {line}" for line in event.log)] if event.log else []
    lines = "".join(f"{printable(line)}\n" for line in (*where, *said))
    return f"error: {printable(event.app)}: {indented(event.message)}\n{lines}hint: {indented(event.hint)}\n"


def counts(event: RunCompleted) -> str:
    """The run's last line."""
    skipped = f" ({event.skipped} skipped)" if event.skipped else ""
    text = f"{event.succeeded} succeeded{skipped}, {event.failed} failed, {event.cancelled} cancelled"
    return f"{text} in {event.seconds:.1f}s\n"


def _step_text(event: _StepEvent) -> str:
    match event:
        case StepStarted():
            return event.name
        case StepLog():
            return f"| {event.text}"
        case StepCompleted():
            if event.error is not None:
                return f"ERROR {event.error}"
            return "CACHED" if event.cached else f"DONE {event.seconds:.1f}s"
        case _:
            assert_never(event)


def _completed_text(event: AppCompleted) -> str:
    where = " ".join((*event.tags, *event.outputs)) or event.image
    if event.skipped:
        since = f" since {short(event.revision)}" if event.revision else ""
        return f"skipped, unchanged{since}: {where} {event.digest}"
    steps = f"{event.cached} of {event.steps} steps cached"
    return f"done in {event.seconds:.1f}s ({steps}): {where}" + (f" {event.digest}" if event.digest else "")


def _cache_text(event: CacheExported) -> str:
    if event.error is not None:
        return f"warning: no cache was written to {event.ref}: {event.error}"
    again = f", for which {event.executed} steps ran again" if event.executed else ""
    return f"cache written to {event.ref} in {event.seconds:.1f}s{again}"


def _packages_text(event: PackagesCarried) -> str:
    done = "filled" if event.to == "builder" else "kept"
    if event.error is not None:
        where = f" ({event.host})" if event.host else ""
        return f"warning: the package cache {event.cache} was not {done}{where}: {event.error}{_hint(event.hint)}"
    where = f" {'on' if event.to == 'builder' else 'of'} {event.host}" if event.host else ""
    passed = f", not what else is new on {', '.join(event.passed)}" if event.passed else ""
    return f"package cache {event.cache} {done}{where}: {size(event.size)} in {event.seconds:.1f}s{passed}"


def _hint(hint: str | None) -> str:
    return f" (hint: {hint})" if hint else ""


def _app_text(event: _AppEvent) -> str:
    match event:
        case AppStarted():
            part = f" for {event.platform} on {event.host}" if event.platform else ""
            return f"building {event.image}{part}" + (f" ({event.reason})" if event.reason else "")
        case AppWarning():
            return f"warning: {event.message}{_hint(event.hint)}"
        case AppCompleted():
            return _completed_text(event)
        case AppFailed():
            return f"FAILED after {event.seconds:.1f}s: {event.message}"
        case AppCancelled():
            return f"cancelled ({event.reason})"
        case CacheExported():
            return _cache_text(event)
        case _:
            assert_never(event)
