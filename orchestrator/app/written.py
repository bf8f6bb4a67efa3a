"""A file that is written whole or not at all."""

from pathlib import Path

from orchestrator import atomic, temporary
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
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.sweep(file.parent)
        atomic.write(file, text.encode(), mode=mode)
    except OSError as error:
        raise UsageError(f"{file}: {what} cannot be written: {error.strerror}", hint=hint) from error
