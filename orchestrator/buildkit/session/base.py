"""An earlier directory of which a received one takes what has not changed: links to its files, instead of their bytes.

What has the same path, size, time (ns) and mode is the same. fsutil asks no more of the files of a context, and here a
wrong guess is no wrong build: it is a cache that holds an older file, as if it had been written an hour before. No part
of a path may be a symlink: what is listed by a builder leads nowhere else.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender says of a file."""

    size: int
    mode: int
    """Permissions."""
    mtime: int
    """Nanoseconds since the epoch."""


class Base:
    """The earlier directory.

    Args:
        root: where it is; nothing in it is changed while this is in use, nor later.

    Raises:
        OSError: it is not there.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._parent: tuple[tuple[bytes, ...], int | None] = ((), None)

    def link(self, path: Sequence[bytes], said: Said, parent: int) -> bool:
        """Make a link to an unchanged file; False: there is none, and nothing was made.

        Args:
            path: its parts, from the root.
            said: what the sender says of it.
            parent: a descriptor of the directory that the link goes into, under the same name.
        """
        *directories, name = path
        try:
            directory = self._directory(tuple(directories))
            if directory is None:
                return False
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            found = Said(size=status.st_size, mode=stat.S_IMODE(status.st_mode), mtime=status.st_mtime_ns)
            if not stat.S_ISREG(status.st_mode) or found != said:
                return False
            os.link(name, name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            # Sent twice: whoever makes files says so.
            return False
        except OSError:
            # Not there, too many links, or a file system without any.
            return False
        return True

    def close(self) -> None:
        """Let go of all descriptors."""
        self._forget()
        os.close(self._root)

    def _directory(self, parts: tuple[bytes, ...]) -> int | None:
        """A directory's descriptor; None: it is not there. Files come sorted: the last one is kept open."""
        if not parts:
            return self._root
        if self._parent[0] != parts:
            self._forget()
            self._parent = (parts, self._walk(parts))
        return self._parent[1]

    def _walk(self, parts: tuple[bytes, ...]) -> int | None:
        current = self._root
        for part in parts:
            try:
                following = os.open(part, _STEP, dir_fd=current)
            except OSError:
                return None
            finally:
                if current != self._root:
                    os.close(current)
            current = following
        return current

    def _forget(self) -> None:
        if self._parent[1] is not None:
            os.close(self._parent[1])
        self._parent = ((), None)
