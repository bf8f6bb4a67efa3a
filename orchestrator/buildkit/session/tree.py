"""A file tree as fsutil sees it: what an entry is, what a source of entries can do, and the order of a walk.

Everything here is synchronous and belongs into worker threads. A directory is listed as a whole and forgotten entry by
entry, and no descriptor stays open between two steps of a walk: a hundred builds may be walking at once.
Facts: tonistiigi/fsutil stat.go, stat_unix.go, validator.go, v0.0.0-20251211185533; mode bits are Go's io/fs.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from langs.stamps import NO_STAMP, Stamp
from orchestrator.buildkit.session.followpaths import Links
from orchestrator.buildkit.session.patterns import TOP, Filter
from orchestrator.errors import ContextError

MODE_DIR = 1 << 31
MODE_SYMLINK = 1 << 27
_MODE_DEVICE = 1 << 26
MODE_NAMED_PIPE = 1 << 25
_MODE_SETUID = 1 << 23
_MODE_SETGID = 1 << 22
_MODE_CHAR_DEVICE = 1 << 21
MODE_STICKY = 1 << 20
MODE_TYPE = MODE_DIR | MODE_SYMLINK | _MODE_DEVICE | MODE_NAMED_PIPE | _MODE_CHAR_DEVICE

_TYPES = {
    stat.S_IFDIR: MODE_DIR,
    stat.S_IFLNK: MODE_SYMLINK,
    stat.S_IFBLK: _MODE_DEVICE,
    stat.S_IFCHR: _MODE_DEVICE | _MODE_CHAR_DEVICE,
    stat.S_IFIFO: MODE_NAMED_PIPE,
}
_BITS = {stat.S_ISUID: _MODE_SETUID, stat.S_ISGID: _MODE_SETGID, stat.S_ISVTX: MODE_STICKY}


def go_mode(mode: int) -> int:
    """A POSIX `st_mode` as Go's FileMode."""
    out = mode & 0o777 | _TYPES.get(stat.S_IFMT(mode), 0)
    for bit, go_bit in _BITS.items():
        if mode & bit:
            out |= go_bit
    return out


NO_XATTRS: Mapping[str, bytes] = MappingProxyType({})


class Entry(NamedTuple):
    """What is said about a file, a directory, a symlink or a device."""

    name: str
    mode: int
    """Go's FileMode."""
    size: int
    """Bytes; of a symlink the length of its target, of a directory 0."""
    mtime: int
    """Nanoseconds since the epoch."""
    link: str = ""
    """A symlink's target, as it is."""
    device: tuple[int, int] = (0, 0)
    inode: tuple[int, int] | None = None
    """Device and inode number of a file that has more names than this one."""
    xattrs: Mapping[str, bytes] = NO_XATTRS
    stamp: Stamp = NO_STAMP
    """Of a file of this machine, for whoever keeps what he has read. Nobody is sent it."""


class File(Protocol):
    """An open file."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes, nothing at the end."""
        ...

    def close(self) -> None:
        """Lets go of it."""
        ...


class Tree(Links, Protocol):
    """A source of entries. Paths are relative, `/` between their parts; no symlink on the way is ever followed."""

    def describe(self, path: str) -> str:
        """The path as a user knows it, safe to be printed."""
        ...

    def children(self, path: str) -> Sequence[Entry]:
        """The entries of a directory (empty path: the root), sorted by their names' bytes. A socket is an empty file.

        Raises:
            OSError: the directory cannot be read.
        """
        ...

    def open(self, path: str, size: int) -> File:
        """Opens a regular file.

        Raises:
            ContextError: it is not there, not readable, not a regular file or not of this size (bytes) any more.
        """
        ...

    def close(self) -> None:
        """Lets go of the tree."""
        ...


def shown(path: str | os.PathLike[str]) -> str:
    """A path for an error message: file names may hold line breaks, terminal escapes or bytes that are no text."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)


def changed(name: str, what: str) -> ContextError:
    """The error for a file that is not what it was when the daemon was told of it."""
    return ContextError(
        f"{name} {what} while it was being sent to the builder",
        hint="Build when nothing writes there, or list the file in .dockerignore.",
    )


def unreadable(name: str, error: OSError) -> ContextError:
    """The error for a file or directory that the operating system refuses."""
    match error.errno:
        case errno.ENOENT:
            return changed(name, "vanished")
        case errno.ENOTDIR | errno.ELOOP:
            return changed(name, "became something else")
        case _:
            return ContextError(
                f"{name} cannot be read: {error.strerror or error}",
                hint="Make it readable for the user who runs fleetpacks, or list it in .dockerignore.",
            )


class _Level:
    __slots__ = ("inherited", "path", "unsent", "waiting")

    def __init__(self, path: str, children: Sequence[Entry], inherited: tuple[int, int], unsent: Entry | None) -> None:
        self.path = path
        self.waiting = list(reversed(children))
        self.inherited = inherited
        self.unsent = unsent


def walk(tree: Tree, chosen: Filter) -> Iterator[tuple[str, Entry]]:
    """The chosen entries with their paths, a directory before its children, names in the order of their bytes.

    Raises:
        ContextError: a directory that is sent cannot be listed.
    """
    levels = [_Level("", _children(tree, "", needed=True), TOP, None)]
    while levels:
        level = levels[-1]
        if not level.waiting:
            levels.pop()
            continue
        entry = level.waiting.pop()
        path = f"{level.path}/{entry.name}" if level.path else entry.name
        verdict = chosen.decide(path, level.inherited)
        if verdict.send:
            for parent in levels:
                if parent.unsent:
                    yield parent.path, parent.unsent
                    parent.unsent = None
            yield path, entry
        if verdict.descend and entry.mode & MODE_DIR:
            children = _children(tree, path, needed=verdict.send)
            levels.append(_Level(path, children, verdict.inherited, None if verdict.send else entry))


def _children(tree: Tree, path: str, *, needed: bool) -> Sequence[Entry]:
    try:
        return tree.children(path)
    except (PermissionError, FileNotFoundError, NotADirectoryError) as error:
        # What is left out by the patterns may well be unreadable; it is only searched for exceptions.
        if needed:
            raise unreadable(tree.describe(path), error) from error
        return ()
    except OSError as error:
        raise unreadable(tree.describe(path), error) from error
