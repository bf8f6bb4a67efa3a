"""Both loops give the same answers. What needs asyncio here is written with it: `asyncio.sleep` fails on trio."""

import asyncio  # noqa: TID251 -- stands for a library that knows only asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from remote import bridge
from remote.bridge import Bridge, open_bridge


@pytest.fixture(autouse=True)
async def no_thread_is_left() -> AsyncGenerator[None]:
    yield
    assert "asyncio bridge" not in {thread.name for thread in threading.enumerate()}


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


class Library:
    """Notes what reaches it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.begun = threading.Event()

    async def add(self, one: int, two: int) -> int:
        await asyncio.sleep(0)
        return one + two

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise LookupError("no such image")

    async def hang(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            try:
                # What a library does at its end takes more than a moment.
                for _ in range(3):
                    await asyncio.sleep(0)
            finally:
                self.seen.append("cleaned up")

    async def count(self, upto: int) -> AsyncGenerator[int]:
        try:
            for number in range(upto):
                await asyncio.sleep(0)
                self.seen.append(f"made {number}")
                yield number
        finally:
            await asyncio.sleep(0)
            self.seen.append("closed")

    async def wait_begun(self) -> None:
        with anyio.fail_after(10):
            while not self.begun.is_set():  # noqa: ASYNC110 -- another thread sets it, on one of the loops
                await anyio.sleep(0.001)


async def test_what_runs_there_may_use_anyio() -> None:
    async def wait() -> str:
        # On a loop that anyio takes for another one, both fail.
        await anyio.lowlevel.checkpoint()
        await asyncio.sleep(0)
        return "waited"

    async with open_bridge() as opened:
        assert await opened.call(wait) == "waited"


async def test_a_result_comes_back() -> None:
    library = Library()

    async with open_bridge() as opened:
        results = [await opened.call(lambda: library.add(1, 2)), await opened.call(lambda: library.add(3, 4))]

    assert results == [3, 7]


async def test_an_error_comes_back_as_it_was_raised() -> None:
    library = Library()

    async with open_bridge() as opened:
        with pytest.raises(LookupError, match="no such image") as caught:
            await opened.call(library.fail)

    assert "fail" in [entry.name for entry in caught.traceback]


async def test_calls_run_at_once() -> None:
    arrived: list[asyncio.Event] = []

    async def meet() -> None:
        arrived.append(asyncio.Event())
        if len(arrived) == 2:
            for event in arrived:
                event.set()
        await arrived[-1].wait()

    with anyio.fail_after(10):
        async with open_bridge() as opened, anyio.create_task_group() as tasks:
            tasks.start_soon(opened.call, meet)
            tasks.start_soon(opened.call, meet)

    assert len(arrived) == 2


async def test_a_cancelled_caller_waits_until_the_function_has_cleaned_up() -> None:
    library = Library()
    seen_at_the_end: list[list[str]] = []

    async def caller(opened: Bridge) -> None:
        try:
            await opened.call(library.hang)
        finally:
            seen_at_the_end.append(list(library.seen))

    async with open_bridge() as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(caller, opened)
        await library.wait_begun()
        tasks.cancel_scope.cancel()

    assert seen_at_the_end == [["cleaned up"]]


async def test_a_timeout_of_the_caller_ends_the_call() -> None:
    library = Library()

    async with open_bridge() as opened:
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await opened.call(library.hang)
        alive = await opened.call(lambda: library.add(1, 1))

    assert alive == 2


async def test_a_timeout_of_the_library_is_the_callers_to_see() -> None:
    async def slow() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    async with open_bridge() as opened:
        with pytest.raises(TimeoutError):
            await opened.call(slow)


async def test_a_result_that_a_cancelled_function_returns_all_the_same_is_not_lost() -> None:
    begun = threading.Event()
    got: list[str] = []

    async def create() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "container 1"
        return "never"

    async def caller(opened: Bridge) -> None:
        got.append(await opened.call(create))
        await anyio.lowlevel.checkpoint()
        got.append("went on")

    async with open_bridge() as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(caller, opened)
        while not begun.is_set():  # noqa: ASYNC110 -- another thread sets it, on one of the loops
            await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()

    assert got == ["container 1"]


async def test_an_error_in_the_clean_up_of_a_cancelled_function_is_raised() -> None:
    begun = threading.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("while closing")

    async def caller(opened: Bridge) -> None:
        with pytest.raises(ConnectionError, match="while closing"):
            await opened.call(stubborn)

    async with open_bridge() as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(caller, opened)
        while not begun.is_set():  # noqa: ASYNC110 -- as above
            await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()


async def test_a_stream_arrives_in_order_and_is_closed() -> None:
    library = Library()

    async with open_bridge() as opened, opened.stream(lambda: library.count(50)) as items:
        got = [item async for item in items]

    assert got == list(range(50))
    assert library.seen[-1] == "closed"


async def test_a_generator_waits_for_its_reader() -> None:
    library = Library()

    async with open_bridge() as opened, opened.stream(lambda: library.count(1000)) as items:
        first = await anext(items)
        await opened.call(lambda: library.add(0, 0))
        await settled()
        made = len(library.seen)
        got = [first, *[item async for item in items]]

    assert made <= bridge.AHEAD + 1
    assert got == list(range(1000))


async def test_a_stream_that_is_left_half_way_is_closed_before_the_block_ends() -> None:
    library = Library()

    async with open_bridge() as opened:
        async with opened.stream(lambda: library.count(1000)) as items:
            async for item in items:
                if item == 2:
                    break
        seen = list(library.seen)

    assert seen[-1] == "closed"
    assert len(seen) < 100


async def test_a_cancelled_reader_closes_the_stream() -> None:
    library = Library()

    async def endless() -> AsyncGenerator[int]:
        yield 1
        library.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                library.seen.append("endless closed")

    async def read(opened: Bridge) -> None:
        async with opened.stream(endless) as items:
            async for _ in items:
                pass

    async with open_bridge() as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(read, opened)
        await library.wait_begun()
        tasks.cancel_scope.cancel()

    assert "endless closed" in library.seen


async def test_an_error_of_a_stream_comes_behind_its_items() -> None:
    async def broken() -> AsyncGenerator[int]:
        yield 1
        yield 2
        raise LookupError("gone")

    async with open_bridge() as opened, opened.stream(broken) as items:
        got = [await anext(items), await anext(items)]
        with pytest.raises(LookupError, match="gone"):
            await anext(items)

    assert got == [1, 2]


async def test_an_error_in_the_clean_up_of_a_stream_is_raised() -> None:
    async def broken() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise ConnectionError("while closing")

    async with open_bridge() as opened:
        with pytest.raises(ConnectionError, match="while closing"):
            async with opened.stream(broken) as items:
                await anext(items)


async def test_a_generator_runs_in_one_task_from_beginning_to_end() -> None:
    tasks: list[object] = []

    async def timed() -> AsyncGenerator[int]:
        # Fails when it is left in another task than entered.
        async with asyncio.timeout(10):
            for number in range(3):
                tasks.append(asyncio.current_task())
                yield number

    async with open_bridge() as opened, opened.stream(timed) as items:
        got = [item async for item in items]

    assert got == [0, 1, 2]
    assert len(set(tasks)) == 1


async def numbers(upto: int) -> AsyncGenerator[bytes]:
    for number in range(upto):
        # Of the caller's loop: asyncio's would not do on trio.
        await anyio.lowlevel.checkpoint()
        yield b"%d" % number


async def join(items: AsyncIterator[bytes]) -> bytes:
    await asyncio.sleep(0)
    return b",".join([item async for item in items])


async def test_a_function_reads_what_the_callers_loop_produces() -> None:
    async with open_bridge() as opened:
        got = await opened.feed(join, numbers(5))

    assert got == b"0,1,2,3,4"


async def test_a_source_is_read_no_faster_than_the_function_reads_it() -> None:
    made: list[int] = []

    async def endless() -> AsyncGenerator[int]:
        number = 0
        while True:
            await anyio.lowlevel.checkpoint()
            made.append(number)
            yield number
            number += 1

    async def take_two(items: AsyncIterator[int]) -> list[int]:
        return [await anext(items), await anext(items)]

    source = endless()
    async with open_bridge() as opened:
        got = await opened.feed(take_two, source)
    await source.aclose()

    assert got == [0, 1]
    assert made == [0, 1]


async def test_an_error_of_the_source_is_raised_whatever_the_function_makes_of_it() -> None:
    async def broken() -> AsyncGenerator[bytes]:
        yield b"one"
        raise FileNotFoundError("layer.tar")

    async def upload(items: AsyncIterator[bytes]) -> bytes:
        try:
            return await join(items)
        except FileNotFoundError as error:
            raise ConnectionError("cannot send the body") from error

    async with open_bridge() as opened:
        with pytest.raises(FileNotFoundError, match="layer"):
            await opened.feed(upload, broken())


async def test_a_function_that_gives_up_does_not_wait_for_its_source() -> None:
    library = Library()

    async def stuck() -> AsyncGenerator[bytes]:
        yield b"one"
        await anyio.sleep_forever()

    async def refuse(items: AsyncIterator[bytes]) -> None:
        await anext(items)
        waiting = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0.01)
        waiting.cancel()
        raise LookupError("no space left on device")

    source = stuck()
    async with open_bridge() as opened:
        with pytest.raises(LookupError), anyio.fail_after(10):
            await opened.feed(refuse, source)
        alive = await opened.call(lambda: library.add(1, 1))
    await source.aclose()

    assert alive == 2


async def test_a_cancelled_feed_ends_its_function() -> None:
    library = Library()

    async def stuck() -> AsyncGenerator[bytes]:
        library.begun.set()
        await anyio.sleep_forever()
        yield b""

    async def read(items: AsyncIterator[bytes]) -> None:
        try:
            await join(items)
        finally:
            library.seen.append("ended")

    source = stuck()
    async with open_bridge() as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(opened.feed, read, source)
        await library.wait_begun()
        tasks.cancel_scope.cancel()
    await source.aclose()

    assert library.seen == ["ended"]


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_closing_the_bridge_ends_the_calls_of_other_tasks() -> None:
    library = Library()
    errors: list[BaseException] = []

    async def caller(opened: Bridge) -> None:
        try:
            await opened.call(library.hang)
        except anyio.ClosedResourceError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        async with open_bridge() as opened:
            tasks.start_soon(caller, opened)
            await library.wait_begun()
        with pytest.raises(anyio.ClosedResourceError):
            await opened.call(library.hang)

    assert len(errors) == 1
    assert library.seen == ["cleaned up"]


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_a_cancelled_block_leaves_no_thread() -> None:
    with anyio.move_on_after(0.01):
        async with open_bridge():
            await anyio.sleep_forever()

    assert "asyncio bridge" not in {thread.name for thread in threading.enumerate()}


async def test_two_bridges_stand_side_by_side() -> None:
    library = Library()

    async with open_bridge() as one, open_bridge() as two:
        got = [await one.call(lambda: library.add(1, 0)), await two.call(lambda: library.add(1, 1))]

    assert got == [1, 2]
