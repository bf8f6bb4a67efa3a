"""What is made beside its place and renamed in the end: names that tell whose they are, so that a killed run's can go.

Whatever grows under another name is called `.fleetpacks-<owner>`. One rule says what is left over: its maker has ended;
or, where nobody here can tell that, it is a day old. What a living process of this machine makes is never touched.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from orchestrator import owner

_PREFIX = ".fleetpacks-"
_ABANDONED = 24 * 3600.0
"""Seconds after which what somebody elsewhere made is taken for left over: no build takes as long."""


def beside(place: Path) -> Path:
    """A new name in the directory of a place."""
    return inside(place.parent)


def inside(directory: Path) -> Path:
    """A new name in a directory."""
    return directory / f"{_PREFIX}{owner.name()}"


def create(path: Path, mode: int = 0o600) -> int:
    """Make a file that is not there; returns a descriptor to write it.

    Raises:
        OSError: it cannot be made.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def sweep(directory: Path) -> None:
    """Delete what killed processes left in a directory, as far as it can be: what is below its directories stays."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):
                    _sweep(entry)


def is_left(path: Path) -> bool:
    """Whether something has such a name, and nobody is at work on it any more, as far as that can be told.

    Raises:
        OSError: it cannot be looked at.
    """
    name = path.name.removeprefix(_PREFIX)
    return name != path.name and owner.is_name(name) and _is_over(name, path.lstat().st_mtime)


def renew(path: Path) -> None:
    """Say that somebody is still at work on something with such a name: elsewhere, its time alone tells."""
    with suppress(OSError):
        os.utime(path, follow_symlinks=False)


def forget(directory: Path, seconds: float) -> None:
    """Delete the files of a directory that nobody has touched for so long, as far as it can be."""
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < time.time() - seconds:
                    os.unlink(entry.path)  # noqa: PTH108 -- as it comes from scandir


def _sweep(entry: os.DirEntry[str]) -> None:
    if not is_left(Path(entry.path)):
        return
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        Path(entry.path).unlink()


def _is_over(name: str, changed: float) -> bool:
    return owner.is_gone(name) if owner.is_here(name) else time.time() - changed > _ABANDONED
