"""Connections: which is used again, which is not, and what a URL is for a request."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RegistryUnavailableError
from orchestrator.registry.backoff import Patience
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.connections import Connections, place
from orchestrator.registry.credentials import Credentials
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
        async with (
            connections.send("GET", place(f"{server.base}/v2/"), {}, None) as response,
            response.chunks() as stream,
        ):
            assert await anext(aiter(stream))

        assert await status(connections, server.base) == 200
        assert server.connections == 2


async def test_requests_that_are_given_up_make_room_for_others() -> None:
    asked = [anyio.Event() for _ in range(8)]

    async def never(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await stream.receive()
            next(event for event in asked if not event.is_set()).set()
            await anyio.sleep_forever()

    async with listening(never) as base, running(Server()) as server, opened() as connections:
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(status, connections, base)
            for event in asked:
                await event.wait()
            group.cancel_scope.cancel()

        assert await status(connections, server.base) == 200


async def test_a_proxy_is_asked_for_a_tunnel_to_a_registry_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(Server()) as proxy:
        for name in ("NO_PROXY", "no_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@{proxy.host}")
        proxy.faults.append(Fault(method="CONNECT", answer=Answer(status=502)))
        patience = Patience(attempts=1, total=1.0, first=0.1)
        async with RegistryClient(Credentials(None), {}, patience=patience) as client:
            with pytest.raises(RegistryUnavailableError, match="502"):
                await client.challenges("registry.test")

        assert proxy.seen[0].target == "registry.test:443"
        assert proxy.seen[0].headers["proxy-authorization"] == "Basic bWU6czNjcmV0"


@asynccontextmanager
async def opened() -> AsyncGenerator[Connections, None]:
    connections = Connections(local=True, secure=False)
    try:
        yield connections
    finally:
        await connections.aclose()


async def status(connections: Connections, base: str) -> int:
    """Ask, and read the answer to its end."""
    async with connections.send("GET", place(f"{base}/v2/"), {}, None) as response:
        async with response.chunks() as stream:
            async for _ in stream:
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
