"""BuildKit's own gRPC API over any anyio byte stream: no `docker`, `buildctl` or `buildx` program is needed.

`Client` is the way in. Importing this package imports h2, protobuf and cryptography: do it where a build begins.
"""

from orchestrator.buildkit.build import OnStatus
from orchestrator.buildkit.client import Client
from orchestrator.buildkit.model import (
    BuildWarning,
    DaemonInfo,
    Dial,
    Exporter,
    Log,
    SecretReader,
    SolveRequest,
    SolveResult,
    StatusUpdate,
    Vertex,
    VertexStatus,
    Worker,
)
from orchestrator.buildkit.session.auth import BasicCredential, Token, TokenProvider
from orchestrator.buildkit.session.destinations import DirectoryDestination, FileDestination, StreamDestination
from orchestrator.buildkit.session.sources import DirectorySource, MemorySource, Source

__all__ = [
    "BasicCredential",
    "BuildWarning",
    "Client",
    "DaemonInfo",
    "Dial",
    "DirectoryDestination",
    "DirectorySource",
    "Exporter",
    "FileDestination",
    "Log",
    "MemorySource",
    "OnStatus",
    "SecretReader",
    "SolveRequest",
    "SolveResult",
    "Source",
    "StatusUpdate",
    "StreamDestination",
    "Token",
    "TokenProvider",
    "Vertex",
    "VertexStatus",
    "Worker",
]
