"""Unix sockets as byte streams."""

import socket
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from remote.unix import UnixStream


def pair() -> tuple[UnixStream, UnixStream]:
    here, there = socket.socketpair(socket.AF_UNIX)
    here.setblocking(False)
    there.setblocking(False)
    return UnixStream(here), UnixStream(there)


async def test_more_than_a_sockets_buffer_arrives_unchanged_and_then_the_end() -> None:
    here, there = pair()
    data = bytes(range(256)) * 20_000
    received = bytearray()

    async def send() -> None:
        await here.send(data)
        await here.send_eof()

    async with here, there, anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        async for chunk in there:
            received += chunk

    assert received == data


@pytest.mark.parametrize("sizes", [[], [0], [0, 1, 0], [1] * 2000, [300_000, 0, 7] * 5, [5_000_000]])
async def test_pieces_arrive_one_behind_the_other(sizes: list[int]) -> None:
    here, there = pair()
    pieces = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    received = bytearray()

    async def send() -> None:
        await here.send_pieces([memoryview(piece) if number % 2 else piece for number, piece in enumerate(pieces)])
        await here.send_eof()

    async with here, there, anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        async for chunk in there:
            received += chunk

    assert received == b"".join(pieces)


async def test_receiving_that_is_cancelled_as_data_arrives_leaves_no_error_behind() -> None:
    raw, there = socket.socketpair(socket.AF_UNIX)
    raw.setblocking(False)

    with there:
        async with UnixStream(raw) as here, anyio.create_task_group() as tasks:
            tasks.start_soon(here.receive)
            await anyio.wait_all_tasks_blocked()
            there.send(b"x")
            # In the turn that begins now the loop sees the data, and we come before it.
            await anyio.lowlevel.checkpoint()
            # asyncio tells its handler of an error in a callback, and that fails this test.
            tasks.cancel_scope.cancel()


async def test_a_listener_that_accepts_nobody_is_waited_for_until_it_does_or_we_are_cancelled(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)

        with anyio.move_on_after(0.2) as patience:
            await UnixStream.connect(path)
        with listener.accept()[0], anyio.fail_after(5):
            async with await UnixStream.connect(path):
                pass

    assert patience.cancelled_caught


async def test_closing_wakes_who_waits() -> None:
    here, there = pair()

    async def close() -> None:
        await anyio.wait_all_tasks_blocked()
        await here.aclose()

    async with there, anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        with pytest.raises(anyio.ClosedResourceError):
            await here.receive()
    with pytest.raises(anyio.ClosedResourceError):
        await here.send(b"x")


async def test_sending_to_nobody_is_a_broken_stream() -> None:
    here, there = pair()
    await there.aclose()

    async with here:
        with pytest.raises(anyio.BrokenResourceError):
            await here.send(b"x")
        with pytest.raises(anyio.EndOfStream):
            await here.receive()
    with pytest.raises(anyio.ClosedResourceError):
        await here.send_eof()
