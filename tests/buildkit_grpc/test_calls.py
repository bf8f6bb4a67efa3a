"""Our client against our server, over memory and over sockets."""

import logging
from functools import partial

import anyio
import pytest

from orchestrator.buildkit.grpc import Call, ConnectionLostError, GrpcError, Status, open_client, serve
from tests.buildkit_grpc.peers import connected, pipe, socket_pair


async def echo(call: Call) -> None:
    async for message in call:
        await call.send(message)


async def test_a_unary_call_returns_the_response() -> None:
    async with connected({"/echo": echo}) as connection:
        response = await connection.unary("/echo", b"hello")

    assert response == b"hello"


async def test_an_empty_message_is_a_message() -> None:
    async with connected({"/echo": echo}) as connection:
        response = await connection.unary("/echo", b"")

    assert response == b""


async def test_bytes_that_arrive_one_by_one_are_understood() -> None:
    async with connected({"/echo": echo}, cut=1) as connection:
        response = await connection.unary("/echo", bytes(range(256)))

    assert response == bytes(range(256))


async def test_both_sides_stream_at_the_same_time() -> None:
    async with connected({"/echo": echo}) as connection, connection.call("/echo") as call:
        answers: list[bytes] = []
        for number in range(100):
            await call.send(b"%d" % number)
            answers.append(await call.receive())
        await call.end()
        rest = [message async for message in call]

    assert answers == [b"%d" % number for number in range(100)]
    assert rest == []


async def test_the_end_of_a_call_is_raised_again_and_again() -> None:
    async with connected({"/echo": echo}) as connection, connection.call("/echo") as call:
        await call.end()
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await call.receive()


async def test_metadata_reaches_the_handler() -> None:
    seen: list[object] = []

    async def handler(call: Call) -> None:
        seen.append((call.method, call.metadata))
        await call.send(b"")

    metadata = (("dir-name", "context"), ("blob-bin", b"\0\xff"), ("dir-name", "again"))
    async with connected({"/handler": handler}) as connection:
        await connection.unary("/handler", b"", metadata=metadata)

    assert seen == [("/handler", metadata)]


async def test_a_message_of_20_mb_passes_both_ways_over_sockets() -> None:
    left, right = await socket_pair()
    message = bytes(range(256)) * 80_000
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, right, {"/echo": echo})
        async with open_client(left, authority="test") as connection:
            response = await connection.unary("/echo", message)
            counters = connection.sent_bytes, connection.received_bytes

        assert response == message
        assert all(len(message) < counter < len(message) * 1.01 for counter in counters)


async def test_a_message_over_the_limit_is_refused_on_either_side() -> None:
    left, right = pipe()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, right, {"/echo": echo, "/big": big}, message_limit=1000))
        async with open_client(left, authority="test", message_limit=1000) as connection:
            statuses: list[Status] = []
            for method, request in (("/echo", bytes(1001)), ("/big", b"")):
                with pytest.raises(GrpcError) as caught:
                    await connection.unary(method, request)
                statuses.append(caught.value.status)
            survivor = await connection.unary("/echo", b"still here")

        assert statuses == [Status.RESOURCE_EXHAUSTED] * 2
        assert survivor == b"still here"


async def big(call: Call) -> None:
    await call.send(bytes(1001))


async def test_200_calls_run_at_once() -> None:
    everybody = anyio.Event()
    count = 0

    async def meet(call: Call) -> None:
        nonlocal count
        count += 1
        if count == 100:
            everybody.set()
        await everybody.wait()
        await call.send(await call.receive())

    answers: list[bytes] = []
    async with connected({"/meet": meet}) as connection, anyio.create_task_group() as tasks:

        async def ask(number: int) -> None:
            answers.append(await connection.unary("/meet", b"%d" % number))

        for number in range(200):
            tasks.start_soon(ask, number)

    assert sorted(answers) == sorted(b"%d" % number for number in range(200))


async def test_senders_on_one_call_do_not_mix_their_messages() -> None:
    messages = [bytes([number]) * 300_000 for number in range(8)]
    async with (
        connected({"/echo": echo}) as connection,
        connection.call("/echo") as call,
        anyio.create_task_group() as tasks,
    ):
        for message in messages:
            tasks.start_soon(call.send, message)
        received = [await call.receive() for _ in messages]

        assert sorted(received) == messages


async def test_a_second_receiver_is_refused() -> None:
    async with (
        connected({"/echo": echo}) as connection,
        connection.call("/echo") as call,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(call.receive)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await call.receive()
        tasks.cancel_scope.cancel()


async def test_sending_after_the_end_is_refused() -> None:
    async with connected({"/echo": echo}) as connection, connection.call("/echo") as call:
        await call.end()
        with pytest.raises(anyio.ClosedResourceError):
            await call.send(b"late")


async def test_buffered_messages_do_not_starve_other_tasks() -> None:
    async def flood(call: Call) -> None:
        await call.send_many([b"x"] * 10_000)

    turns = 0
    async with connected({"/flood": flood}) as connection, anyio.create_task_group() as tasks:

        async def count() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with connection.call("/flood") as call:
            await call.receive()
            tasks.start_soon(count)
            async for _ in call:
                pass
        tasks.cancel_scope.cancel()

    assert turns >= 100


@pytest.mark.parametrize(
    ("error", "status", "message", "details"),
    [
        (GrpcError(Status.NOT_FOUND, "nö % file\n", b"\0detail"), Status.NOT_FOUND, "nö % file\n", b"\0detail"),
        (
            ExceptionGroup("tasks", [ExceptionGroup("deeper", [GrpcError(Status.ABORTED, "inside")])]),
            Status.ABORTED,
            "inside",
            None,
        ),
        (ConnectionLostError("another connection"), Status.UNAVAILABLE, "the connection was lost", None),
    ],
)
async def test_a_handlers_error_is_the_calls_status(
    error: Exception, status: Status, message: str, details: bytes | None
) -> None:
    async def fail(call: Call) -> None:
        raise error

    async with connected({"/fail": fail, "/echo": echo}) as connection:
        with pytest.raises(GrpcError) as caught:
            await connection.unary("/fail", b"")
        survivor = await connection.unary("/echo", b"ok")

    assert (caught.value.status, caught.value.message, caught.value.details) == (status, message, details)
    assert survivor == b"ok"


async def test_a_handlers_bug_is_logged_and_kills_no_other_call(caplog: pytest.LogCaptureFixture) -> None:
    async def bug(call: Call) -> None:
        raise KeyError("the secret")

    with caplog.at_level(logging.ERROR):
        async with connected({"/bug": bug, "/echo": echo}) as connection, connection.call("/echo") as other:
            with pytest.raises(GrpcError) as caught:
                await connection.unary("/bug", b"")
            await other.send(b"alive")
            answer = await other.receive()

    assert caught.value.status is Status.UNKNOWN
    assert "secret" not in caught.value.message
    assert "the secret" in caplog.text
    assert answer == b"alive"


async def test_messages_before_an_error_are_delivered() -> None:
    async def half(call: Call) -> None:
        await call.send(b"one")
        raise GrpcError(Status.ABORTED, "then no more")

    async with connected({"/half": half}) as connection, connection.call("/half") as call:
        first = await call.receive()
        with pytest.raises(GrpcError, match="ABORTED: then no more"):
            await call.receive()

    assert first == b"one"


async def test_an_unknown_method_is_unimplemented() -> None:
    async with connected({}) as connection:
        with pytest.raises(GrpcError, match="unknown method /nobody") as caught:
            await connection.unary("/nobody", b"")

    assert caught.value.status is Status.UNIMPLEMENTED


@pytest.mark.parametrize("count", [0, 2])
async def test_a_unary_call_wants_exactly_one_response(count: int) -> None:
    async def handler(call: Call) -> None:
        await call.send_many([b"x"] * count)

    async with connected({"/handler": handler}) as connection:
        with pytest.raises(GrpcError, match=f"expected one response, got {count}"):
            await connection.unary("/handler", b"")


async def test_a_handler_may_answer_before_it_has_read_the_request() -> None:
    async def impatient(call: Call) -> None:
        await call.send(b"enough")

    async with connected({"/impatient": impatient, "/echo": echo}) as connection:
        response = await connection.unary("/impatient", bytes(20_000_000))
        survivor = await connection.unary("/echo", bytes(20_000_000))

    assert response == b"enough"
    assert survivor == bytes(20_000_000)


async def test_the_blocks_own_error_is_not_wrapped_in_a_group() -> None:
    left, right = pipe()
    async with right:
        with pytest.raises(KeyError, match="mine"):
            async with open_client(left, authority="test"):
                raise KeyError("mine")


async def test_metadata_keeps_the_spaces_around_it() -> None:
    async def echo(call: Call) -> None:
        await call.send(repr([value for key, value in call.metadata if key == "exclude-patterns"]).encode())

    async with connected({"/x": echo}) as connection:
        answer = await connection.unary("/x", b"", metadata=(("exclude-patterns", " "), ("exclude-patterns", " a ")))

    assert answer == b"[' ', ' a ']"
