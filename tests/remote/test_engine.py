"""Docker Engines, and what may answer in their place, as far as their first words: scripted servers."""

import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote import engine
from remote.address import EngineAddress, UnixAddress, parse
from remote.connect import dialer
from remote.errors import UnreachableError, UnsuitableError
from remote.unix import UnixStream
from tests.buildkit.pipes import Pipe, pipes

Answer = bytes | None
"""None hangs up without a word."""

SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"
# Recorded: dockerd 20.10.24, and podman 4.3.1.
DOCKER = (
    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nBuilder-Version: 2\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
    b"Server: Docker/20.10.24+dfsg1 (linux)\r\nContent-Length: 2\r\n\r\nOK"
)
PODMAN = (
    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nBuilder-Version: \r\nBuildkit-Version: \r\nLibpod-Api-Version: 4.3.1\r\n"
    b"Libpod-Buildah-Version: 1.28.2\r\nServer: Libpod/4.3.1 (linux)\r\nContent-Length: 2\r\n\r\nOK"
)
MOVED = b"HTTP/1.1 301 Moved Permanently\r\nLocation: /%2A\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
OLD: Mapping[bytes, Answer] = {b"GET /_ping ": DOCKER, b"PRI ": MOVED, b"POST /grpc ": UPGRADED + SETTINGS}


@asynccontextmanager
async def server(folder: Path, answers: Mapping[bytes, Answer]) -> AsyncGenerator[tuple[EngineAddress, list[bytes]]]:
    """Answers requests by how they begin; then, on an upgraded connection, what it gets comes back."""
    asked: list[bytes] = []

    async def serve(stream: UnixStream) -> None:
        async with stream:
            request = await stream.receive()
            asked.append(request)
            [answer] = [answer for begin, answer in answers.items() if request.startswith(begin)]
            if answer is not None:
                await stream.send(answer)
                if answer.startswith(b"HTTP/1.1 101"):
                    async for data in stream:
                        await stream.send(data)

    async def accept(listener: socket.socket) -> None:
        while True:
            await anyio.wait_readable(listener)
            raw, _ = listener.accept()
            raw.setblocking(False)
            # anyio's own stream would bring back the race that `remote.unix` is there for.
            tasks.start_soon(serve, UnixStream(raw))

    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accept, listener)
            yield EngineAddress(at=UnixAddress(path=str(path))), asked
            tasks.cancel_scope.cancel()


async def test_a_newer_engine_is_spoken_to_in_http2_at_once(tmp_path: Path) -> None:
    answers: Mapping[bytes, Answer] = {b"GET /_ping ": DOCKER, b"PRI ": SETTINGS}

    async with server(tmp_path, answers) as (address, asked):
        dial = await dialer(address)
        async with await dial() as stream:
            await stream.send(b"PRI ...")
            first = await stream.receive()

    assert first == SETTINGS
    assert [request.split()[0] for request in asked] == [b"GET", b"PRI", b"PRI"]


async def test_an_older_engine_is_asked_to_upgrade_each_connection(tmp_path: Path) -> None:
    async with server(tmp_path, OLD) as (address, asked):
        dial = await dialer(address)
        async with await dial() as stream:
            await stream.send(b"ping")
            received = b""
            while not received.endswith(b"ping"):
                received += await stream.receive(4)

    # What came together with the answer's header belongs to HTTP/2 already.
    assert received == SETTINGS + b"ping"
    assert b"upgrade: h2c" in asked[-1].lower()
    assert b"connection: upgrade" in asked[-1].lower()


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({b"GET /_ping ": PODMAN}, "this is Podman's socket"),
        ({b"GET /_ping ": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}, "expected a Docker Engine"),
        ({b"GET /_ping ": SETTINGS}, "not HTTP/1.1"),
        ({b"GET /_ping ": None}, "not HTTP/1.1"),
        ({b"GET /_ping ": b"HTTP/1.1 200 OK\r\n" + b"A: a\r\n" * 20_000}, "not HTTP/1.1"),
        ({**OLD, b"POST /grpc ": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"}, "status 403"),
        ({**OLD, b"POST /grpc ": None}, "not HTTP/1.1"),
        ({**OLD, b"PRI ": None, b"POST /grpc ": MOVED}, "status 301"),
    ],
)
async def test_what_is_no_engine_is_refused_with_a_hint(
    tmp_path: Path, answers: Mapping[bytes, Answer], says: str
) -> None:
    async with server(tmp_path, answers) as (address, _):
        with pytest.raises(UnsuitableError) as caught:
            await dialer(address)

    assert str(address) in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint


async def test_an_engine_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no such socket"):
        await dialer(parse(f"docker://{tmp_path}/none"))


async def test_a_refused_connection_is_closed(tmp_path: Path) -> None:
    theirs, ours = pipes()

    async def connect(_protocols: object) -> Pipe:
        await ours.send(PODMAN)
        return theirs

    async with ours:
        with pytest.raises(UnsuitableError):
            await engine.dialer(connect, name="docker:///scripted")

        await drained(ours)


async def drained(stream: anyio.abc.ByteStream) -> None:
    """Returns when the other end has closed."""
    with anyio.fail_after(5):
        async for _ in stream:
            pass


@given(answer=st.binary(max_size=64), cut=st.integers(0, 64))
def test_any_first_answer_without_the_engines_header_is_a_refusal(answer: bytes, cut: int) -> None:
    async def ask() -> None:
        theirs, ours = pipes()

        async def connect(_protocols: object) -> Pipe:
            return theirs

        async with ours:
            await ours.send(b"HTTP/1.1 200 OK\r\n"[:cut] + answer)
            await ours.send_eof()
            with pytest.raises((UnsuitableError, UnreachableError)):
                await engine.dialer(connect, name="docker:///scripted")

    anyio.run(ask)
