"""A directory whose files are announced with other times than they have."""

import io
import os
from collections.abc import Sequence

from orchestrator.buildkit.session.directory import DirectoryTree
from orchestrator.buildkit.session.sources import Clock
from orchestrator.buildkit.session.tree import MODE_TYPE, Entry, File


class RetimedTree:
    """Another tree, but for the times of regular files: no other entry's time makes the daemon ask for anything."""

    def __init__(self, tree: DirectoryTree, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock
        self._linked: dict[tuple[int, int], int] = {}

    def describe(self, path: str) -> str:
        """See `Tree`."""
        return self._tree.describe(path)

    def close(self) -> None:
        """See `Tree`."""
        self._tree.close()

    def children(self, path: str) -> Sequence[Entry]:
        """See `Tree`."""
        return [
            entry
            if entry.mode & MODE_TYPE
            else entry._replace(mtime=self._time(f"{path}/{entry.name}" if path else entry.name, entry))
            for entry in self._tree.children(path)
        ]

    def link(self, path: str) -> str | None:
        """See `Links`."""
        return self._tree.link(path)

    def names(self, path: str) -> Sequence[str]:
        """See `Links`."""
        return self._tree.names(path)

    def open(self, path: str, size: int) -> File:
        """See `Tree`."""
        file = self._tree.open(path, size)
        return _Watched(file, path, self._clock) if isinstance(file, io.FileIO) else file

    def _time(self, path: str, entry: Entry) -> int:
        time = self._clock.time(path, entry)
        # A file has one time, whatever its names.
        return time if entry.inode is None else self._linked.setdefault(entry.inode, time)


class _Watched:
    """An open file, of which the clock hears what it is when all of it was read."""

    def __init__(self, file: io.FileIO, path: str, clock: Clock) -> None:
        self._file = file
        self._path = path
        self._clock = clock

    def read(self, size: int, /) -> bytes | None:
        """See `File`."""
        return self._file.read(size)

    def close(self) -> None:
        """See `File`."""
        try:
            self._clock.read(self._path, os.fstat(self._file.fileno()))
        finally:
            self._file.close()
