"""What a session offers the daemon to read: directories of this machine, and files that exist in memory only."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from orchestrator.buildkit.session.tree import Entry


class Clock(Protocol):
    """Knows which modification times the daemon is told. For worker threads."""

    def time(self, path: str, entry: Entry) -> int:
        """Of a regular file, in nanoseconds since the epoch."""
        ...

    def read(self, path: str, status: os.stat_result) -> None:
        """A file was read, as far as it was, and is this now."""
        ...


class DirectorySource(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of this machine, which the daemon reads as the local source `name`."""

    name: str
    """`context`, `dockerfile`, or the name of a named context."""
    root: Path
    clock: Callable[[], Clock] | None = None
    """Asked once for each of the daemon's requests, in a worker thread; without it files have the times they have."""


class MemorySource(msgspec.Struct, frozen=True, kw_only=True):
    """Files that exist in memory only, such as a generated Dockerfile."""

    name: str
    files: Mapping[str, bytes]
    """Content by relative POSIX path."""


Source = DirectorySource | MemorySource
