"""A real Go client and a real daemon talk, we listen: every message decodes without a field that we do not know."""

import base64
import json
import secrets
from pathlib import Path

import anyio
import pytest
from google.protobuf.message import Message

from orchestrator.buildkit.protos import (
    auth_pb2,
    control_pb2,
    filesync_pb2,
    fsutil_pb2,
    health_pb2,
    ops_pb2,
    secrets_pb2,
    sshforward_pb2,
    status_pb2,
)
from tests.buildkit.real import ROOT
from tests.buildkit.scripted_registry import Answer, Asked, scripted_registry
from tests.buildkit.tap import PREFACE, Rpc, Tapped, rpcs, tap, unknown_fields
from tests.buildkit_ssh.agent import Agent, real_agent
from tests.buildkit_ssh.agent import context as context_of
from tests.lab import Lab

SESSION = "/moby.buildkit.v1.Control/Session"

OURS: dict[str, tuple[type[Message], type[Message]]] = {
    "/moby.buildkit.v1.Control/Solve": (control_pb2.SolveRequest, control_pb2.SolveResponse),
    "/moby.buildkit.v1.Control/Status": (control_pb2.StatusRequest, control_pb2.StatusResponse),
    SESSION: (control_pb2.BytesMessage, control_pb2.BytesMessage),
    "/moby.buildkit.v1.Control/ListWorkers": (control_pb2.ListWorkersRequest, control_pb2.ListWorkersResponse),
    "/moby.buildkit.v1.Control/Info": (control_pb2.InfoRequest, control_pb2.InfoResponse),
    "/moby.buildkit.v1.Control/ListenBuildHistory": (control_pb2.BuildHistoryRequest, control_pb2.BuildHistoryEvent),
    "/moby.filesync.v1.FileSync/DiffCopy": (fsutil_pb2.Packet, fsutil_pb2.Packet),
    "/moby.filesync.v1.FileSend/DiffCopy": (filesync_pb2.BytesMessage, filesync_pb2.BytesMessage),
    "/moby.sshforward.v1.SSH/CheckAgent": (sshforward_pb2.CheckAgentRequest, sshforward_pb2.CheckAgentResponse),
    "/moby.sshforward.v1.SSH/ForwardAgent": (sshforward_pb2.BytesMessage, sshforward_pb2.BytesMessage),
    "/moby.filesync.v1.Auth/Credentials": (auth_pb2.CredentialsRequest, auth_pb2.CredentialsResponse),
    "/moby.filesync.v1.Auth/FetchToken": (auth_pb2.FetchTokenRequest, auth_pb2.FetchTokenResponse),
    "/moby.filesync.v1.Auth/GetTokenAuthority": (
        auth_pb2.GetTokenAuthorityRequest,
        auth_pb2.GetTokenAuthorityResponse,
    ),
    "/moby.filesync.v1.Auth/VerifyTokenAuthority": (
        auth_pb2.VerifyTokenAuthorityRequest,
        auth_pb2.VerifyTokenAuthorityResponse,
    ),
    "/moby.buildkit.secrets.v1.Secrets/GetSecret": (secrets_pb2.GetSecretRequest, secrets_pb2.GetSecretResponse),
    "/grpc.health.v1.Health/Check": (health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse),
}
"""Every method of which we speak one side."""

THEIRS = ("/moby.buildkit.v1.frontend.LLBBridge/", "/opentelemetry.proto.collector.trace.v1.TraceService/")
"""Services that a Go client uses and we do not: buildctl runs its frontend through a gateway, and offers traces."""


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_go_clients_conversation_holds_no_field_that_we_do_not_know(lab: Lab, tmp_path: Path) -> None:
    async with (
        scripted_registry(challenge) as registry,
        real_agent(tmp_path) as agent,
        tap(tmp_path / "tap", lab.buildkitd) as connections,
    ):
        await converse(lab, tmp_path, registry, agent)

    outer = [rpc for connection in connections for rpc in rpcs(connection)]
    inner = [rpc for session in sessions(outer) for rpc in rpcs(session)]
    foreign = {rpc.method for rpc in [*outer, *inner] if rpc.method not in OURS}
    assert {method for method in foreign if not method.startswith(THEIRS)} == set()
    assert {rpc.method for rpc in [*outer, *inner]} >= OURS.keys()
    assert sorted({field for rpc in [*outer, *inner] for field in unknown(rpc)}) == []
    assert any("grpc-status-details-bin" in rpc.answer for rpc in outer)


def test_an_unknown_field_is_found_however_deep_it_lies() -> None:
    range_with_more = ops_pb2.Range.FromString(b"\x0a\x05\x08\x01\xf8\x07\x01")  # start: line 1, and a field 127
    warning = control_pb2.VertexWarning(ranges=[range_with_more])

    found = list(unknown_fields(control_pb2.StatusResponse(warnings=[warning])))

    assert found == ["warnings.ranges.start.pb.Position: field 127"]


async def challenge(asked: Asked) -> Answer:
    """A registry with tokens under `/v2/app`, and with passwords under `/v2/basic`."""
    if asked.path.startswith("/token"):
        return Answer(200, json.dumps({"token": "t", "expires_in": 300}).encode())
    if "authorization" in asked.headers:
        return Answer(404)
    scheme = 'Basic realm="lab"'
    if asked.path.startswith("/v2/app"):
        scheme = f'Bearer realm="http://{asked.headers["host"]}/token",service="lab",scope="repository:app:pull"'
    return Answer(401, headers={"WWW-Authenticate": scheme})


async def converse(lab: Lab, folder: Path, registry: str, agent: Agent) -> None:
    """Have buildctl use every method that we know."""
    context = folder / "context"
    for name, data in (await context_of(agent)).items():
        path = anyio.Path(context / name)
        await path.parent.mkdir(parents=True, exist_ok=True)
        await path.write_bytes(data)
    home = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}

    async def buildctl(*arguments: str) -> int:
        command = [str(lab.buildctl), "--addr", f"unix://{folder}/tap", *arguments]
        return (await anyio.run_process(command, env=home, check=False)).returncode

    async def build(dockerfile: str) -> int:
        await anyio.Path(context / "Dockerfile").write_text(dockerfile)
        local = ("--local", f"context={context}", "--local", f"dockerfile={context}")
        secret = ("--secret", f"id=token,src={context}/Dockerfile")
        session = (*secret, "--ssh", f"default={agent.socket}", "--output", f"type=tar,dest={folder}/out.tar")
        return await buildctl("build", "--frontend", "dockerfile.v0", *local, *session)

    # Daemons check a session's health after 5 seconds.
    mounts = "--mount=type=secret,id=token --mount=type=ssh"
    run = f"RUN {mounts} cat /run/secrets/token; ssh-add -l; sleep 6; echo {secrets.token_hex(4)}\n"
    small = "FROM scratch\nCOPY --from=0 /Dockerfile /\n"
    assert await build(ROOT.lower() + run + small) == 0
    assert await buildctl("debug", "workers") == 0
    assert await buildctl("debug", "info") == 0
    assert await buildctl("debug", "histories") == 0
    for name in ("app", "app", "basic"):
        assert await build(f"FROM {registry}/{name}:1\nCOPY . /\n") != 0


def sessions(outer: list[Rpc]) -> list[Tapped]:
    """The connections inside `Control.Session`, where the daemon is the client."""

    def joined(messages: list[bytes]) -> bytearray:
        return bytearray(b"".join(control_pb2.BytesMessage.FromString(message).data for message in messages))

    return [
        Tapped(from_client=joined(rpc.responses), from_server=joined(rpc.requests))
        for rpc in outer
        if rpc.method == SESSION and joined(rpc.responses).startswith(PREFACE)
    ]


def unknown(rpc: Rpc) -> list[str]:
    """Unknown fields in all messages of a call, and in its error."""
    details = rpc.answer.get("grpc-status-details-bin", "")
    found = list(unknown_fields(status_pb2.Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))))
    if rpc.method in OURS:
        request, response = OURS[rpc.method]
        for kind, messages in ((request, rpc.requests), (response, rpc.responses)):
            for message in messages:
                found += unknown_fields(kind.FromString(message))
    return [f"{rpc.method}: {field}" for field in found]
