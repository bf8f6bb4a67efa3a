"""The one bridge for libraries that know only asyncio (aiodocker, asyncssh): they serve a caller on trio, too.

On asyncio it is a plain await. On trio it is one asyncio loop in one thread, which lives as long as the `async with`
block: a call becomes a task of that loop, a cancellation of the caller becomes a cancellation of the task, and the
caller waits under a shield until the task has ended, so that nothing of a call outlives it on either loop.

Every crossing between the threads wakes both loops: 0.1 to 0.5 ms were measured. A library's progress may cross item by
item; bytes in bulk should come in large chunks, or through a socket that both sides hold.
"""

import asyncio
import contextvars
import math
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import anyio

if TYPE_CHECKING:
    import trio

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

AHEAD = 16
"""Items that a stream is at most ahead of its reader on trio; on asyncio it is never ahead."""


class Bridge(Protocol):
    """Runs what needs asyncio for a caller on asyncio or trio.

    Functions run on the asyncio loop; their arguments come by closure. Errors come out as they were raised.
    """

    async def call(self, function: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Run a coroutine function to its end and return its result.

        When the caller is cancelled, the function is cancelled, and has ended before this raises. A result that it
        returns all the same is returned: what was made must not be forgotten.

        Raises:
            anyio.ClosedResourceError: the bridge was closed meanwhile.
        """
        ...

    async def feed(
        self, function: Callable[[AsyncIterator[_Item]], Coroutine[Any, Any, _Result]], source: AsyncIterable[_Item]
    ) -> _Result:
        """Like `call`, for a function that reads what the caller's side produces, as fast as it reads it.

        Args:
            function: gets an iterator over the items of `source`, for its own loop.
            source: is iterated on the caller's loop. An error of it is raised here, whatever the function made of it.
        """
        ...

    def stream(
        self, function: Callable[[], AsyncGenerator[_Item, None]]
    ) -> AbstractAsyncContextManager[AsyncIterator[_Item]]:
        """Iterate over a generator; it has been closed when the block is left, however that happens.

        The generator waits for its reader. It runs in one task from its beginning to its end.
        """
        ...


@asynccontextmanager
async def open_bridge() -> AsyncGenerator[Bridge]:
    """The bridge for the loop that runs here. On trio the thread has ended when the block is left."""
    if not _on_trio():
        yield _SameLoop()
        return
    other = _OtherLoop()
    await other.start()
    try:
        yield other
    finally:
        await other.stop()


def _on_trio() -> bool:
    if "trio" not in sys.modules:
        return False
    import trio  # noqa: PLC0415 -- an optional dependency, which the caller has imported

    return trio.lowlevel.in_trio_task()


class _Remembering(Generic[_Item]):
    """A source whose error is kept: an HTTP library reports its own failure for it."""

    def __init__(self, source: AsyncIterable[_Item]) -> None:
        self._items = aiter(source)
        self.error: Exception | None = None

    def __aiter__(self) -> AsyncIterator[_Item]:
        return self

    async def __anext__(self) -> _Item:
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise


class _SameLoop:
    """The bridge on asyncio."""

    async def call(self, function: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        return await function()

    async def feed(
        self, function: Callable[[AsyncIterator[_Item]], Coroutine[Any, Any, _Result]], source: AsyncIterable[_Item]
    ) -> _Result:
        items = _Remembering(source)
        return await _blaming(items, function(items))

    @asynccontextmanager
    async def stream(self, function: Callable[[], AsyncGenerator[_Item, None]]) -> AsyncGenerator[AsyncIterator[_Item]]:
        items = function()
        try:
            yield items
        finally:
            with anyio.CancelScope(shield=True):
                await items.aclose()


async def _blaming(source: _Remembering[_Item], result: Awaitable[_Result]) -> _Result:
    try:
        return await result
    except Exception as error:
        if source.error is not None and error is not source.error:
            raise source.error from error
        raise


class _OtherLoop:
    """The bridge on trio: an asyncio loop in a thread. All methods but those of the thread are called on trio's."""

    def __init__(self) -> None:
        import trio  # noqa: PLC0415 -- as above

        self._trio = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._run, name="asyncio bridge", daemon=True)
        self._started = trio.Event()
        self._ended = trio.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None
        self._context = contextvars.Context()
        self._failure: OSError | None = None

    async def start(self) -> None:
        self._thread.start()
        with anyio.CancelScope(shield=True):
            await self._started.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        """End the loop. Tasks that still run belong to calls of other tasks: they are cancelled and awaited."""
        self._closing = True
        if self._leave is not None:
            self.soon(self._leave.set)
        with anyio.CancelScope(shield=True):
            await self._ended.wait()
        self._thread.join()

    def soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Run a function on the asyncio loop; nothing happens when that has ended."""
        if self._loop is not None:
            with suppress(RuntimeError):
                # Not in the caller's context, in which anyio finds that trio runs.
                self._loop.call_soon_threadsafe(function, *arguments, context=self._context)

    def back(self, function: Callable[..., object], *arguments: object) -> None:
        """Run a function on trio's loop, in the order of the calls of this."""
        self._trio.run_sync_soon(function, *arguments)

    def job(
        self, function: Callable[[], Coroutine[Any, Any, _Result]], *, ended: Callable[[], object]
    ) -> "_Job[_Result]":
        if self._closing:
            raise anyio.ClosedResourceError
        return _Job(self, function, ended=ended)

    async def call(self, function: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        return await self.job(function, ended=_nothing).result()

    async def feed(
        self, function: Callable[[AsyncIterator[_Item]], Coroutine[Any, Any, _Result]], source: AsyncIterable[_Item]
    ) -> _Result:
        import trio  # noqa: PLC0415 -- as above

        items = _Remembering(source)
        asked, asks = trio.open_memory_channel["asyncio.Future[_Item | _End]"](math.inf)
        pulling = trio.CancelScope()

        def ended() -> None:
            # Nobody waits any more for what is being produced.
            pulling.cancel()
            asked.close()

        fed = _Fed[_Item](self, asked)
        job = self.job(lambda: function(fed), ended=ended)

        async def result() -> _Result:
            try:
                with pulling:
                    async for ask in asks:
                        await self._answer(ask, items)
            except BaseException:
                await job.end()
                if job.cancelled:
                    raise
            return await job.result()

        return await _blaming(items, result())

    async def _answer(self, ask: "asyncio.Future[_Item | _End]", items: _Remembering[_Item]) -> None:
        try:
            item = await anext(items)
        except StopAsyncIteration:
            self.soon(_settle, ask, _End())
        except Exception as error:  # noqa: BLE001 -- any error of the source; it is raised by `_blaming`
            self.soon(_fail, ask, error)
        else:
            self.soon(_settle, ask, item)

    @asynccontextmanager
    async def stream(self, function: Callable[[], AsyncGenerator[_Item, None]]) -> AsyncGenerator[AsyncIterator[_Item]]:
        import trio  # noqa: PLC0415 -- as above

        # Never full: an item is only asked of the generator when there is room for it.
        sent, received = trio.open_memory_channel[_Item](AHEAD)
        room = asyncio.Semaphore(AHEAD)

        async def drive() -> None:
            async with aclosing(function()) as items:
                while True:
                    await room.acquire()
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                    self.back(_deliver, sent, item)

        job = self.job(drive, ended=sent.close)
        reader = _Reader(received, job, taken=lambda: self.soon(room.release))
        try:
            yield reader
        finally:
            await job.end()
            received.close()
            if not reader.raised and (failure := job.failure()) is not None:
                raise failure

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except OSError as error:
            # A loop needs file descriptors, of which there may be none left.
            self._failure = error
        finally:
            self.back(self._started.set)
            self.back(self._ended.set)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        self.back(self._started.set)
        await self._leave.wait()


class _Job(Generic[_Result]):
    """A task of the other loop.

    Args:
        loop: where it runs.
        function: what it runs.
        ended: is called on trio's loop at its end.
    """

    def __init__(
        self,
        loop: _OtherLoop,
        function: Callable[[], Coroutine[Any, Any, _Result]],
        *,
        ended: Callable[[], object],
    ) -> None:
        import trio  # noqa: PLC0415 -- as above

        self._loop = loop
        self._done = trio.Event()
        self._task: asyncio.Task[_Result] | None = None

        def begin() -> None:
            self._task = asyncio.get_running_loop().create_task(function())
            self._task.add_done_callback(lambda _: loop.back(finish))

        def finish() -> None:
            self._done.set()
            ended()

        loop.soon(begin)

    async def result(self) -> _Result:
        try:
            await self._done.wait()
        except BaseException:
            await self.end()
            if self.cancelled:
                raise
        return self.check()

    async def end(self) -> None:
        """Cancel the task and wait until it has ended."""
        self._loop.soon(self._cancel)
        with anyio.CancelScope(shield=True):
            await self._done.wait()
        # asyncio complains of an error that nobody looked at.
        self.failure()

    @property
    def cancelled(self) -> bool:
        """Whether the ended task was cancelled and did nothing else than end."""
        return self._finished().cancelled()

    def failure(self) -> BaseException | None:
        """The error of the ended task, if it has one; a cancellation is none."""
        return None if self.cancelled else self._finished().exception()

    def check(self) -> _Result:
        """The result of the ended task, or its error."""
        if self.cancelled:
            raise anyio.ClosedResourceError
        return self._finished().result()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finished(self) -> "asyncio.Task[_Result]":
        if self._task is None:
            raise anyio.ClosedResourceError
        return self._task


class _Reader(Generic[_Item]):
    """What a reader on trio iterates over. Not a generator: leaving one half-way would leave it to be collected."""

    def __init__(
        self, received: "trio.MemoryReceiveChannel[_Item]", job: _Job[None], *, taken: Callable[[], None]
    ) -> None:
        self._received = received
        self._job = job
        self._taken = taken
        self.raised = False

    def __aiter__(self) -> AsyncIterator[_Item]:
        return self

    async def __anext__(self) -> _Item:
        import trio  # noqa: PLC0415 -- as above

        try:
            item = await self._received.receive()
        except trio.EndOfChannel:
            self.raised = True
            self._job.check()
            raise StopAsyncIteration from None
        self._taken()
        return item


class _End:
    """Stands for the end of a source on its way between the loops."""


class _Fed(Generic[_Item]):
    """What a function on the asyncio loop iterates over: it asks trio's loop for every item."""

    def __init__(self, loop: _OtherLoop, asked: "trio.MemorySendChannel[asyncio.Future[_Item | _End]]") -> None:
        self._loop = loop
        self._asked = asked

    def __aiter__(self) -> AsyncIterator[_Item]:
        return self

    async def __anext__(self) -> _Item:
        answer: asyncio.Future[_Item | _End] = asyncio.get_running_loop().create_future()
        self._loop.back(_deliver, self._asked, answer)
        item = await answer
        if isinstance(item, _End):
            raise StopAsyncIteration
        return item


def _nothing() -> None:
    pass


def _deliver(channel: "trio.MemorySendChannel[_Item]", item: _Item) -> None:
    import trio  # noqa: PLC0415 -- as above

    # Whoever has left wants no more; an error here would be trio's own.
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        channel.send_nowait(item)


def _settle(answer: "asyncio.Future[_Item]", item: _Item) -> None:
    if not answer.done():
        answer.set_result(item)


def _fail(answer: "asyncio.Future[_Item]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
