"""Windows: ours and the peer's. The peer is plain `h2`."""

import struct

import anyio
import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, StreamEnded, WindowUpdated
from h2.settings import SettingCodes

from orchestrator.buildkit.grpc import Call, ConnectionLostError, GrpcError, wire
from orchestrator.buildkit.grpc.link import QUEUE_LIMIT, TURN
from tests.buildkit_grpc.peers import OK_HEADERS, Peer, client_of_peer, connected, framed, peer_of_server

STREAM_WINDOW = 128 * 1024
CONNECTION_WINDOW = 8 * STREAM_WINDOW


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that a test fills in no time."""
    monkeypatch.setattr(wire, "STREAM_WINDOW", STREAM_WINDOW)
    monkeypatch.setattr(wire, "CONNECTION_WINDOW", CONNECTION_WINDOW)


async def read_request(peer: Peer, stream_id: int) -> bytes:
    """Everything of a half-closed request, granting each byte again as soon as it is read."""
    body = b""
    while True:
        data = await peer.expect(DataReceived)
        assert data.stream_id == stream_id
        body += data.data
        if data.stream_ended:
            return body
        if data.flow_controlled_length:
            peer.h2.increment_flow_control_window(data.flow_controlled_length, stream_id)
            peer.h2.increment_flow_control_window(data.flow_controlled_length)


@pytest.mark.parametrize("window", [1, 2, 7, 100, 16_385, 65_535])
async def test_a_sender_keeps_to_the_smallest_windows(window: int) -> None:
    message = bytes(range(256)) * (2 if window < 100 else 800)
    async with (
        client_of_peer({SettingCodes.INITIAL_WINDOW_SIZE: window}) as (connection, peer),
        connection.call("/x") as call,
        anyio.create_task_group() as tasks,
    ):

        async def send() -> None:
            await call.send(message)
            await call.end()

        stream_id = await peer.expect_request()
        tasks.start_soon(send)
        body = await read_request(peer, stream_id)

        # Plain h2 raises in `expect` when a frame is larger than its window or its largest frame.
        assert body == framed(message)


async def test_a_window_that_settings_make_negative_opens_again() -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as call:
        stream_id = await peer.expect_request()
        await call.send(bytes(995))
        await peer.expect(DataReceived)
        peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 500})
        await peer.flush()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.send, b"second")
            await anyio.wait_all_tasks_blocked()
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
            await peer.flush()
            data = await peer.expect(DataReceived)

            assert (data.stream_id, data.data) == (stream_id, framed(b"second"))


async def test_a_window_update_between_look_and_sleep_is_not_lost() -> None:
    async with (
        client_of_peer({SettingCodes.INITIAL_WINDOW_SIZE: 10}) as (connection, peer),
        connection.call("/x") as call,
        anyio.create_task_group() as tasks,
    ):
        stream_id = await peer.expect_request()
        tasks.start_soon(call.send, bytes(995))
        received = 0
        while received < 1000:
            received += len((await peer.expect(DataReceived)).data)
            # Two updates at once: the second arrives while the sender has not run since the first.
            peer.h2.increment_flow_control_window(5, stream_id)
            peer.h2.increment_flow_control_window(5, stream_id)
            await peer.flush()

        assert received == 1000


@pytest.mark.parametrize(
    ("increment", "code"),
    [(0, ErrorCodes.PROTOCOL_ERROR), (2**31 - 1, ErrorCodes.FLOW_CONTROL_ERROR)],
)
async def test_a_grant_that_cannot_be_ends_the_connection(increment: int, code: ErrorCodes) -> None:
    async with client_of_peer() as (_, peer):
        await peer.flush()
        await peer.stream.send(struct.pack(">HBBBLL", 0, 4, 8, 0, 0, increment))

        ended = await peer.expect(ConnectionTerminated)

        assert ended.error_code == code


async def test_a_grant_to_a_stream_that_is_gone_is_passed_over() -> None:
    async with client_of_peer() as (connection, peer), anyio.create_task_group() as tasks:
        tasks.start_soon(connection.unary, "/x", b"")
        stream_id = await peer.expect_request()
        await peer.respond(stream_id, b"")
        await anyio.wait_all_tasks_blocked()
        await peer.stream.send(struct.pack(">HBBBLL", 0, 4, 8, 0, stream_id, 100))
        tasks.start_soon(connection.unary, "/x", b"")

        await peer.respond(await peer.expect_request(), b"")


async def test_calls_share_a_small_connection_window_fairly() -> None:
    """The connection's window (65,535 bytes) is granted again as it is read: nobody may be left without a share."""
    finished: list[int] = []
    async with (
        client_of_peer({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20}) as (connection, peer),
        anyio.create_task_group() as tasks,
    ):

        async def send(number: int) -> None:
            async with connection.call("/x") as call:
                for _ in range(10):
                    await call.send(bytes(60_000))
                finished.append(number)
                await call.end()
                with pytest.raises(anyio.EndOfStream):
                    await call.receive()

        for number in range(4):
            tasks.start_soon(send, number)
        shares: dict[int, int] = dict.fromkeys((1, 3, 5, 7), 0)
        spread = 0
        while len(finished) < 4 or min(shares.values()) < 10 * 60_005:
            data = await peer.expect(DataReceived)
            shares[data.stream_id] += len(data.data)
            if not finished:
                spread = max(spread, max(shares.values()) - min(shares.values()))
            if data.flow_controlled_length:
                peer.h2.increment_flow_control_window(data.flow_controlled_length)
        for stream_id in shares:
            await peer.respond(stream_id)

        assert set(shares.values()) == {10 * 60_005}
        assert spread <= 2 * TURN


async def test_a_blocked_stream_does_not_hinder_another() -> None:
    async with (
        client_of_peer({SettingCodes.INITIAL_WINDOW_SIZE: 100}) as (connection, peer),
        connection.call("/blocked") as blocked,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(blocked.send, bytes(5000))
        await anyio.wait_all_tasks_blocked()
        answers: list[bytes] = []

        async def ask() -> None:
            answers.append(await connection.unary("/free", b"small"))

        tasks.start_soon(ask)
        await peer.expect_request()
        free = await peer.expect_request()
        await peer.expect(StreamEnded)
        await peer.respond(free, b"answer")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

        assert answers == [b"answer"]


async def test_a_slow_reader_is_sent_no_more_than_its_window() -> None:
    sent = 0

    async def flood(call: Call) -> None:
        nonlocal sent
        while True:
            await call.send(bytes(100_000))
            sent += 100_000

    async with connected({"/flood": flood}) as connection, connection.call("/flood") as call:
        await call.receive()
        await anyio.wait_all_tasks_blocked()
        stalled = connection.received_bytes
        for _ in range(100):
            await call.receive()
        await anyio.wait_all_tasks_blocked()
        continued = connection.received_bytes

    assert stalled <= STREAM_WINDOW * 1.3 + 100_000
    assert continued - stalled <= 100 * 100_005 * 1.01 + STREAM_WINDOW // 4
    assert sent < continued + TURN + 2 * QUEUE_LIMIT + 200_000


async def test_unread_bytes_of_an_abandoned_call_do_not_eat_the_connections_window() -> None:
    async def flood(call: Call) -> None:
        while True:
            await call.send(bytes(1_000_000))

    rounds = 3 * CONNECTION_WINDOW // STREAM_WINDOW
    async with connected({"/flood": flood}) as connection:
        for _ in range(rounds):
            async with connection.call("/flood") as call:
                await call.receive()
                await anyio.wait_all_tasks_blocked()
        moved = connection.received_bytes

    assert moved > 2 * CONNECTION_WINDOW


async def test_padding_counts_in_the_windows_and_is_granted_again() -> None:
    async with client_of_peer() as (connection, peer), connection.call("/x") as call:
        stream_id = await peer.expect_request()
        peer.h2.send_headers(stream_id, OK_HEADERS)
        sent = 0
        # More padding than two windows hold: it arrives only if padding is granted again.
        while sent < 2 * STREAM_WINDOW:
            while peer.h2.local_flow_control_window(stream_id) < 300:
                await peer.expect(WindowUpdated)
            peer.h2.send_data(stream_id, framed(b"x"), pad_length=255)
            sent += 262
            if not sent % (262 * 500):
                await peer.flush()
                for _ in range(500):
                    assert await call.receive() == b"x"
        await peer.flush()

    assert sent >= 2 * STREAM_WINDOW


@pytest.mark.parametrize("kind", ["stream", "connection"])
async def test_a_peer_that_ignores_our_windows_is_dropped(kind: str) -> None:
    errors: list[Exception] = []
    streams = 1 if kind == "stream" else CONNECTION_WINDOW // STREAM_WINDOW + 1
    async with client_of_peer() as (connection, peer):
        async with anyio.create_task_group() as tasks:

            async def hold() -> None:
                async with connection.call("/x") as call:
                    try:
                        await gone.wait()
                        async for _ in call:
                            pass
                    except (ConnectionLostError, GrpcError) as error:
                        errors.append(error)

            gone = anyio.Event()
            for _ in range(streams):
                tasks.start_soon(hold)
            ids = [await peer.expect_request() for _ in range(streams)]
            for stream_id in ids:
                peer.h2.send_headers(stream_id, OK_HEADERS)
            peer.h2.outbound_flow_control_window = 1 << 30
            limit = STREAM_WINDOW + 1 if kind == "stream" else STREAM_WINDOW
            for stream_id in ids:
                peer.h2.streams[stream_id].outbound_flow_control_window = 1 << 30
                left = limit
                while left:
                    peer.h2.send_data(stream_id, bytes(min(left, 16_384)))
                    left -= min(left, 16_384)
                await peer.flush()
            goodbye = await peer.expect(ConnectionTerminated)
            gone.set()
            assert goodbye.error_code == ErrorCodes.FLOW_CONTROL_ERROR

        assert len(errors) == streams
        assert all("window" in str(error) for error in errors)


async def test_a_server_keeps_to_the_clients_windows() -> None:
    message = bytes(range(256)) * 40

    async def answer(call: Call) -> None:
        await call.send(message)

    async with peer_of_server({"/x": answer}, {SettingCodes.INITIAL_WINDOW_SIZE: 3}) as peer:
        stream_id = await peer.request("/x", end=True)
        body = b""
        while len(body) < len(message) + 5:
            body += (await peer.expect(DataReceived)).data
            if len(body) < len(message) + 5:
                peer.h2.increment_flow_control_window(3, stream_id)
        await peer.expect(StreamEnded)

    assert body == framed(message)
