"""Writing a document to where it was asked for: a file as one step, anything else as what it is.

A regular file is replaced, so that a reader sees the old document, or the whole new one. A symlink stays, and what it
leads to is replaced. A device, a FIFO or our own standard output is written into: replacing would destroy it.
"""

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from orchestrator import atomic, temporary
from orchestrator.errors import UsageError

_HINTS = {
    errno.ENXIO: "Start what reads it before, or name a file",
    errno.ENOSPC: "Make room there, or name a file elsewhere",
}
_HINT = "Name a file in an existing, writable directory"


def write(
    path: Path, data: bytes, *, what: str = "the result file", said_by: str = "--result-file, or $RESULT_FILE"
) -> None:
    """Write the whole document.

    Args:
        path: where.
        data: the document.
        what: what errors call it.
        said_by: the option that names another place.

    Raises:
        UsageError: it cannot be written there.
    """
    _check_name(path, said_by)
    try:
        found = _found(path)
        if found is not None and (handle := _opened(path, found)) is not None:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
        else:
            target = Path(os.path.realpath(path))
            temporary.sweep(target.parent)
            # A result is read by other users' steps, as any written file is.
            atomic.write(target, data, mode=0o644, durable=True)
    except OSError as error:
        raise _unwritten(path, error, what, said_by) from error


def check(path: Path, *, what: str = "the result file", said_by: str = "--result-file, or $RESULT_FILE") -> None:
    """Find out before there is a document whether it can be written: in what takes long, nobody wants to learn it last.

    Args:
        path: as for `write`, and the others.
        what: what errors call it.
        said_by: the option that names another place.

    Raises:
        UsageError: it cannot be written there.
    """
    _check_name(path, said_by)
    try:
        found = _found(path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if found is None or stat.S_ISREG(found.st_mode):
            tried = temporary.beside(Path(os.path.realpath(path)))
            os.close(temporary.create(tried))
            tried.unlink()
    except OSError as error:
        raise _unwritten(path, error, what, said_by) from error


def _check_name(path: Path, said_by: str) -> None:
    if str(path) == "-":
        raise UsageError(f"{said_by}: - is the name of no file here", hint="Name a file, or /dev/stdout.")


def _unwritten(path: Path, error: OSError, what: str, said_by: str) -> UsageError:
    # What open(2) says of a FIFO that nobody has open for reading.
    reason = "nothing reads it" if error.errno == errno.ENXIO else error.strerror
    hint = f"{_HINTS.get(error.errno or 0, _HINT)}: {said_by}."
    return UsageError(f"{path}: {what} cannot be written: {reason}", hint=hint)


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _opened(path: Path, found: os.stat_result) -> int | None:
    """A handle of what must not be replaced; None for a file that may be."""
    for stream in (sys.stdout, sys.stderr):
        # /dev/stdout, also where it leads to a file: that has a position, after what was printed.
        with suppress(OSError):
            handle = stream.fileno()
            if os.path.samestat(os.fstat(handle), found):
                stream.flush()
                return os.dup(handle)
    if stat.S_ISREG(found.st_mode):
        return None
    # Opening a FIFO would wait for its reader, which may never come; writing to it may wait.
    handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    os.set_blocking(handle, True)
    return handle
