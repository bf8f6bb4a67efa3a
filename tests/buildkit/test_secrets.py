"""The Secrets service."""

import pytest

from orchestrator.buildkit.grpc import GrpcError, Status
from orchestrator.buildkit.protos import secrets_pb2
from orchestrator.buildkit.session.secrets import MOST_SECRET_BYTES, secret_handlers
from orchestrator.errors import ConfigError

METHOD = "/moby.buildkit.secrets.v1.Secrets/GetSecret"


async def get(secret_id: str, value: bytes) -> bytes:
    async def read() -> bytes:
        return value

    request = secrets_pb2.GetSecretRequest(id=secret_id).SerializeToString()
    return secrets_pb2.GetSecretResponse.FromString(await secret_handlers({"token": read})[METHOD](request)).data


@pytest.mark.parametrize("value", [b"", b"\x00\xff", b"x" * MOST_SECRET_BYTES], ids=["empty", "binary", "largest"])
async def test_a_declared_secret_is_read_when_asked_for(value: bytes) -> None:
    assert await get("token", value) == value


async def test_an_undeclared_secret_is_not_found() -> None:
    with pytest.raises(GrpcError) as caught:
        await get("other", b"x")

    assert caught.value.status is Status.NOT_FOUND
    assert "'other'" in caught.value.message


async def test_a_secret_over_buildkits_limit_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(ConfigError) as caught:
        await get("token", b"s3cr3t" * MOST_SECRET_BYTES)

    assert "'token'" in caught.value.message
    assert str(MOST_SECRET_BYTES) in caught.value.message
    assert "s3cr3t" not in caught.value.message + caught.value.hint
