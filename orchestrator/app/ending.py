"""What whoever waits for a run is told at its end, also of one that never began: they must not wait in vain.

Imports nothing heavy: a mistake in a command line costs no more than it must.
"""

import datetime as dt
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import anyio
import anyio.to_thread
import msgspec

from orchestrator.display import jsonlines
from orchestrator.display.output import Output
from orchestrator.errors import FleetpacksError, UnwrittenError, UsageError
from orchestrator.events import INTERRUPTED, RunCompleted
from orchestrator.model import Plan
from orchestrator.report import result


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told, and since when they wait."""

    began: float
    """By the monotonic clock, in seconds."""
    result_file: Path | None
    document: TextIO | None
    """Receives the result as JSON, too."""
    events: TextIO | None
    """Receives the last event; None where the run has sent it, or events are not shown."""
    custom: object = None
    """What `$CUSTOM_DATA` hands on to those who read the result."""

    async def tell(
        self,
        plan: Plan,
        outcomes: Mapping[str, result.Outcome],
        *,
        exit_code: int,
        failure: FleetpacksError | None,
    ) -> None:
        """Tell all of them.

        Args:
            plan: what was to be built; without apps when nothing could be planned.
            outcomes: by the app's name.
            exit_code: of the run.
            failure: why the run ended, when it was no app's fault.

        Raises:
            UnwrittenError: the result file cannot be written.
        """
        seconds = time.monotonic() - self.began
        error = failure.message if failure else None
        ended = result.result(
            plan,
            outcomes,
            exit_code=exit_code,
            seconds=seconds,
            timestamp=dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
            error=error,
            custom=self.custom,
        )
        try:
            await self._tell(ended, exit_code=exit_code, seconds=seconds, error=error)
        finally:
            # Also where the file cannot be written.
            if self.document is not None:
                self.document.write(result.encode(ended).decode())

    async def _tell(self, ended: result.Result, *, exit_code: int, seconds: float, error: str | None) -> None:
        with anyio.CancelScope(shield=True):
            if self.events is not None:
                last = RunCompleted(
                    time=time.time(),
                    exit_code=exit_code,
                    seconds=seconds,
                    succeeded=0,
                    failed=0,
                    cancelled=0,
                    error=error or (INTERRUPTED if exit_code else None),
                )
                with Output.on(self.events) as output:
                    await output.write(jsonlines.render(last))
            if self.result_file is not None:
                try:
                    await anyio.to_thread.run_sync(result.write, self.result_file, ended)
                except UsageError as error_of_file:
                    raise UnwrittenError(error_of_file.message, hint=error_of_file.hint) from error_of_file
