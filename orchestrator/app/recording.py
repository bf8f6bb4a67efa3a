"""The record of a run, around it: begun before a builder is asked, closed when all is told.

Whoever learns what must not be read for the record's sake knows it for all others: it is masked wherever it is shown.
"""

import datetime as dt
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import anyio
import anyio.to_thread

from orchestrator import __version__
from orchestrator.app.signals import Signals
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config
from orchestrator.config.network import passwords
from orchestrator.errors import FleetpacksError
from orchestrator.events import INTERRUPTED, Event, RunCompleted
from orchestrator.model import Plan
from orchestrator.report import redaction, runs
from orchestrator.report.record import Header, Record, RecordedApp, is_recorded
from orchestrator.report.recorder import Recorder
from orchestrator.workspace.files import text

_E = TypeVar("_E", bound=Event)
_PATIENCE = 2.0
"""Seconds that a run waits at its end for its record's disk."""


class Recording:
    """The record of one run, and its trace; nothing where neither is wanted.

    Attributes:
        warnings: why there is none, if there was to be one.
    """

    def __init__(self, config: Config) -> None:
        self.warnings: tuple[str, ...] = ()
        self._config = config
        self._telemetry = config.environment.telemetry
        self._redactor = redaction.of_environment(config.environment.variables)
        self._redactor.learn(*passwords(config.network))
        self._recorder: Recorder | None = None
        self._header: Header | None = None
        self._begun = False
        self._kept: list[Event] = []

    def note(self, event: Event) -> None:
        """Note an event; waits for nothing."""
        self._begun = True
        if self._recorder is not None:
            self._recorder.record(event)
        if self._telemetry is not None and is_recorded(event):
            self._kept.append(event)

    def shown(self, event: _E, /) -> _E:
        """An event or an outcome as it may be shown, record or not."""
        return self._redactor.event(event)

    def mask(self, error: FleetpacksError) -> None:
        """Mask what is said of a run that ended, or never began."""
        error.message, error.hint = self._redactor.text(error.message), self._redactor.text(error.hint)
        error.args = (error.message,)

    def learning(self, reader: SecretReader) -> SecretReader:
        """A reader whose values are masked from then on."""

        async def read() -> bytes:
            value = await reader()
            self._redactor.learn(value.decode(errors="replace"))
            return value

        return read

    @asynccontextmanager
    async def during(self, plan: Plan, signals: Signals) -> AsyncGenerator[Self]:
        """Record a run for the block. A record that cannot be made is no reason not to build."""
        began = time.monotonic()
        failure: FleetpacksError | None = None
        if self._config.runs.keep or self._telemetry is not None:
            self._header = _header(self._config, plan)
            self._begin(self._header)
        try:
            yield self
        except FleetpacksError as thrown:
            failure = thrown
            raise
        finally:
            if not self._begun:
                self.note(_never_began(failure, signals, seconds=time.monotonic() - began))
            await self._end()

    async def send_trace(self) -> None:
        """Send what was noted to whoever wants traces: when all else is told, and for a short time only."""
        if self._telemetry is not None and self._telemetry.problem is None and self._header is not None:
            from orchestrator.app import tracing  # noqa: PLC0415 -- only where somebody wants it

            record = Record(header=self._header, events=tuple(self._kept))
            problem = await tracing.send(self._telemetry, record, self._redactor, ca=self._config.network.ca)
            if problem is not None:
                sys.stderr.write(f"warning: the run's trace was not sent: {problem}\n")

    def _begin(self, header: Header) -> None:
        runs_kept = self._config.runs
        if self._telemetry is not None:
            self._redactor.learn(*self._telemetry.headers.values())
            if self._telemetry.problem is not None:
                self.warnings += (f"the run's trace is not sent: {self._telemetry.problem}",)
        if runs_kept.keep and _is_below(runs_kept.directory, self._config.root):
            why = "inside the source it would be in build contexts: set $XDG_STATE_HOME, or runs.directory"
            self.warnings += (f"{runs_kept.directory}: this run leaves no record: {why}",)
        elif runs_kept.keep:
            sweep = partial(runs.sweep, runs_kept.directory, keep=runs_kept.keep, days=runs_kept.days)
            try:
                self._recorder = Recorder(runs_kept.directory, header, self._redactor, ended=sweep)
            except OSError as error:
                self.warnings += (f"{runs_kept.directory}: this run leaves no record: {error.strerror}",)

    async def _end(self) -> None:
        if self._recorder is None:
            return
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._recorder.close, _PATIENCE)
        if self._recorder.failure is not None:
            why = self._recorder.failure.strerror
            sys.stderr.write(f"warning: {self._recorder.path}: the record ends early: {why}\n")


def _is_below(directory: Path, root: Path) -> bool:
    try:
        return directory.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _never_began(error: FleetpacksError | None, signals: Signals, *, seconds: float) -> RunCompleted:
    return RunCompleted(
        time=time.time(),
        exit_code=signals.exit_code or (error.exit_code if error else 1),
        seconds=seconds,
        succeeded=0,
        failed=0,
        cancelled=0,
        error=error.message if error else INTERRUPTED,
    )


def _header(config: Config, plan: Plan) -> Header:
    now = dt.datetime.now(tz=dt.UTC)
    names = {each.app.path: each.app.name for each in plan.apps}
    return Header(
        time=now.timestamp(),
        run=runs.new_name(now),
        version=__version__,
        source=text(str(plan.root)),
        branch=config.branch,
        revision=config.revision,
        apps=tuple(
            RecordedApp(
                name=each.app.name,
                path=text(each.app.path),
                language=each.build.language,
                version=each.build.version.value if each.build.version else None,
                reason=each.reason,
                needs=tuple(sorted({names[path] for path in each.app.contexts.values() if path in names})),
            )
            for each in plan.apps
        ),
    )
