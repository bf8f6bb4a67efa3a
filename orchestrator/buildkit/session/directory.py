"""A directory of this machine as a tree, safe against whoever changes it meanwhile.

The repository is not trusted: a directory that is swapped for a symlink between two looks must not make us send a file
from elsewhere. So every path is walked part by part from one descriptor of the root, no part may be a symlink, and a
file is judged by its open descriptor. Opening does not block on a FIFO that took a file's place.
"""

import errno
import io
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from langs.stamps import stamp
from orchestrator.buildkit.session.tree import MODE_SYMLINK, NO_XATTRS, Entry, File, changed, go_mode, shown, unreadable

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class DirectoryTree:
    """A directory; may itself be reached through symlinks.

    Raises:
        ContextError: it is missing, not a directory, or must not be entered.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            self._descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(shown(root), error) from error

    def describe(self, path: str) -> str:
        """See `Tree`."""
        return shown(self._root / path)

    def close(self) -> None:
        """See `Tree`."""
        os.close(self._descriptor)

    def children(self, path: str) -> Sequence[Entry]:
        """See `Tree`."""
        directory = self._open(path or ".", _LIST)
        prefix = f"{self._root}/{path}"
        try:
            with os.scandir(directory) as found:
                entries = [_entry(item, directory, prefix) for item in found]
        finally:
            os.close(directory)
        # What the daemon checks. It is the order of the names as strings, too, while they are UTF-8.
        return sorted((entry for entry in entries if entry), key=lambda entry: os.fsencode(entry.name))

    def link(self, path: str) -> str | None:
        """See `Links`."""
        parent, _, name = path.rpartition("/")
        try:
            directory = self._open(parent or ".", _STEP)
            try:
                return os.readlink(name, dir_fd=directory)
            finally:
                os.close(directory)
        except OSError as error:
            if error.errno in _ABSENT or error.errno == errno.EINVAL:
                return None
            raise unreadable(self.describe(path), error) from error

    def names(self, path: str) -> Sequence[str]:
        """See `Links`."""
        try:
            directory = self._open(path, _LIST)
            try:
                with os.scandir(directory) as found:
                    return sorted(item.name for item in found)
            finally:
                os.close(directory)
        except OSError as error:
            if error.errno in _ABSENT:
                return ()
            raise unreadable(self.describe(path), error) from error

    def open(self, path: str, size: int) -> File:
        """See `Tree`."""
        try:
            descriptor = self._open(path, _READ)
        except OSError as error:
            # A socket cannot be opened, and was announced as an empty file, unless it took a file's place.
            if error.errno == errno.ENXIO:
                if not size:
                    return io.BytesIO()
                raise changed(self.describe(path), "became something else") from error
            raise unreadable(self.describe(path), error) from error
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size == size:
            return os.fdopen(descriptor, "rb", buffering=0)
        os.close(descriptor)
        kind = "changed its size" if stat.S_ISREG(status.st_mode) else "became something else"
        raise changed(self.describe(path), kind)

    def _open(self, path: str, flags: int) -> int:
        *directories, last = path.split("/")
        current = self._descriptor
        try:
            for part in directories:
                following = os.open(part, _STEP, dir_fd=current)
                if current != self._descriptor:
                    os.close(current)
                current = following
            return os.open(last, flags, dir_fd=current)
        finally:
            if current != self._descriptor:
                os.close(current)


def _entry(item: os.DirEntry[str], directory: int, prefix: str) -> Entry | None:
    """None for what is gone since the directory was listed: it was never announced."""
    try:
        status = item.stat(follow_symlinks=False)
        mode = go_mode(status.st_mode)
        link = os.readlink(item.name, dir_fd=directory) if mode & MODE_SYMLINK else ""
    except FileNotFoundError:
        return None
    device = (0, 0)
    if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
        device = (os.major(status.st_rdev), os.minor(status.st_rdev))
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    several = status.st_nlink > 1 and stat.S_ISREG(status.st_mode)
    inode = (status.st_dev, status.st_ino) if several else None
    return Entry(
        item.name,
        mode,
        size,
        status.st_mtime_ns,
        link,
        device,
        inode,
        _xattrs(item.name, directory, prefix),
        stamp(status),
    )


def _xattrs(name: str, directory: int, prefix: str) -> Mapping[str, bytes]:
    """All extended attributes that may be read, as fsutil sends them (stat_unix.go)."""
    try:
        # Half as dear as the way through /proc, and right but for a directory that is swapped just now: then it is the
        # second look that counts.
        if not os.listxattr(f"{prefix}/{name}", follow_symlinks=False):
            return NO_XATTRS
    except OSError:
        return NO_XATTRS
    path = f"/proc/self/fd/{directory}/{name}"
    found: dict[str, bytes] = {}
    with suppress(OSError):
        for key in os.listxattr(path, follow_symlinks=False):
            with suppress(OSError):
                found[key] = os.getxattr(path, key, follow_symlinks=False)
    return found
