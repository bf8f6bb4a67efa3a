"""The Secrets service: values of `RUN --mount=type=secret`, read when a step asks and kept nowhere.

Only what the build declared exists; everything else is NOT_FOUND, which BuildKit turns into its own error for a
required secret and into nothing for an optional one. No message here ever holds a value.
"""

from collections.abc import Awaitable, Callable, Mapping

from orchestrator.buildkit.grpc import GrpcError, Status
from orchestrator.buildkit.protos import secrets_pb2
from orchestrator.buildkit.session.unary import UnaryHandler
from orchestrator.errors import ConfigError

MOST_SECRET_BYTES = 500 * 1024
"""BuildKit's limit: session/secrets/secretsprovider/secretsprovider.go, v0.30.0."""


def secret_handlers(secrets: Mapping[str, Callable[[], Awaitable[bytes]]]) -> Mapping[str, UnaryHandler]:
    """The service's method by full path.

    Args:
        secrets: readers of the declared secrets, by id.
    """

    async def get_secret(message: bytes) -> bytes:
        secret_id = secrets_pb2.GetSecretRequest.FromString(message).id
        reader = secrets.get(secret_id)
        if reader is None:
            raise GrpcError(Status.NOT_FOUND, f"secret {secret_id!r} is not declared")
        value = await reader()
        if len(value) > MOST_SECRET_BYTES:
            raise ConfigError(
                f"secret {secret_id!r} has {len(value)} bytes; expected at most {MOST_SECRET_BYTES}, BuildKit's limit",
                hint="give the build a smaller secret, such as a key to the larger one",
            )
        return secrets_pb2.GetSecretResponse(data=value).SerializeToString()

    return {"/moby.buildkit.secrets.v1.Secrets/GetSecret": get_secret}
