"""gRPC on `h2`, client and server, over any anyio byte stream.

From the bytes up: `wire` (HTTP/2 without I/O), `link` (the tasks that move it), `call` (one RPC), `connection` and
`server` (the two roles), `tunnel` (a connection inside an RPC).
"""

from orchestrator.buildkit.grpc.call import Call
from orchestrator.buildkit.grpc.connection import Connection, open_client
from orchestrator.buildkit.grpc.metadata import Metadata
from orchestrator.buildkit.grpc.server import Handler, serve
from orchestrator.buildkit.grpc.status import ConnectionLostError, GrpcError, Status
from orchestrator.buildkit.grpc.tunnel import Tunnel

__all__ = [
    "Call",
    "Connection",
    "ConnectionLostError",
    "GrpcError",
    "Handler",
    "Metadata",
    "Status",
    "Tunnel",
    "open_client",
    "serve",
]
