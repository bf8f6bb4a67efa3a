"""Plain lines, each prefixed by its app and the step's number; the full log of every failed app again at the end.

What comes from a build is untrusted: control characters never reach the terminal.
"""

import tempfile
from contextlib import suppress
from typing import IO, assert_never

from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepLog,
    StepProgress,
    StepStarted,
)

_IN_MEMORY = 256 * 1024
"""Bytes of one app's log kept in memory; beyond it an unnamed temporary file holds them."""

_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) != "\t"}


def printable(text: str) -> str:
    """Text without the characters that a terminal would obey."""
    return text.translate(_CONTROLS)


class Plain:
    """The display's state: the prefix's width, the steps' numbers, the logs of the apps that have not ended well."""

    def __init__(self) -> None:
        self._width = 0
        self._numbers: dict[str, dict[str, int]] = {}
        self._logs: dict[str, IO[str] | None] = {}
        self._failed: list[AppFailed] = []

    def close(self) -> None:
        """Let go of all logs."""
        for app in list(self._logs):
            self._forget(app)

    def render(self, event: Event) -> str:
        """The lines that an event adds."""
        match event:
            case RunStarted():
                self._width = max((len(name) for name in event.apps), default=0)
                count = len(event.apps)
                return f"building {count} {'app' if count == 1 else 'apps'} on {event.builder}\n"
            case StepStarted() | StepCompleted() | StepLog():
                numbers = self._numbers.setdefault(event.app, {})
                number = numbers.setdefault(event.step, len(numbers) + 1)
                return self._step(event.app, f"#{number} {_step_text(event)}")
            case StepProgress():
                # A line each would be too many, and there is no line to change.
                return ""
            case AppStarted() | AppWarning():
                return self._line(event.app or "", _app_text(event))
            case AppCompleted() | AppCancelled():
                self._forget(event.app)
                self._numbers.pop(event.app, None)
                return self._line(event.app, _app_text(event))
            case AppFailed():
                self._failed.append(event)
                return self._line(event.app, _app_text(event))
            case RunCompleted():
                return self._summary(event)
            case _:
                assert_never(event)

    def _line(self, app: str, text: str) -> str:
        lines = text.splitlines() or [""]
        return "".join(f"{app:<{self._width}} | {printable(line)}\n" for line in lines)

    def _step(self, app: str, text: str) -> str:
        lines = self._line(app, text)
        if app not in self._logs:
            # Held until the app has ended well or its log was shown: `close` and `_forget` let go of it.
            self._logs[app] = tempfile.SpooledTemporaryFile(_IN_MEMORY, mode="w+", encoding="utf-8")  # noqa: SIM115
        log = self._logs[app]
        if log is not None:
            try:
                log.write(lines)
            except OSError:
                # The disk is full: the builds matter more than showing their output once more.
                self._forget(app)
                self._logs[app] = None
        return lines

    def _forget(self, app: str) -> None:
        log = self._logs.pop(app, None)
        if log is not None:
            with suppress(OSError):
                log.close()

    def _log_of(self, app: str) -> str:
        log = self._logs.get(app)
        if log is not None:
            with suppress(OSError):
                log.seek(0)
                return log.read()
        return "" if app not in self._logs else "(it could not be kept: the temporary directory is full or missing)\n"

    def _summary(self, event: RunCompleted) -> str:
        parts: list[str] = []
        for failure in self._failed:
            parts.append(f"\n--- the full log of {failure.app} ---\n")
            parts.append(self._log_of(failure.app))
            message = "\n".join(printable(line) for line in failure.message.splitlines())
            parts.append(f"error: {failure.app}: {message}\nhint: {printable(failure.hint)}\n")
        counts = f"{event.succeeded} succeeded, {event.failed} failed, {event.cancelled} cancelled"
        parts.append(f"\n{counts} in {event.seconds:.1f}s\n")
        self.close()
        return "".join(parts)


def _step_text(event: StepStarted | StepCompleted | StepLog) -> str:
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


def _app_text(event: AppStarted | AppWarning | AppCompleted | AppFailed | AppCancelled) -> str:
    match event:
        case AppStarted():
            return f"building {event.image}"
        case AppWarning():
            return f"warning: {event.message}" + (f" (hint: {event.hint})" if event.hint else "")
        case AppCompleted():
            where = " ".join(event.tags) or event.image
            steps = f"{event.cached} of {event.steps} steps cached"
            return f"done in {event.seconds:.1f}s ({steps}): {where} {event.digest}"
        case AppFailed():
            return f"FAILED after {event.seconds:.1f}s: {event.message}"
        case AppCancelled():
            return f"cancelled ({event.reason})"
        case _:
            assert_never(event)
