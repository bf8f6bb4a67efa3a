"""A connection inside a call, as BuildKit's session is."""

import anyio
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit.grpc import Call, GrpcError, Status, Tunnel, open_client, serve
from orchestrator.buildkit.grpc.tunnel import CHUNK, bytes_messages, decode_bytes_message
from tests.buildkit_grpc.peers import connected


@given(st.lists(st.one_of(st.binary(max_size=300), st.integers(0, 3 * CHUNK).map(bytes)), max_size=6))
def test_protobuf_reads_what_we_write_and_we_read_what_it_writes(pieces: list[bytes]) -> None:
    """`google.protobuf.BytesValue` has the fields of BuildKit's `BytesMessage`."""
    data = b"".join(pieces)
    values = [BytesValue.FromString(b"".join(message)).value for message in bytes_messages(pieces)]

    assert b"".join(values) == data
    assert all(0 < len(value) <= CHUNK for value in values)
    assert decode_bytes_message(BytesValue(value=data).SerializeToString()) == data


@given(st.binary(max_size=60))
def test_noise_is_bytes_or_a_value_error(noise: bytes) -> None:
    try:
        data = decode_bytes_message(noise)
    except ValueError:
        return
    assert data in noise


@pytest.mark.parametrize("unknown", [b"\x10\xff\x01", b"\x1a\x02ab", b"\x25abcd", b"\x29abcdefgh"])
def test_unknown_fields_are_skipped(unknown: bytes) -> None:
    assert decode_bytes_message(unknown + b"\x0a\x02hi" + unknown) == b"hi"


async def reflect(call: Call) -> None:
    tunnel = Tunnel(call)
    async for data in tunnel:
        await tunnel.send(data)


async def test_bytes_pass_in_bounded_messages_and_come_back_whole() -> None:
    sizes: list[int] = []

    async def measure(call: Call) -> None:
        async for message in call:
            sizes.append(len(message))
            await call.send(message)

    data = bytes(range(256)) * 1000
    async with connected({"/t": measure}) as connection, connection.call("/t") as call:
        tunnel = Tunnel(call)
        await tunnel.send(data)
        await tunnel.send_eof()
        received = b"".join([part async for part in tunnel])

    assert received == data
    assert max(sizes) <= CHUNK + 8


async def test_at_most_the_wanted_bytes_are_taken() -> None:
    async with connected({"/t": reflect}) as connection, connection.call("/t") as call:
        tunnel = Tunnel(call)
        await tunnel.send(b"abcdef")
        parts = [await tunnel.receive(4), await tunnel.receive(4)]

    assert parts == [b"abcd", b"ef"]


async def test_the_stream_ends_with_the_call() -> None:
    async def short(call: Call) -> None:
        await Tunnel(call).send(b"bye")

    async with connected({"/t": short}) as connection, connection.call("/t") as call:
        tunnel = Tunnel(call)
        data = await tunnel.receive()
        with pytest.raises(anyio.EndOfStream):
            await tunnel.receive()

    assert data == b"bye"


async def test_a_failed_call_breaks_the_stream_and_names_its_status() -> None:
    async def fail(call: Call) -> None:
        raise GrpcError(Status.ABORTED, "no session")

    async with connected({"/t": fail}) as connection, connection.call("/t") as call:
        with pytest.raises(anyio.BrokenResourceError, match="ABORTED: no session") as caught:
            await Tunnel(call).receive()

    assert isinstance(caught.value.__cause__, GrpcError)


async def test_a_malformed_message_breaks_the_stream() -> None:
    async def malformed(call: Call) -> None:
        await call.send(b"\x0a\x05abc")

    async with connected({"/t": malformed}) as connection, connection.call("/t") as call:
        with pytest.raises(anyio.BrokenResourceError, match="cut off"):
            await Tunnel(call).receive()


async def test_closing_half_closes_the_call_and_takes_no_more() -> None:
    ended = anyio.Event()

    async def wait(call: Call) -> None:
        async for _ in call:
            pass
        ended.set()

    async with connected({"/t": wait}) as connection, connection.call("/t") as call:
        tunnel = Tunnel(call)
        await tunnel.aclose()
        await tunnel.aclose()
        await ended.wait()
        with pytest.raises(anyio.ClosedResourceError):
            await tunnel.receive()
        with pytest.raises(anyio.ClosedResourceError):
            await tunnel.send(b"x")


async def test_our_server_answers_inside_a_call_of_our_client() -> None:
    """The shape of `Control.Session`: the outer client is the inner server."""
    results: list[object] = []

    async def session(call: Call) -> None:
        async with open_client(Tunnel(call), authority="inner") as inner:
            results.append(await inner.unary("/upper", b"hello"))
            results.append(len(await inner.unary("/upper", bytes(20_000_000))))
            with pytest.raises(GrpcError) as caught:
                await inner.unary("/fail", b"")
            results.append(caught.value.status)

    async def upper(call: Call) -> None:
        await call.send((await call.receive()).upper())

    async def fail(call: Call) -> None:
        raise GrpcError(Status.NOT_FOUND, "no")

    async with connected({"/session": session}) as connection, connection.call("/session") as call:
        await serve(Tunnel(call), {"/upper": upper, "/fail": fail})
        with pytest.raises(anyio.EndOfStream):
            await call.receive()

    assert results == [b"HELLO", 20_000_000, Status.NOT_FOUND]
