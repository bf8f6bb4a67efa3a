"""A directory whose files are announced with other times than they have."""

from collections.abc import Sequence

from orchestrator.buildkit.session.directory import DirectoryTree
from orchestrator.buildkit.session.sources import Clock
from orchestrator.buildkit.session.tree import MODE_TYPE, Entry, File


class RetimedTree:
    """Another tree, but for the times of regular files: no other entry's time makes the daemon ask for anything."""

    def __init__(self, tree: DirectoryTree, clock: Clock) -> None:
        self._tree = tree
        self._clock = clock

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
            else entry._replace(mtime=self._clock(f"{path}/{entry.name}" if path else entry.name, entry))
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
        return self._tree.open(path, size)
