"""SIGINT, SIGTERM and SIGHUP in an event loop: the first one is a cancellation, the second one ends the process.

A cancelled run may still wait: for a daemon that cleans up, for a display that nobody reads. Whoever presses Ctrl-C
again does not want to. SIGUSR1 asks for the operator's file to be read again.
"""

import os
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.lowlevel

from orchestrator.interrupts import interrupts

_INTERRUPTED = 128 + signal.SIGINT


class Signals:
    """The signals of one run."""

    def __init__(self) -> None:
        self._handler: Callable[[], None] | None = None
        self._scope = anyio.CancelScope()
        self._again = anyio.Event()

    @property
    def exit_code(self) -> int:
        """What the process ends with because of the first signal; 0 without one."""
        return interrupts.exit_code

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Cancel the block on a signal, also on one that came before; leaving it cancelled is no error."""
        failure: Exception | None = None
        with _heard() as heard, anyio.open_signal_receiver(signal.SIGUSR1) as asked:

            async def watch() -> None:
                await anyio.wait_readable(heard)
                (self._handler or self._scope.cancel)()

            async def reread() -> None:
                async for _ in asked:
                    self._again.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                tasks.start_soon(reread)
                if self.exit_code:
                    self._scope.cancel()
                try:
                    with self._scope:
                        yield
                except Exception as error:  # noqa: BLE001 -- raised below: a task group would wrap it
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


class Cancellation(Signals):
    """Those of a run that is a part of another program: there are none, but that program may cancel it.

    A cancellation becomes what a signal is to a command: builds are cancelled on their builders, and all is told,
    before it goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended = self._over = False

    @property
    def exit_code(self) -> int:
        """Whether the run has been ended, as a command would say it."""
        return _INTERRUPTED if self._ended else 0

    def end(self) -> None:
        """End the run."""
        self._ended = True
        (self._handler or self._scope.cancel)()

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """End the block when it is cancelled from outside."""
        failure: Exception | None = None

        async def watch() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                if not self._over:
                    self.end()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            with anyio.CancelScope(shield=True):
                try:
                    with self._scope:
                        yield
                except Exception as error:  # noqa: BLE001 -- raised below: a task group would wrap it
                    failure = error
            self._over = True
            tasks.cancel_scope.cancel()
        # What was held back goes on, also where nothing is waited for any more.
        await anyio.lowlevel.checkpoint_if_cancelled()
        if failure is not None:
            raise failure

    async def again(self) -> None:
        """Nobody asks."""
        await anyio.sleep_forever()


@contextmanager
def _heard() -> Generator[int]:
    """A descriptor that can be read when there was a signal.

    Both event loops have handlers of their own, which they take away before they are done: then Python answers again.
    """
    reading, writing = os.pipe()
    end = interrupts.listen(lambda: os.write(writing, b"\0"))
    try:
        yield reading
    finally:
        end()
        os.close(reading)
        os.close(writing)
