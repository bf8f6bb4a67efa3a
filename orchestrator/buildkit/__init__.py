"""BuildKit's own gRPC API over any anyio byte stream: no `docker`, `buildctl` or `buildx` program is needed.

`Client` is the way in. Importing this package imports h2, protobuf and cryptography: do it where a build begins.
"""

from orchestrator.buildkit.build import OnStatus
from orchestrator.buildkit.client import Client
from orchestrator.buildkit.history import BuildRecord, Descriptor, HistoryEvent, RecordedError
from orchestrator.buildkit.model import (
    BuildWarning,
    CacheEntry,
    DaemonInfo,
    Dial,
    Exporter,
    Log,
    SecretReader,
    SolveRequest,
    SolveResult,
    SourceRule,
    StatusUpdate,
    Vertex,
    VertexStatus,
    Worker,
)
from orchestrator.buildkit.resources import MemoryUse
from orchestrator.buildkit.session.auth import BasicCredential, Token, TokenProvider
from orchestrator.buildkit.session.destinations import DirectoryDestination, FileDestination, StreamDestination
from orchestrator.buildkit.session.layout import Layout
from orchestrator.buildkit.session.sources import DirectorySource, MemorySource, Source
from orchestrator.buildkit.subrequests import Lint, LintWarning, Outline, Subrequest, Target, Targets
from orchestrator.buildkit.usage import Keep, UsageRecord

__all__ = [
    "BasicCredential",
    "BuildRecord",
    "BuildWarning",
    "CacheEntry",
    "Client",
    "DaemonInfo",
    "Descriptor",
    "Dial",
    "DirectoryDestination",
    "DirectorySource",
    "Exporter",
    "FileDestination",
    "HistoryEvent",
    "Keep",
    "Layout",
    "Lint",
    "LintWarning",
    "Log",
    "MemorySource",
    "MemoryUse",
    "OnStatus",
    "Outline",
    "RecordedError",
    "SecretReader",
    "SolveRequest",
    "SolveResult",
    "Source",
    "SourceRule",
    "StatusUpdate",
    "StreamDestination",
    "Subrequest",
    "Target",
    "Targets",
    "Token",
    "TokenProvider",
    "UsageRecord",
    "Vertex",
    "VertexStatus",
    "Worker",
]
