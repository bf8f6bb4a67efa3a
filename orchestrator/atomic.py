"""Writing a file as one step: a reader sees the old one, or the whole new one."""

import os
from contextlib import suppress
from pathlib import Path

from orchestrator import temporary


def write(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Write a file into a directory that is there.

    What a killed process leaves of it goes with `temporary.sweep` of the directory.

    Args:
        path: the file.
        data: its content.
        mode: its permissions, whatever the umask.
        durable: whether it outlives a machine that stops the moment after.

    Raises:
        OSError: it cannot be written; nothing is left of it then.
    """
    # In the same directory, because a rename is atomic only within one file system.
    grown = temporary.beside(path)
    try:
        with os.fdopen(temporary.create(grown), "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        grown.replace(path)
    except BaseException:
        with suppress(OSError):
            grown.unlink(missing_ok=True)
        raise
    if durable:
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
