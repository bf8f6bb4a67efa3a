"""The real peer: grpc-go, in buildkitd."""

import anyio
import pytest

from orchestrator.buildkit.grpc import GrpcError, Status, open_client
from remote.address import UnixAddress
from remote.connect import connect
from tests.lab import Lab

pytestmark = pytest.mark.real


async def test_buildkitd_answers_refuses_and_is_left_in_the_middle(lab: Lab) -> None:
    async with open_client(await connect(UnixAddress(path=str(lab.buildkitd))), authority="localhost") as connection:
        info = await connection.unary("/moby.buildkit.v1.Control/Info", b"")
        with pytest.raises(GrpcError) as unknown:
            await connection.unary("/moby.buildkit.v1.Control/Nobody", b"")
        # A build that nobody knows: the daemon waits for it, until we go.
        with anyio.move_on_after(0.2):
            async with connection.call("/moby.buildkit.v1.Control/Status") as call:
                await call.send(b"\x0a\x06nobody")
                await call.end()
                await call.receive()
        again = await connection.unary("/moby.buildkit.v1.Control/Info", b"")

    assert b"github.com/moby/buildkit" in info
    assert unknown.value.status is Status.UNIMPLEMENTED
    assert again == info
