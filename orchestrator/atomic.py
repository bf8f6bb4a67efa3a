"""Writing a file as one step: a reader sees the old one, or the whole new one."""

import os
from contextlib import suppress
from pathlib import Path

from orchestrator import temporary


def write(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, and the directories above it where they are missing.

    What a killed process leaves of it goes with `temporary.sweep` of the directory.

    Raises:
        OSError: it cannot be written; nothing is left of it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same directory, because a rename is atomic only within one file system.
    grown = temporary.beside(path)
    try:
        with os.fdopen(temporary.create(grown), "wb") as file:
            file.write(data)
        grown.replace(path)
    except BaseException:
        with suppress(OSError):
            grown.unlink(missing_ok=True)
        raise
