"""Where an exporter's result goes on this side: a file, a directory, or whoever takes the bytes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

Consume = Callable[[AsyncIterator[bytes]], Awaitable[None]]
"""Takes a stream to its end, which is no proof that it is whole: the daemon's answer to the build is."""


class FileDestination(msgspec.Struct, frozen=True, kw_only=True):
    """One file, for the exporters `oci`, `docker` and `tar`. It appears, or replaces another, in the end."""

    path: Path


class DirectoryDestination(msgspec.Struct, frozen=True, kw_only=True):
    """A directory, for the exporter `local`. It appears when the build is done, or its files are put among its own."""

    path: Path
    base: Path | None = None
    """A directory in which nothing is ever changed: files of the same name, size, time and mode are links to its own,
    and are not sent."""
    limit: int | None = None
    """Bytes that its files may have; None: as many as there are."""


class StreamDestination(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who takes the bytes, for the exporters `oci`, `docker` and `tar`."""

    consume: Consume


Destination = FileDestination | DirectoryDestination | StreamDestination
