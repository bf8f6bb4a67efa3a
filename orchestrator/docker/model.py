"""The values that pass between an engine and its caller. All frozen; sizes are in bytes, times in seconds."""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which engine answers, and how it keeps images."""

    version: str
    """Of the engine: `20.10.24`."""
    api: str
    """The version of its API that is spoken with it: `1.41`."""
    storage: str
    """Where layers lie: the graph driver (`overlay2`), or the snapshotter (`overlayfs`)."""
    containerd: bool
    """Whether images are kept by containerd, as manifests, and not by a graph driver, as unpacked layers."""
    root: str
    """The engine's directory, on its own machine."""
    rootless: bool
    architecture: str
    """As the kernel says it: `x86_64`."""
    cpus: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a layer of a pull or push is."""

    reference: str
    layer: str
    """The beginning of its digest."""
    status: str
    """`Downloading`, `Pushing`, `Layer already exists`: the engine's word."""
    current: int | None = None
    total: int | None = None


OnProgress = Callable[[Progress], Awaitable[None]]
"""Hears of progress in order, one at a time. The engine waits for it; an error it raises ends the operation."""


class CacheRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the engine's build cache."""

    id: str
    type: str
    """`regular`, `source.local`, `exec.cachemount`, `frontend`, `internal`."""
    description: str
    size: int
    in_use: bool
    shared: bool
    """Also part of something that pruning leaves alone, such as an image."""
    created: float
    """Seconds since the epoch."""
    last_used: float | None


class DiskUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What lies on the engine's disk."""

    images: int
    """How many."""
    layers: int
    """Bytes of all layers of all images; a layer that several images share counts once."""
    containers: int
    """Bytes that containers have written."""
    volumes: int
    cache: tuple[CacheRecord, ...]
    """The oldest first."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    images: tuple[str, ...]
    """Tags and digests."""
    cache: tuple[str, ...]
    """Ids of `CacheRecord`s."""
    reclaimed: int


class Credential(Protocol):
    """Who we are for one registry."""

    @property
    def username(self) -> str:
        """Empty when there is an identity token."""
        ...

    @property
    def password(self) -> str:
        """Goes with the user's name."""
        ...

    @property
    def identity_token(self) -> str:
        """An OAuth2 refresh token; when there is one, it is used instead of the password."""
        ...


class Logins(Protocol):
    """Where credentials are looked up, when they are needed."""

    async def lookup(self, host: str) -> Credential | None:
        """The credential for a registry host (`docker.io`, `registry.example:5000`), or None."""
        ...


Network = Literal["host", "published"]
"""How a container is reached: it shares the machine's network, or one of its ports is published on loopback."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often a push or pull is worth trying, when a registry or the network fails."""

    attempts: int = 3
    first: float = 1.0
    """The pause before the second attempt; each later one is twice as long."""
    total: float = 120.0
    """No attempt is started later than this after the first one. The engine itself tries for up to 50 seconds."""

    def pause(self, *, attempts: int, elapsed: float) -> float | None:
        """Seconds to wait before the next attempt, or None when it is time to give up.

        Args:
            attempts: how many were made, at least 1.
            elapsed: seconds since the first one began.
        """
        wait = self.first * 2 ** (attempts - 1)
        return wait if attempts < self.attempts and elapsed + wait <= self.total else None
