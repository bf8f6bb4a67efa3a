"""The SSH service over our own gRPC, with a scripted agent."""

import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from orchestrator.buildkit.grpc import Call, GrpcError, Status
from orchestrator.buildkit.protos.sshforward_pb2 import BytesMessage, CheckAgentRequest
from orchestrator.buildkit.session.ssh import ssh_handlers
from tests.buildkit_grpc.peers import connected

CHECK, FORWARD = (f"/moby.sshforward.v1.SSH/{method}" for method in ("CheckAgent", "ForwardAgent"))
FAILURE = struct.pack(">LB", 1, 5)


def message(kind: int, content: bytes = b"") -> bytes:
    return struct.pack(">LB", 1 + len(content), kind) + content


@asynccontextmanager
async def agent(path: Path, *answers: bytes) -> AsyncGenerator[bytearray]:
    """An agent that gives these answers, in pieces, whatever it is asked; yields what it was asked."""
    heard = bytearray()
    left = list(answers)

    async def serve(stream: SocketStream) -> None:
        async with stream:
            async for data in stream:
                heard.extend(data)
                answer = left.pop(0)
                for at in range(0, len(answer), 999):
                    await stream.send(answer[at : at + 999])

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield heard
        tasks.cancel_scope.cancel()


async def ask(call: Call, request: bytes, *, pieces: int = 1 << 20, answer: int) -> bytes:
    """Send in pieces, and take an answer of that many bytes."""
    for at in range(0, len(request), pieces):
        await call.send(BytesMessage(data=request[at : at + pieces]).SerializeToString())
    taken = b""
    while len(taken) < answer:
        taken += BytesMessage.FromString(await call.receive()).data
    return taken


async def test_identities_and_signatures_pass_in_pieces_of_any_size(tmp_path: Path) -> None:
    identities, signature = message(12, b"\0" * 2000), message(14, b"s" * 200_000)

    async with (
        agent(tmp_path / "agent", identities, signature) as heard,
        connected(ssh_handlers({"default": tmp_path / "agent"})) as connection,
        connection.call(FORWARD) as call,
    ):
        first = await ask(call, message(11), pieces=1, answer=len(identities))
        second = await ask(call, message(13, b"x" * 1000), pieces=7, answer=len(signature))
        await call.end()
        assert [each async for each in call] == []

    assert (first, second) == (identities, signature)
    assert bytes(heard) == message(11) + message(13, b"x" * 1000)


@pytest.mark.parametrize("kind", [0, 1, 3, 9, 17, 18, 19, 20, 21, 22, 23, 25, 26, 27, 255])
async def test_nothing_else_reaches_the_agent(tmp_path: Path, kind: int) -> None:
    async with (
        agent(tmp_path / "agent", message(12)) as heard,
        connected(ssh_handlers({"default": tmp_path / "agent"})) as connection,
        connection.call(FORWARD, metadata=(("buildkit.ssh.id", "default"),)) as call,
    ):
        refused = await ask(call, message(kind, b"anything"), answer=5)
        # In one piece with what is allowed, answers keep their order.
        both = await ask(call, message(kind) + message(11), answer=10)

    assert refused == FAILURE
    assert both == FAILURE + message(12)
    assert bytes(heard) == message(11)


@pytest.mark.parametrize("length", [0, 256 * 1024 + 1, 0xFFFFFFFF])
async def test_a_message_that_cannot_be_ends_the_call(tmp_path: Path, length: int) -> None:
    async with (
        agent(tmp_path / "agent") as heard,
        connected(ssh_handlers({"default": tmp_path / "agent"})) as connection,
        connection.call(FORWARD) as call,
    ):
        with pytest.raises(GrpcError) as caught:
            await ask(call, struct.pack(">LB", length, 11), answer=1)

    assert caught.value.status is Status.INVALID_ARGUMENT
    assert heard == b""


async def test_an_agent_that_hangs_up_ends_the_call(tmp_path: Path) -> None:
    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()

    rest: list[bytes] | None = None

    async with await anyio.create_unix_listener(tmp_path / "agent") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        async with (
            connected(ssh_handlers({"default": tmp_path / "agent"})) as connection,
            connection.call(FORWARD) as call,
        ):
            await call.send(BytesMessage(data=message(11)).SerializeToString())
            rest = [each async for each in call]
        tasks.cancel_scope.cancel()

    assert rest == []


@pytest.mark.parametrize(("agent_id", "status"), [("", None), ("default", None), ("x", Status.NOT_FOUND)])
async def test_a_daemon_hears_beforehand_whether_there_is_an_agent(
    tmp_path: Path, agent_id: str, status: Status | None
) -> None:
    told: Status | None = None

    async with agent(tmp_path / "agent"), connected(ssh_handlers({"default": tmp_path / "agent"})) as connection:
        try:
            await connection.unary(CHECK, CheckAgentRequest(id=agent_id).SerializeToString())
        except GrpcError as error:
            told = error.status

    assert told is status


def test_without_agents_there_is_no_service() -> None:
    services: Sequence[str] = list(ssh_handlers({}))

    assert services == []
