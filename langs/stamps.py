"""Stamps of files and directories, each of which is another one when what is there is.

A directory gets another one whenever a name in it comes, goes or becomes something else, whatever becomes of the files.
"""

import os
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Final, TypeAlias

REST_NS: Final = 2_000_000_000
"""Longer than a tick of any file system's clock: FAT's is 2 s."""

Stamp: TypeAlias = tuple[int, int, int, int, int, int]
"""Device, inode, mode, size, modification and change time (both in nanoseconds)."""
NO_STAMP: Final[Stamp] = (0, 0, 0, 0, 0, 0)
"""Of nothing that there is."""
Look: TypeAlias = Callable[[str], Stamp | tuple[()] | None]
"""Gives the stamp of what is at a path; None where there is nothing, an empty one where that cannot be told."""


stamp: Final[Callable[[os.stat_result], Stamp]] = attrgetter(
    "st_dev", "st_ino", "st_mode", "st_size", "st_mtime_ns", "st_ctime_ns"
)
"""The stamp of what has a status."""


def is_at_rest(stamp: Stamp) -> bool:
    """Whether what had this stamp a moment ago has another one when it changes now."""
    return max(stamp[4:]) + REST_NS < time.time_ns()


def stamp_of(path: str) -> Stamp | tuple[()] | None:
    """The stamp of what is at `path`, through no link there; see `Look`."""
    try:
        return stamp(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return ()


class Stamps(dict[str, Stamp | tuple[()] | None]):
    """Those of one moment, each asked for once: `Stamps().__getitem__` is a `Look`."""

    def __missing__(self, path: str) -> Stamp | tuple[()] | None:
        """Look at what is at `path`."""
        found = self[path] = stamp_of(path)
        return found
