"""What a session offers the daemon to read: directories of this machine, and files that exist in memory only."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from orchestrator.buildkit.session.tree import Entry

Clock: TypeAlias = Callable[[str, Entry], int]
"""Says which modification time the daemon is told of a regular file, in nanoseconds since the epoch."""


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
