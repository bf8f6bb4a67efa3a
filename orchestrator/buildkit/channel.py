"""The connections to one daemon: one for control, opened when it is first needed, and one for each session.

The control connection is opened again after it was lost: a lost connection fails the calls that ran on it and none that
start later. `liveness` gives it up under a daemon that hangs.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import anyio
from anyio.abc import TaskStatus

from orchestrator.buildkit.border import dial_error, lost_error, protocol_error
from orchestrator.buildkit.grpc import Connection, ConnectionLostError, GrpcError, open_client
from orchestrator.buildkit.liveness import Liveness
from orchestrator.buildkit.model import Dial
from remote.errors import RemoteError

_AUTHORITY = "localhost"


class _Control:
    """A control connection, who uses it, and the end for which the task that holds it open waits."""

    def __init__(self, connection: Connection, *, suspected: bool) -> None:
        self.connection = connection
        self.liveness = Liveness(connection, suspected=suspected)
        self.released = anyio.Event()


class Channel:
    """An async context manager: no connection outlives the block.

    Args:
        dial: opens a connection to the daemon.
        address: the daemon's address in messages.
    """

    def __init__(self, dial: Dial, *, address: str) -> None:
        self.address = address
        self._dial = dial
        self._control: _Control | None = None
        self._suspected = False
        self._opening = anyio.Lock()
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tasks.cancel_scope.cancel()
        # Not given the block's own error: a task group would wrap it, and a caller expects what was raised.
        await self._tasks.__aexit__(None, None, None)

    @asynccontextmanager
    async def translated(self) -> AsyncGenerator[None]:
        """Raise what goes wrong with a call as an error of ours."""
        try:
            yield
        except GrpcError as error:
            raise protocol_error(error) from error
        except ConnectionLostError as error:
            raise lost_error(error, address=self.address) from error

    @asynccontextmanager
    async def control(self) -> AsyncGenerator[Connection]:
        """Lend the control connection, or a new one when it takes no more calls.

        One that takes none (the daemon is being stopped) may still carry the builds that run on it: it is closed behind
        its last user.

        Raises:
            BuilderUnreachableError: nothing answers at the address.
        """
        async with self._opening:
            control = self._control
            if control is None or not control.connection.takes_calls:
                if control is not None:
                    self._retire(control)
                control = self._control = await self._tasks.start(self._hold)
        control.liveness.users += 1
        try:
            yield control.connection
        finally:
            control.liveness.users -= 1
            if not control.connection.takes_calls:
                self._retire(control)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Connection]:
        """Open a connection of its own.

        Raises:
            BuilderUnreachableError: nothing answers at the address.
        """
        try:
            stream = await self._dial()
        except (RemoteError, OSError) as error:
            raise dial_error(error, address=self.address) from error
        async with open_client(stream, authority=_AUTHORITY) as connection:
            yield connection

    def _retire(self, control: _Control) -> None:
        if self._control is control:
            self._control = None
            self._suspected = control.connection.given_up
        if not control.liveness.users:
            control.released.set()

    async def _hold(self, *, task_status: TaskStatus[_Control]) -> None:
        async with self.open() as connection:
            control = _Control(connection, suspected=self._suspected)
            task_status.started(control)
            async with anyio.create_task_group() as watching:
                watching.start_soon(control.liveness.watch)
                await control.released.wait()
                watching.cancel_scope.cancel()
