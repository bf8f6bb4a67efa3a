"""A straggler is begun once more on another host: whichever ends first counts, and the other one is cancelled.

Only what a builder does is done twice. Both push by digest, and the engine tags what the winner has pushed.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Generic, TypeVar

import anyio
import msgspec

from orchestrator.engine.host import Lease
from orchestrator.errors import FleetpacksError, TransientError

_Done = TypeVar("_Done")


class Hedge(msgspec.Struct, kw_only=True):
    """What a build may do that takes too long."""

    after: float
    """Seconds."""
    second: Callable[[], AbstractAsyncContextManager[Lease]]
    """Holds a place on another host, as soon as one is free that nobody waits for."""
    places: AsyncExitStack
    """Has the place of a second build that was first, until all is done there."""
    won: Lease | None = None
    """That place."""
    began: float = 0.0
    """When it was begun there, by the monotonic clock."""


class Race(Generic[_Done]):
    """One thing, done on a host and perhaps on another.

    Args:
        first: does it on the first.
        second: does it on another one.
        begun: hears of the second.
    """

    def __init__(
        self,
        first: Callable[[], Awaitable[_Done]],
        second: Callable[[Lease], Awaitable[_Done]],
        begun: Callable[[Lease], Awaitable[None]],
    ) -> None:
        self._first = first
        self._second = second
        self._begun = begun
        self._failure: FleetpacksError | None = None
        self._done: list[_Done] = []
        self._running = False
        """Whether the second one has begun, and has not failed."""

    async def run(self, hedge: Hedge) -> _Done:
        """Do it.

        Raises:
            FleetpacksError: the first one's failure; while a second one goes on, a failure that it may not share waits.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._leading, tasks.cancel_scope)
            tasks.start_soon(self._following, hedge, tasks.cancel_scope)
        if self._done:
            return self._done[0]
        assert self._failure is not None  # noqa: S101 -- without an end of either the group would not have ended
        raise self._failure

    async def _leading(self, both: anyio.CancelScope) -> None:
        try:
            done = await self._first()
        except FleetpacksError as error:
            self._failure = error
            if not self._running or not isinstance(error, TransientError):
                both.cancel()
            return
        if not self._done:
            self._done.append(done)
            both.cancel()

    async def _following(self, hedge: Hedge, both: anyio.CancelScope) -> None:
        await anyio.sleep(hedge.after)
        async with AsyncExitStack() as place:
            lease = await place.enter_async_context(hedge.second())
            self._running, hedge.began = True, time.monotonic()
            await self._begun(lease)
            try:
                done = await self._second(lease)
            except FleetpacksError:
                # The first one counts then, as if there had been no other.
                self._running = False
                if self._failure is not None:
                    both.cancel()
                return
            if not self._done:
                self._done.append(done)
                hedge.won = lease
                hedge.places.push_async_exit(place.pop_all())
                both.cancel()
