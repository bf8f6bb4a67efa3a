"""How calls and connections end: resets, GOAWAY, loss, cancellation."""

from contextlib import suppress

import anyio
import pytest
from anyio.abc import ByteStream
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, PingAckReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.buildkit.grpc import Call, ConnectionLostError, GrpcError, Status, open_client, serve
from tests.buildkit_grpc.peers import (
    OK_HEADERS,
    client_of_peer,
    connected,
    framed,
    peer_of_server,
    pipe,
    request_headers,
    time_limit,
)


async def echo(call: Call) -> None:
    async for message in call:
        await call.send(message)


async def test_leaving_a_call_resets_it_and_leaves_the_connection_usable() -> None:
    async with client_of_peer() as (connection, peer):
        async with connection.call("/x"):
            stream_id = await peer.expect_request()
        reset = await peer.expect(StreamReset)
        async with connection.call("/y") as call:
            await peer.respond(await peer.expect_request(), b"still here")
            answer = await call.receive()

    assert (reset.stream_id, reset.error_code) == (stream_id, ErrorCodes.CANCEL)
    assert answer == b"still here"


async def test_a_cancelled_call_is_reset() -> None:
    async with client_of_peer() as (connection, peer):
        with anyio.CancelScope() as scope:
            async with connection.call("/x") as call, anyio.create_task_group() as tasks:
                await peer.expect_request()
                tasks.start_soon(call.receive)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        reset = await peer.expect(StreamReset)

    assert reset.error_code == ErrorCodes.CANCEL


async def test_a_finished_call_is_not_reset() -> None:
    async with client_of_peer() as (connection, peer):
        async with connection.call("/x") as call:
            await call.end()
            await peer.respond(await peer.expect_request(), b"x")
            assert [message async for message in call] == [b"x"]
        peer.h2.ping(b"12345678")
        await peer.expect(PingAckReceived)
        resets = [event for event in peer.seen if isinstance(event, StreamReset)]

    assert resets == []


async def test_a_call_to_a_peer_that_does_not_read_is_left_at_once() -> None:
    async with time_limit():
        left, right = pipe(buffered=0)
        async with right:
            with anyio.fail_after(10):
                async with open_client(left, authority="test") as connection:
                    with anyio.move_on_after(0.05):
                        async with connection.call("/x") as call:
                            await call.send(bytes(10_000_000))


async def test_a_message_that_was_cut_off_by_cancellation_ends_the_call() -> None:
    async with (
        client_of_peer({SettingCodes.INITIAL_WINDOW_SIZE: 10}) as (connection, peer),
        connection.call("/x") as call,
    ):
        await peer.expect_request()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.send, bytes(100))
                await peer.expect(DataReceived)
                scope.cancel()
        with pytest.raises(GrpcError, match="cancelled while sending"):
            await call.send(b"more")
        reset = await peer.expect(StreamReset)

    assert reset.error_code == ErrorCodes.CANCEL


@pytest.mark.parametrize(
    ("code", "status"),
    [(ErrorCodes.CANCEL, Status.CANCELLED), (ErrorCodes.REFUSED_STREAM, Status.UNAVAILABLE)],
)
async def test_a_reset_is_the_calls_status(code: ErrorCodes, status: Status) -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as call:
        peer.h2.reset_stream(await peer.expect_request(), code)
        await peer.flush()
        with pytest.raises(GrpcError) as caught:
            await call.receive()
        with pytest.raises(GrpcError):
            await call.send(b"late")

    assert caught.value.status is status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(":status", "503")], Status.UNAVAILABLE),
        ([(":status", "200"), ("content-type", "text/html")], Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("ended", [False, True])
async def test_a_response_that_is_no_grpc_is_an_error(
    headers: list[tuple[str, str]], status: Status, *, ended: bool
) -> None:
    async with client_of_peer() as (connection, peer):
        async with connection.call("/x") as call:
            stream_id = await peer.expect_request()
            peer.h2.send_headers(stream_id, headers, end_stream=ended)
            if not ended:
                peer.h2.send_data(stream_id, b"<html>", end_stream=True)
            await peer.flush()
            with pytest.raises(GrpcError) as caught:
                await call.receive()
        async with connection.call("/y") as call:
            await peer.respond(await peer.expect_request(), b"alive")
            assert await call.receive() == b"alive"

    assert caught.value.status is status


async def test_a_response_of_trailers_only_is_read() -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as call:
        trailers = [*OK_HEADERS, ("grpc-status", "5"), ("grpc-message", "no%20such")]
        peer.h2.send_headers(await peer.expect_request(), trailers, end_stream=True)
        await peer.flush()
        with pytest.raises(GrpcError, match="NOT_FOUND: no such"):
            await call.receive()


@pytest.mark.parametrize(("data", "text"), [(b"", "without trailers"), (framed(b"abc")[:-1], "without trailers")])
async def test_a_response_without_trailers_is_an_error(data: bytes, text: str) -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as call:
        stream_id = await peer.expect_request()
        peer.h2.send_headers(stream_id, OK_HEADERS)
        peer.h2.send_data(stream_id, data, end_stream=True)
        await peer.flush()
        with pytest.raises(GrpcError, match=text) as caught:
            await call.receive()

    assert caught.value.status is Status.INTERNAL


async def test_a_message_cut_off_by_ok_trailers_is_an_error() -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as call:
        stream_id = await peer.expect_request()
        peer.h2.send_headers(stream_id, OK_HEADERS)
        peer.h2.send_data(stream_id, framed(b"abc")[:-1])
        peer.h2.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)
        await peer.flush()
        with pytest.raises(GrpcError, match="in the middle of a message") as caught:
            await call.receive()

    assert caught.value.status is Status.INTERNAL


async def test_pings_are_answered_and_none_are_sent() -> None:
    async with client_of_peer() as (_, peer):
        peer.h2.ping(b"abcdefgh")
        answer = await peer.expect(PingAckReceived)

    assert answer.ping_data == b"abcdefgh"


async def test_goaway_lets_running_calls_finish_and_refuses_new_ones() -> None:
    async with (
        client_of_peer() as (connection, peer),
        connection.call("/first") as first,
        connection.call("/second") as second,
    ):
        first_id, second_id = await peer.expect_request(), await peer.expect_request()
        # Plain h2 closes itself with its GOAWAY: the frames of the running call are made before, sent after.
        peer.h2.send_headers(first_id, OK_HEADERS)
        peer.h2.send_data(first_id, framed(b"done"))
        peer.h2.send_headers(first_id, [("grpc-status", "0")], end_stream=True)
        rest = peer.h2.data_to_send()
        peer.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=first_id)
        await peer.flush()
        with pytest.raises(ConnectionLostError, match="GOAWAY NO_ERROR"):
            await second.receive()
        with pytest.raises(ConnectionLostError, match="takes no new calls"):
            await connection.unary("/third", b"")
        await peer.stream.send(rest)
        answer = [message async for message in first]

    assert second_id > first_id
    assert answer == [b"done"]


async def test_too_many_pings_says_so() -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as call:
        await peer.expect_request()
        peer.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_pings", last_stream_id=0)
        await peer.flush()
        with pytest.raises(ConnectionLostError, match=r"too much load.*ENHANCE_YOUR_CALM: too_many_pings"):
            await call.receive()


async def test_a_call_that_waits_for_a_slot_hears_of_goaway() -> None:
    async with (
        client_of_peer({SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as (connection, peer),
        connection.call("/x"),
        anyio.create_task_group() as tasks,
    ):
        await peer.expect_request()

        async def wait() -> None:
            with pytest.raises(ConnectionLostError):
                await connection.unary("/y", b"")

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        peer.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=1)
        await peer.flush()


async def test_the_limit_of_streams_is_kept() -> None:
    async with client_of_peer({SettingCodes.MAX_CONCURRENT_STREAMS: 3}) as (connection, peer):
        answers: list[bytes] = []
        async with anyio.create_task_group() as tasks:

            async def ask(number: int) -> None:
                answers.append(await connection.unary("/x", b"%d" % number))

            peer.h2.ping(b"settings")
            await peer.expect(PingAckReceived)
            for number in range(10):
                tasks.start_soon(ask, number)
            for _ in range(10):
                # Plain h2 raises TooManyStreamsError when a fourth stream is open.
                await peer.respond(await peer.expect_request(), b"ok")

    assert answers == [b"ok"] * 10


async def test_a_lost_connection_ends_every_call() -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as reader, connection.call("/y") as sender:
        errors: list[str] = []
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                with pytest.raises(ConnectionLostError) as caught:
                    await reader.receive()
                errors.append(str(caught.value))

            async def send() -> None:
                with pytest.raises(ConnectionLostError) as caught:
                    await sender.send(bytes(1_000_000))
                errors.append(str(caught.value))

            tasks.start_soon(read)
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            await peer.stream.aclose()
        with pytest.raises(ConnectionLostError):
            await connection.unary("/z", b"")

    assert len(errors) == 2


async def collect(call: Call, messages: list[bytes]) -> None:
    while True:
        messages.append(await call.receive())


async def send_for_ever(stream: ByteStream, data: bytes) -> None:
    while True:
        await stream.send(data)


def conversation() -> bytes:
    """What a server says in one call, from its settings to its trailers."""
    h2 = H2Connection(H2Configuration(client_side=False))
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    client.send_headers(1, request_headers("/x"))
    h2.initiate_connection()
    h2.receive_data(client.data_to_send())
    h2.send_headers(1, OK_HEADERS)
    h2.send_data(1, framed(b"first"))
    h2.send_data(1, framed(b"second"))
    h2.send_headers(1, [("grpc-status", "0")], end_stream=True)
    return h2.data_to_send()


CONVERSATION = conversation()


@pytest.mark.parametrize("cut", range(0, len(CONVERSATION), 7))
async def test_a_connection_that_ends_anywhere_is_lost_and_does_not_hang(cut: int) -> None:
    async with time_limit():
        left, right = pipe(buffered=1000)
        async with right, open_client(left, authority="test") as connection, connection.call("/x") as call:
            await right.send(CONVERSATION[:cut])
            await right.send_eof()
            messages: list[bytes] = []
            with pytest.raises(ConnectionLostError):
                await collect(call, messages)

    assert messages == [b"first", b"second"][: len(messages)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(CONVERSATION) - 1), noise=st.binary(min_size=1, max_size=30))
async def test_a_client_survives_any_noise(position: int, noise: bytes) -> None:
    async with time_limit():
        left, right = pipe(buffered=1000)
        async with right, open_client(left, authority="test") as connection, connection.call("/x") as call:
            await right.send(CONVERSATION[:position] + noise + CONVERSATION[position + len(noise) :])
            await right.send_eof()
            with suppress(ConnectionLostError, GrpcError):
                async for _ in call:
                    pass


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200), preface=st.booleans())
async def test_a_server_survives_any_noise(noise: bytes, *, preface: bool) -> None:
    async with time_limit():
        left, right = pipe(buffered=1000)
        async with left:
            await left.send((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if preface else b"") + noise)
            await left.send_eof()
            with suppress(ConnectionLostError):
                await serve(right, {"/echo": echo})


async def test_a_server_says_why_it_gives_up() -> None:
    async with time_limit():
        left, right = pipe(buffered=1000)
        async with left:
            await left.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(ConnectionLostError, match="broke HTTP/2: Invalid HTTP/2 preamble"):
                await serve(right, {})


async def test_a_flood_of_pings_from_a_peer_that_does_not_read_is_stopped() -> None:
    async with time_limit():
        left, right = pipe(buffered=0)
        async with left, anyio.create_task_group() as tasks:

            async def run() -> None:
                with pytest.raises(ConnectionLostError, match="does not read"):
                    await serve(right, {})

            tasks.start_soon(run)
            client = H2Connection(H2Configuration(client_side=True))
            client.initiate_connection()
            await left.send(client.data_to_send())
            for _ in range(10_000):
                client.ping(bytes(8))
            pings = client.data_to_send()
            with pytest.raises(anyio.BrokenResourceError):
                await send_for_ever(left, pings)


async def test_a_handler_is_cancelled_when_its_call_is_reset() -> None:
    cancelled = anyio.Event()

    async def handler(call: Call) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with peer_of_server({"/x": handler, "/echo": echo}) as peer:
        stream_id = await peer.request("/x")
        await anyio.wait_all_tasks_blocked()
        peer.h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        await peer.flush()
        await cancelled.wait()
        await peer.request("/echo", b"alive", end=True)
        data = await peer.expect(DataReceived)

    assert data.data == framed(b"alive")


async def test_a_handler_whose_call_was_reset_at_once_does_not_linger() -> None:
    async def handler(call: Call) -> None:
        await anyio.sleep_forever()

    async with peer_of_server({"/x": handler}) as peer:
        stream_id = await peer.request("/x")
        peer.h2.reset_stream(stream_id, ErrorCodes.CANCEL)
        await peer.flush()
        peer.h2.ping(bytes(8))
        await peer.expect(PingAckReceived)


async def test_handlers_are_cancelled_when_the_connection_ends() -> None:
    cancelled = anyio.Event()

    async def handler(call: Call) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with connected({"/x": handler}) as connection, connection.call("/x"):
        await anyio.wait_all_tasks_blocked()

    assert cancelled.is_set()


async def test_a_client_that_still_sends_is_told_that_nobody_listens() -> None:
    async def impatient(call: Call) -> None:
        raise GrpcError(Status.ABORTED, "enough")

    async with peer_of_server({"/x": impatient}) as peer:
        await peer.request("/x", b"first")
        await peer.expect(StreamEnded)
        reset = await peer.expect(StreamReset)

    assert reset.error_code == ErrorCodes.NO_ERROR


async def test_the_client_says_goodbye() -> None:
    async with time_limit():
        left, right = pipe(buffered=1000)
        async with right:
            async with open_client(left, authority="test"):
                pass
            client = H2Connection(H2Configuration(client_side=False))
            client.initiate_connection()
            events = client.receive_data(await right.receive(1 << 20))

    assert [event.error_code for event in events if isinstance(event, ConnectionTerminated)] == [0]
