"""SIGINT and SIGTERM: the first one is a cancellation, the second one ends the process.

A cancelled run may still wait: for a daemon that cleans up, for a display that nobody reads. Whoever presses Ctrl-C
again does not want to. SIGUSR1 asks for the operator's file to be read again.
"""

import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio

from orchestrator.errors import EXIT_SIGINT, EXIT_SIGTERM, FleetpacksError

_SAME_SECONDS = 1.0
"""A signal that comes so soon after the first is the same: a terminal sends it to all, and a wrapper passes it on."""


class Signals:
    """The signals of one run.

    Attributes:
        exit_code: what the process ends with because of the first signal; 0 without one.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self._handler: Callable[[], None] | None = None
        self._scope = anyio.CancelScope()
        self._again = anyio.Event()

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Cancel the block on a signal; leaving it cancelled is no error."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) as received:

            async def watch() -> None:
                began = 0.0
                async for number in received:
                    if number == signal.SIGUSR1:
                        self._again.set()
                        continue
                    if self.exit_code and time.monotonic() - began < _SAME_SECONDS:
                        continue
                    if self.exit_code:
                        # A shield, or a thread that is stuck in a write, cannot be cancelled.
                        signal.signal(number, signal.SIG_DFL)
                        os.kill(os.getpid(), number)
                    began = time.monotonic()
                    self.exit_code = EXIT_SIGINT if number == signal.SIGINT else EXIT_SIGTERM
                    (self._handler or self._scope.cancel)()

            failure: FleetpacksError | None = None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                try:
                    with self._scope:
                        yield
                except FleetpacksError as error:
                    # Raised below: a task group would wrap it.
                    failure = error
                tasks.cancel_scope.cancel()
            if failure is not None:
                raise failure

    async def again(self) -> None:
        """Wait until somebody asks for the operator's file to be read again."""
        await self._again.wait()
        self._again = anyio.Event()

    @contextmanager
    def handled_by(self, handler: Callable[[], None]) -> Generator[None]:
        """Let a signal within the block call `handler` instead, which knows a gentler cancellation."""
        outer, self._handler = self._handler, handler
        try:
            yield
        finally:
            self._handler = outer
