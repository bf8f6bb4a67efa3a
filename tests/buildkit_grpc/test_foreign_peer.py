"""The same contract with a real peer: grpcio, which is made of C and shares no line with `h2`."""

import importlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import anyio
import pytest
from anyio.abc import SocketAttribute

from orchestrator.buildkit.grpc import Call, Connection, GrpcError, Status, open_client, serve
from remote.address import UnixAddress
from remote.connect import connect

# grpcio comes without types.
grpc: Any = importlib.import_module("grpc")

SIZE = 20_000_000
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class CallDetails(Protocol):
    """`grpc.HandlerCallDetails`, as far as it is used here."""

    method: str


class Context(Protocol):
    """`grpc.ServicerContext`, as far as it is used here."""

    def set_trailing_metadata(self, metadata: tuple[tuple[str, bytes], ...], /) -> None: ...
    def abort(self, code: object, details: str, /) -> None: ...
    def invocation_metadata(self) -> list[tuple[str, str | bytes]]: ...


class Foreign:
    """Generic handlers: messages are bytes."""

    def service(self, details: CallDetails) -> object:
        handlers = {
            "/t/echo": grpc.unary_unary_rpc_method_handler(self.same),
            "/t/count": grpc.unary_stream_rpc_method_handler(self.count),
            "/t/join": grpc.stream_unary_rpc_method_handler(self.join),
            "/t/reflect": grpc.stream_stream_rpc_method_handler(self.same),
            "/t/fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "/t/metadata": grpc.unary_unary_rpc_method_handler(self.metadata),
        }
        return handlers.get(details.method)

    def same(self, request: bytes, _: object) -> bytes:
        return request

    def join(self, requests: Iterator[bytes], _: object) -> bytes:
        return b"".join(requests)

    def count(self, request: bytes, _: object) -> Iterator[bytes]:
        yield from (b"%d" % number for number in range(int(request)))

    def fail(self, request: bytes, context: Context) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\0\1detail"),))
        context.abort(grpc.StatusCode.NOT_FOUND, request.decode())

    def metadata(self, _: bytes, context: Context) -> bytes:
        return repr([(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]).encode()


@pytest.fixture(scope="module")
def foreign_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("grpc") / "s"
    server = grpc.server(ThreadPoolExecutor(8), handlers=[Foreign()], options=LIMITS)
    server.add_insecure_port(f"unix:{path}")
    server.start()
    yield path
    server.stop(None).wait()


@pytest.fixture
async def connection(foreign_server: Path) -> AsyncIterator[Connection]:
    stream = await connect(UnixAddress(path=str(foreign_server)))
    with anyio.fail_after(60):
        async with open_client(stream, authority="localhost") as connection:
            yield connection


async def test_unary_calls(connection: Connection) -> None:
    for message in (b"", b"hello", bytes(SIZE)):
        assert await connection.unary("/t/echo", message) == message


async def test_a_server_stream(connection: Connection) -> None:
    async with connection.call("/t/count") as call:
        await call.send(b"1000")
        await call.end()
        messages = [message async for message in call]

    assert messages == [b"%d" % number for number in range(1000)]


async def test_a_client_stream(connection: Connection) -> None:
    async with connection.call("/t/join") as call:
        await call.send_many([bytes([number]) * 100_000 for number in range(100)])
        await call.end()
        joined = await call.receive()
        with pytest.raises(anyio.EndOfStream):
            await call.receive()

    assert joined == b"".join(bytes([number]) * 100_000 for number in range(100))


async def test_streams_in_both_directions(connection: Connection) -> None:
    async with connection.call("/t/reflect") as call:
        for number in range(100):
            await call.send(b"%d" % number)
            assert await call.receive() == b"%d" % number
        await call.end()
        with pytest.raises(anyio.EndOfStream):
            await call.receive()


async def test_errors_with_their_details(connection: Connection) -> None:
    with pytest.raises(GrpcError) as caught:
        await connection.unary("/t/fail", "nö % such\n".encode())

    assert caught.value.status is Status.NOT_FOUND
    assert caught.value.message == "nö % such\n"
    assert caught.value.details == b"\0\1detail"


async def test_an_unknown_method(connection: Connection) -> None:
    with pytest.raises(GrpcError) as caught:
        await connection.unary("/t/nobody", b"")

    assert caught.value.status is Status.UNIMPLEMENTED


async def test_metadata_arrives(connection: Connection) -> None:
    metadata = (("x-text", "a b"), ("x-blob-bin", b"\0\xff\1"), ("x-text", "again"))

    seen = await connection.unary("/t/metadata", b"", metadata=metadata)

    assert seen == repr(list(metadata)).encode()


async def test_a_cancelled_call_leaves_the_connection_usable(connection: Connection) -> None:
    async with connection.call("/t/count") as call:
        await call.send(b"100000000")
        await call.end()
        await call.receive()
    assert await connection.unary("/t/echo", b"alive") == b"alive"


async def test_hundred_calls_at_once(connection: Connection) -> None:
    answers: list[bytes] = []

    async def ask(number: int) -> None:
        answers.append(await connection.unary("/t/echo", b"%d" % number))

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(ask, number)

    assert sorted(answers) == sorted(b"%d" % number for number in range(100))


# And the other way round: grpcio calls our server.


async def reflect(call: Call) -> None:
    async for message in call:
        await call.send(message)


async def fail(call: Call) -> None:
    raise GrpcError(Status.NOT_FOUND, "nö % such\n", b"\0\1detail")


async def metadata_of(call: Call) -> None:
    await call.receive()
    await call.send(repr([pair for pair in call.metadata if pair[0].startswith("x-")]).encode())


def foreign_calls(port: int) -> dict[str, object]:
    """What grpcio sees, in a thread."""
    metadata = (("x-text", "a b"), ("x-blob-bin", b"\0\xff\1"))
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=LIMITS) as channel:
        seen: dict[str, object] = {
            "unary": channel.unary_unary("/t/reflect")(b"hello", timeout=30),
            "big": len(channel.unary_unary("/t/reflect")(bytes(SIZE), timeout=30)),
            "metadata": channel.unary_unary("/t/metadata")(b"", metadata=metadata, timeout=30).decode(),
            "stream": list(channel.stream_stream("/t/reflect")(iter([b"a", b"", b"c"]), timeout=30)),
        }
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/t/fail")(b"", timeout=30)
        seen["error"] = (caught.value.code().name, caught.value.details(), dict(caught.value.trailing_metadata()))
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/t/nobody")(b"", timeout=30)
        seen["unknown"] = caught.value.code().name
    return seen


async def test_a_foreign_client_is_served() -> None:
    handlers = {"/t/reflect": reflect, "/t/fail": fail, "/t/metadata": metadata_of}
    with anyio.fail_after(60):
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(partial(listener.serve, partial(serve, handlers=handlers)))
            port = listener.extra(SocketAttribute.local_port)  # noqa: S610 -- anyio's, not Django's
            seen = await anyio.to_thread.run_sync(foreign_calls, port)
            tasks.cancel_scope.cancel()

            assert seen == {
                "unary": b"hello",
                "big": SIZE,
                "metadata": "[('x-text', 'a b'), ('x-blob-bin', b'\\x00\\xff\\x01')]",
                "stream": [b"a", b"", b"c"],
                "error": ("NOT_FOUND", "nö % such\n", {"grpc-status-details-bin": b"\0\1detail"}),
                "unknown": "UNIMPLEMENTED",
            }
