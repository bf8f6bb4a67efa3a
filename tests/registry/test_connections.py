"""Connections: which is used again, which is not, and what a URL is for a request."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.abc
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.registry.connection import LostError
from orchestrator.registry.connections import Connections
from orchestrator.registry.places import Place, place
from tests.registry.server import Answer, Fault, Server, running


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://registry.example/v2/", "registry.example", "/v2/"),
        ("http://registry.example:80", "registry.example", "/"),
        ("http://registry.example:443/", "registry.example:443", "/"),
        ("https://registry.example:443/a", "registry.example", "/a"),
        ("https://Registry.Example:5000/a?b=c&d#e", "registry.example:5000", "/a?b=c&d"),
        ("http://[::1]:5000/v2/", "[::1]:5000", "/v2/"),
        ("http://registry.example:5000//other.example/", "registry.example:5000", "//other.example/"),
        ("http://registry.example/a b/ü?%41=\r\n", "registry.example", "/a%20b/%C3%BC?%41=%0D%0A"),
    ],
)
def test_a_url_is_a_place_and_a_target(url: str, authority: str, target: str) -> None:
    found = place(url)

    assert (found.authority, found.target) == (authority, target)


@pytest.mark.parametrize("url", ["", "registry.example/v2/", "ftp://registry.example", "http://", "http://a:99999/"])
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        place(url)


@given(st.from_regex(r"https?://[a-z0-9.:-]{1,12}/[A-Za-z0-9/._:-]{0,12}", fullmatch=True))
def test_a_simple_url_is_read_as_any_other(url: str) -> None:
    def read(text: str) -> Place | None:
        try:
            return place(text)
        except ValueError:
            return None

    # One with a query is none of the simple ones.
    asked, plain = read(f"{url}?x"), read(url)

    assert plain == (asked and msgspec.structs.replace(asked, target=asked.target.removesuffix("?x")))


@given(st.text())
def test_no_character_of_a_location_gets_into_a_request_as_it_is(text: str) -> None:
    found = place(f"http://registry.example/{text}")

    assert found.target.isascii()
    assert found.target.isprintable()
    assert " " not in found.target


async def test_a_connection_that_the_server_is_about_to_close_is_not_used_again() -> None:
    async with running(Server()) as server, opened() as connections:
        server.faults.append(Fault(answer=Answer(headers=(("connection", "close"),))))

        answers = [await status(connections, server.base) for _ in range(3)]

        assert answers == [200, 200, 200]
        assert server.connections == 2


async def test_a_connection_that_was_closed_while_it_was_idle_is_not_used_again() -> None:
    async with answering_once() as (base, closed), opened() as connections:
        answers: list[int] = []
        for number in range(3):
            answers.append(await status(connections, base))
            await closed[number].wait()

        assert answers == [200, 200, 200]


async def test_a_connection_whose_body_was_left_is_not_used_again() -> None:
    async with running(Server()) as server, opened() as connections:
        server.faults.append(Fault(answer=Answer(body=b"x" * 1_000_000)))
        async with connections.send("GET", place(f"{server.base}/v2/"), {}, None) as response:
            assert await anext(response)

        assert await status(connections, server.base) == 200
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_a_body_ends_where_its_answer_says_so(answer: bytes, body: bytes) -> None:
    async with saying(answer) as base, opened() as connections:
        async with connections.send("GET", place(base), {}, None) as response:
            parts = [part async for part in response]

        assert b"".join(parts) == body


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "without sending complete message body"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000, "too long"),
    ],
)
async def test_what_is_no_whole_answer_is_a_lost_connection(answer: bytes, reason: str) -> None:
    async with saying(answer) as base, opened() as connections:
        with pytest.raises(LostError, match=reason):
            await status(connections, base)


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.registry.connection._SECONDS", 0.01)

    async def silent(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    async with listening(silent) as base, opened() as connections:
        with pytest.raises(LostError, match="no answer in time"):
            await status(connections, base)


async def test_what_nobody_has_asked_for_is_no_answer_to_the_next_request() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    foisted = b"HTTP/1.1 418 Foisted\r\ncontent-length: 0\r\n\r\n"

    async with saying(answer + foisted) as base, opened() as connections:
        answers = [await status(connections, base) for _ in range(2)]

    assert answers == [200, 200]


async def test_requests_that_are_given_up_make_room_for_others() -> None:
    asked = [anyio.Event() for _ in range(8)]

    async def busy(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await stream.receive()
            event = next((event for event in asked if not event.is_set()), None)
            if event is not None:
                event.set()
                await anyio.sleep_forever()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with listening(busy) as base, opened() as connections:
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(status, connections, base)
            for event in asked:
                await event.wait()
            group.cancel_scope.cancel()

        assert await status(connections, base) == 200


async def test_who_waits_for_a_place_that_does_not_answer_keeps_nobody_from_another() -> None:
    async def never(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    async with (
        listening(never) as base,
        running(Server()) as server,
        opened() as connections,
        anyio.create_task_group() as group,
    ):
        for _ in range(12):
            group.start_soon(status, connections, base)
        await anyio.wait_all_tasks_blocked()

        with anyio.fail_after(10):
            assert await status(connections, server.base) == 200
        group.cancel_scope.cancel()


async def test_of_many_places_the_connections_that_were_used_last_are_kept() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running(Server())) for _ in range(20)]
        connections = await stack.enter_async_context(opened())
        for server in (*servers, *servers[-16:], *servers[:4]):
            assert await status(connections, server.base) == 200

        assert [server.connections for server in servers] == [*[2] * 4, *[1] * 16]


@asynccontextmanager
async def opened() -> AsyncGenerator[Connections, None]:
    connections = Connections(local=True)
    try:
        yield connections
    finally:
        await connections.aclose()


async def status(connections: Connections, base: str) -> int:
    """Ask, and read the answer to its end."""
    async with connections.send("GET", place(f"{base}/v2/"), {}, None) as response:
        async for _ in response:
            pass
        return response.status


@asynccontextmanager
async def listening(handler: Callable[[anyio.abc.ByteStream], Awaitable[None]]) -> AsyncGenerator[str, None]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handler)
        yield f"http://127.0.0.1:{port}"
        group.cancel_scope.cancel()


@asynccontextmanager
async def saying(answer: bytes) -> AsyncGenerator[str, None]:
    """A server that says the same to everybody, once a connection, and closes it."""

    async def say(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    async with listening(say) as base:
        yield base


@asynccontextmanager
async def answering_once() -> AsyncGenerator[tuple[str, list[anyio.Event]], None]:
    """A server that closes each connection after one answer, without a word; its events say when."""
    closed = [anyio.Event() for _ in range(3)]

    async def once(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        next(event for event in closed if not event.is_set()).set()

    async with listening(once) as base:
        yield base, closed
