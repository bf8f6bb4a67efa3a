"""A file that is written whole or not at all."""

import os
from pathlib import Path

from orchestrator import temporary
from orchestrator.errors import UsageError


def write(file: Path, text: str, *, what: str, hint: str, mode: int = 0o600) -> None:
    """Replace a file by another one with this text.

    Args:
        file: the file, whose directory is made where there is none.
        text: its content.
        what: how an error calls it.
        hint: what to do when it cannot be written.
        mode: its permissions.

    Raises:
        UsageError: it cannot be written.
    """
    grown: Path | None = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # In the same directory, because a rename is atomic only within one file system.
        temporary.sweep(file.parent)
        grown = temporary.beside(file)
        with os.fdopen(temporary.create(grown), "w", encoding="utf-8") as opened:
            opened.write(text)
        grown.chmod(mode)
        grown.replace(file)
        grown = None
    except OSError as error:
        raise UsageError(f"{file}: {what} cannot be written: {error.strerror}", hint=hint) from error
    finally:
        if grown is not None:
            grown.unlink(missing_ok=True)
