"""Whose storage it was: errors of a measurement say to which target they belong, and that it has become full.

The system names a file, which may lie below a mount of ours, and a daemon says that its disk is full: neither tells an
operator which of the storages that are compared is meant. What has failed may have been deleted by the time that this
looks, so that both count: what the error says, and that there is no room now.
"""

import errno
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.bench.model import Ground
from orchestrator.errors import DiskFullError, FleetpacksError, StorageError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_LEAST = 1 << 20
"""Bytes: a storage with less than that free is full."""
_MAKE_ROOM = "Make room there, name another directory, or measure with less: --quick."
_LOOK = "See whether it is there (ls) and writable (mount)."


@contextmanager
def blaming(*grounds: Ground) -> Generator[None]:
    """Have errors of what is done on storages name the one that they are of.

    Args:
        grounds: all that are used, the daemon's first.

    Raises:
        StorageError: one of them is full, or the system refuses something there.
        FleetpacksError: any other, as it was.
    """
    try:
        yield
    except BrokenPipeError:
        # Whoever read what we print has left.
        raise
    except OSError as error:
        ground = _full(grounds, error.filename) or _holding(grounds, error.filename)
        where = f"{error.filename}: " if error.filename else ""
        raise StorageError(
            f"{ground.target.name}: {where}{error.strerror or error}",
            hint=_MAKE_ROOM if error.errno in _NO_ROOM else _LOOK,
        ) from error
    except StorageError as error:
        names = " and ".join(ground.target.name for ground in grounds)
        raise StorageError(f"{names}: {error.message}", hint=error.hint, at=error.at) from error
    except FleetpacksError as error:
        full = _full(grounds) or (grounds[0] if isinstance(error, DiskFullError) else None)
        if full is None:
            raise
        name, path = full.target.name, full.target.path
        raise StorageError(f"{name}: {path} is full: {error.message}", hint=_MAKE_ROOM, at=error.at) from error


def _holding(grounds: Sequence[Ground], file: object) -> Ground:
    """The storage on which a file lies, as far as that shows."""
    path = Path(os.fsdecode(file)) if isinstance(file, str | bytes) else None
    beneath = (each for each in grounds if path and any(path.is_relative_to(of) for of in (each.path, each.files)))
    return next(beneath, grounds[0])


def _full(grounds: Sequence[Ground], file: object = None) -> Ground | None:
    """The storage that has no room; of several the one on which a file lies."""
    found = [each for each in grounds if any(map(_has_no_room, (each.path, each.files, each.target.path)))]
    return _holding(found, file) if found else None


def _has_no_room(directory: Path) -> bool:
    try:
        told = os.statvfs(directory)
    except OSError:
        return False
    # Where files are not counted, there are none in all.
    return told.f_bavail * told.f_frsize < _LEAST or bool(told.f_files and not told.f_favail)
