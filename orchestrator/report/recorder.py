"""Writing the record of a run while it goes on: appended, never held back, and never waited for.

A thread writes, because a disk may hang and a build's session must not. What was written when this process is killed
stays readable. A record that cannot be written any more costs the record, and not the run.
"""

import fcntl
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from orchestrator.events import (
    AppCompleted,
    AppFailed,
    AppWarning,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepContinued,
    StepStarted,
)
from orchestrator.report import record
from orchestrator.report.record import FILE, Header
from orchestrator.report.redaction import Redactor

_LARGEST = 64 * 1024 * 1024
"""Bytes after which steps and warnings are left out."""
_GATHERED_SECONDS = 0.02
"""For which events are gathered behind a write."""
_FULL = "the record of this run is full: steps are left out from here on"


class Recorder:
    """The record of one run.

    Attributes:
        path: the record's file.
        failure: why it could not be written to its end.
    """

    def __init__(
        self, directory: Path, header: Header, redactor: Redactor, *, ended: Callable[[], None], largest: int = _LARGEST
    ) -> None:
        """Make the run's directory and begin its record.

        Args:
            directory: of all runs; made if it is not there.
            header: names the run.
            redactor: masks what must not be written.
            ended: called in the writer's thread when all is written.
            largest: bytes after which steps are left out.

        Raises:
            OSError: it cannot be made.
        """
        folder = directory / header.run
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        self.path = folder / FILE
        self.failure: OSError | None = None
        self._redactor = redactor
        self._ended = ended
        self._left = largest
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with suppress(OSError):
            # Says to others that this run goes on; not every file system has locks.
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._soon = threading.Event()
        """What is not to wait is in the queue."""
        self._write(record.encode(redactor.line(header)))
        self._thread = threading.Thread(target=self._run, name="fleetpacks record", daemon=True)
        self._thread.start()

    def record(self, event: Event) -> None:
        """Note an event; waits for nothing."""
        if record.is_recorded(event):
            self._events.put(event)
            if _is_worth_a_sync(event):
                self._soon.set()

    def close(self, seconds: float) -> None:
        """Wait until all is written, or for some seconds."""
        self._events.put(None)
        self._soon.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while batch := self._batch():
                data = b"".join(self._line(event) for event in batch if event is not None)
                if self.failure is None:
                    try:
                        self._write(data)
                        if any(_is_worth_a_sync(event) for event in batch):
                            os.fsync(self._handle)
                    except OSError as error:
                        self.failure = error
                if None in batch:
                    break
                self._soon.wait(_GATHERED_SECONDS)
                self._soon.clear()
        finally:
            os.close(self._handle)
        self._ended()

    def _batch(self) -> list[Event | None]:
        """What has happened since the last one, at least one event; None is the end."""
        batch = [self._events.get()]
        with suppress(Empty):
            while batch[-1] is not None:
                batch.append(self._events.get_nowait())
        return batch

    def _line(self, event: Event) -> bytes:
        if self._left <= 0 and isinstance(event, StepStarted | StepCompleted | StepContinued | AppWarning):
            return b""
        line = self._encoded(event)
        before, self._left = self._left, self._left - len(line)
        if before > 0 >= self._left:
            line += self._encoded(AppWarning(time=event.time, app=None, message=_FULL))
        return line

    def _encoded(self, event: Event) -> bytes:
        line: dict[str, Any] = self._redactor.line(event)
        return record.encode(line)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]


def _is_worth_a_sync(event: Event | None) -> bool:
    """Whether it is waited for until an event is on the disk: of what was skipped, the next run finds out the same."""
    if isinstance(event, AppCompleted):
        return not event.skipped
    return isinstance(event, RunStarted | AppFailed | RunCompleted)
