"""The record of a run, around it: begun before a builder is asked, closed when all is told."""

import datetime as dt
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import anyio.to_thread

from orchestrator import __version__
from orchestrator.app.signals import Signals
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config
from orchestrator.errors import ContextError, FleetpacksError
from orchestrator.events import INTERRUPTED, Event, RunCompleted
from orchestrator.model import Plan
from orchestrator.report import redaction, runs
from orchestrator.report.record import Header, RecordedApp
from orchestrator.report.recorder import Recorder
from orchestrator.workspace import git
from orchestrator.workspace.files import text

_PATIENCE = 2.0
"""Seconds that a run waits at its end for its record's disk."""


class Recording:
    """What a run tells its record; nothing where none is made.

    Attributes:
        warnings: why there is none, if there was to be one.
        recorder: writes it.
        begun: whether anything has happened.
    """

    def __init__(self, redactor: redaction.Redactor) -> None:
        self.warnings: tuple[str, ...] = ()
        self.recorder: Recorder | None = None
        self.begun = False
        self._redactor = redactor

    def note(self, event: Event) -> None:
        """Note an event; waits for nothing."""
        self.begun = True
        if self.recorder is not None:
            self.recorder.record(event)

    def learning(self, reader: SecretReader) -> SecretReader:
        """A reader whose values are masked from then on."""

        async def read() -> bytes:
            value = await reader()
            self._redactor.learn(value.decode(errors="replace"))
            return value

        return read


@asynccontextmanager
async def recording(config: Config, plan: Plan, signals: Signals) -> AsyncGenerator[Recording]:
    """Record a run for the block. A record that cannot be made is no reason not to build."""
    redactor = redaction.of_environment(config.environment.variables)
    made = Recording(redactor)
    began = time.monotonic()
    if config.runs.keep:
        header = await _header(config, plan)
        sweep = partial(runs.sweep, config.runs.directory, keep=config.runs.keep, days=config.runs.days)
        try:
            made.recorder = Recorder(config.runs.directory, header, redactor, ended=sweep)
        except OSError as error:
            made.warnings = (f"{config.runs.directory}: this run leaves no record: {error.strerror}",)
    failure: FleetpacksError | None = None
    try:
        yield made
    except FleetpacksError as thrown:
        failure = thrown
        raise
    finally:
        if made.recorder is not None:
            if not made.begun:
                made.note(_never_began(failure, signals, seconds=time.monotonic() - began))
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(made.recorder.close, _PATIENCE)
            if made.recorder.failure is not None:
                why = made.recorder.failure.strerror
                sys.stderr.write(f"warning: {made.recorder.path}: the record ends early: {why}\n")


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


async def _header(config: Config, plan: Plan) -> Header:
    branch, revision = config.branch, config.revision
    if revision is None:
        # Whoever needs the revision has been told by now why there is none.
        with suppress(ContextError):
            checked_out = await git.head(config.root, config.environment.for_git())
            branch, revision = branch or checked_out[0], checked_out[1]
    now = dt.datetime.now(tz=dt.UTC)
    return Header(
        time=now.timestamp(),
        run=runs.new_name(now),
        version=__version__,
        source=text(str(plan.root)),
        branch=branch,
        revision=revision,
        apps=tuple(
            RecordedApp(
                name=each.app.name,
                path=text(each.app.path),
                language=each.build.language,
                version=each.build.version.value if each.build.version else None,
                reason=each.reason,
                depends_on=each.app.depends_on,
            )
            for each in plan.apps
        ),
    )
