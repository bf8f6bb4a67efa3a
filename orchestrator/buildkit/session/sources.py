"""What a session offers the daemon to read: directories of this machine, and files that exist in memory only."""

from collections.abc import Mapping
from pathlib import Path

import msgspec


class DirectorySource(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of this machine, which the daemon reads as the local source `name`."""

    name: str
    """`context`, `dockerfile`, or the name of a named context."""
    root: Path


class MemorySource(msgspec.Struct, frozen=True, kw_only=True):
    """Files that exist in memory only, such as a generated Dockerfile."""

    name: str
    files: Mapping[str, bytes]
    """Content by relative POSIX path."""


Source = DirectorySource | MemorySource
