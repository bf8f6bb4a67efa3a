"""The SSH service: a build step asks an agent on our side for its keys, and to sign with them. Nothing else.

The step is not trusted with the agent. Of the agent's protocol (draft-ietf-sshm-ssh-agent) only the two requests that
an SSH client needs are passed on; all others are answered with a failure here, as BuildKit's own client does
(session/sshforward/sshprovider/agentprovider.go, v0.30.0): a step could delete or lock the user's keys, or have the
agent load a library. Requests are taken one after the other, so that answers keep their order.

An agent exists for a build only when both the repository declares its id and the operator names its socket.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.abc
from google.protobuf.message import DecodeError

from orchestrator.buildkit.grpc import Call, GrpcError, Handler, Metadata, Status
from orchestrator.buildkit.protos.sshforward_pb2 import BytesMessage, CheckAgentRequest, CheckAgentResponse
from orchestrator.buildkit.session.unary import unary
from orchestrator.errors import ConfigError
from remote.unix import UnixStream

_SERVICE = "/moby.sshforward.v1.SSH"
_ID = "buildkit.ssh.id"
_DEFAULT = "default"
_REQUEST_IDENTITIES = 11
_SIGN_REQUEST = 13
_FAILURE = struct.pack(">LB", 1, 5)
_LENGTH = struct.Struct(">L")
_LONGEST = 256 * 1024
"""Bytes of one message; OpenSSH's limit, too (authfd.c)."""
_PIECE = 64 * 1024


def ssh_handlers(agents: Mapping[str, Path]) -> Mapping[str, Handler]:
    """The service's methods by full path; none without agents, which BuildKit turns into its own error.

    Args:
        agents: the sockets of agents, by id.
    """
    if not agents:
        return {}

    async def check(message: bytes) -> bytes:
        agent_id = CheckAgentRequest.FromString(message).id or _DEFAULT
        stream = await _connect(agents, agent_id)
        await stream.aclose()
        return CheckAgentResponse().SerializeToString()

    async def forward(call: Call) -> None:
        async with await _connect(agents, _id(call.metadata)) as agent:
            await _serve(call, agent)

    return {f"{_SERVICE}/CheckAgent": unary(check), f"{_SERVICE}/ForwardAgent": forward}


async def _connect(agents: Mapping[str, Path], agent_id: str) -> anyio.abc.ByteStream:
    path = agents.get(agent_id)
    if path is None:
        raise GrpcError(Status.NOT_FOUND, f"SSH agent {agent_id!r} is not declared")
    try:
        return await UnixStream.connect(str(path))
    except OSError as error:
        raise ConfigError(
            f"SSH agent {agent_id!r} does not answer at {path}: {error.strerror or error}",
            hint="Start it (`ssh-agent`), or correct its socket in the operator's file: ssh.<id>.socket.",
        ) from error


async def _serve(call: Call, agent: anyio.abc.ByteStream) -> None:
    step, answers = _Messages(), _Messages()
    try:
        while True:
            while (request := step.next()) is None:
                step.feed(_data(await call.receive()))
            if request[_LENGTH.size] not in (_REQUEST_IDENTITIES, _SIGN_REQUEST):
                await _answer(call, _FAILURE)
                continue
            await agent.send(request)
            while (answer := answers.next()) is None:
                answers.feed(await agent.receive())
            await _answer(call, answer)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        # Either side has hung up, as they do when they are done.
        return


class _Messages:
    """Takes an agent's protocol apart: a length of 4 bytes, a type of one, the rest."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> bytes | None:
        """The next message, its length in front; None while it is not complete.

        Raises:
            GrpcError: it can be none.
        """
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if not 0 < length <= _LONGEST:
            raise GrpcError(Status.INVALID_ARGUMENT, f"an agent's message cannot have {length} bytes")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[:end]
        return message


async def _answer(call: Call, data: bytes) -> None:
    # A daemon reads into a buffer of its own; pieces of any size will do.
    await call.send_many(
        [BytesMessage(data=data[at : at + _PIECE]).SerializeToString() for at in range(0, len(data), _PIECE)]
    )


def _data(message: bytes) -> bytes:
    try:
        return BytesMessage.FromString(message).data
    except DecodeError as error:
        raise GrpcError(Status.INVALID_ARGUMENT, "this is no piece of an agent's message") from error


def _id(metadata: Metadata) -> str:
    return next((value for name, value in metadata if name == _ID and isinstance(value, str)), "") or _DEFAULT
