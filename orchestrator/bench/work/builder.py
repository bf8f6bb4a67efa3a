"""What is needed of daemons: they are started and ended elsewhere, and come in as these."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from orchestrator.buildkit import SolveRequest, SolveResult
from orchestrator.buildkit.build import OnStatus
from orchestrator.buildkit.capabilities import Capabilities

Ready = Callable[[SolveRequest, str], Awaitable[SolveRequest]]
"""Adds to a solve what those need that stand on the base image."""


class PackageCache(msgspec.Struct, frozen=True, kw_only=True):
    """A cache mount that is carried between a daemon and a directory."""

    id: str
    name: str
    sharing: str
    image: str
    """What the step stands on that copies it."""


class Builder(Protocol):
    """A daemon that answers."""

    @property
    def can(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def version(self) -> str:
        """Its kind and its BuildKit's version, for people."""
        ...

    @property
    def pid(self) -> int:
        """The process whose descendants do its work."""
        ...

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        """Build; entries of `type=local` caches name directories."""
        ...

    async def keep(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        """Copy a package cache into a directory, as builds do with $BUILD_CACHE_DIR when they have ended."""
        ...

    async def fill(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        """Fill an empty package cache from such a directory, as builds do before they begin."""
        ...


class Daemons(Protocol):
    """Starts daemons of one kind."""

    def started(self, root: Path) -> AbstractAsyncContextManager[Builder]:
        """A daemon on a directory, which may be empty, for as long as the block lasts."""
        ...
