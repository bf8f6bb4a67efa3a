"""Directories for sockets of `ssh`, which have to have names: nobody else may enter them, and none stays.

Who makes one holds a lock on it, which the kernel takes back when he ends, however he does. So whatever of an earlier
process lies there can be told from what another one uses, also where neither sees the other's processes.
"""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from remote.ssh.settings import takes

_PREFIX = "fleetpacks-ssh-"
_LONGEST_NAME = 40
"""Bytes that `ssh` adds to a directory's path at most: a name, and what it appends while it makes a socket."""
_YOUNG = 60.0
"""Seconds within which one is left alone: its maker may not have locked it yet."""


class Folder:
    """A new directory; what killed processes have left of such ones is deleted before.

    Raises:
        OSError: none can be made.
    """

    def __init__(self) -> None:
        usual = Path(tempfile.gettempdir())
        base = usual if takes(f"{usual}/{_PREFIX}{'x' * _LONGEST_NAME}") else Path("/tmp")  # noqa: S108 -- mkdtemp's own
        _sweep(base)
        self._path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self._lock = _locked(self._path)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)


def _sweep(base: Path) -> None:
    with suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):
                    _sweep_one(entry)


def _sweep_one(entry: os.DirEntry[str]) -> None:
    status = entry.stat(follow_symlinks=False)
    if status.st_uid != os.getuid() or time.time() - status.st_mtime < _YOUNG:
        return
    if (lock := _locked(Path(entry.path))) is not None:
        shutil.rmtree(entry.path, ignore_errors=True)
        os.close(lock)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock; None: somebody else holds it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
