"""Docker Engine's own API, through aiodocker, on asyncio and on trio.

Images and disk only: what is built, is built by the BuildKit inside the engine, through `orchestrator.buildkit`.
Importing this package imports aiohttp: do it where an engine is used.
"""

from orchestrator.docker.container import Container, started
from orchestrator.docker.engine import Engine
from orchestrator.docker.model import (
    CacheRecord,
    Credential,
    DiskUsage,
    EngineInfo,
    Logins,
    Network,
    OnProgress,
    Patience,
    Progress,
    Pruned,
)
from orchestrator.docker.pulls import pull_all

__all__ = [
    "CacheRecord",
    "Container",
    "Credential",
    "DiskUsage",
    "Engine",
    "EngineInfo",
    "Logins",
    "Network",
    "OnProgress",
    "Patience",
    "Progress",
    "Pruned",
    "pull_all",
    "started",
]
