"""What a build made, on its way to its place: half of it is never seen under the name that was asked for.

A file grows under another name beside its place and is renamed when the build is done: not earlier, since a daemon
whose export breaks off ends the stream in good order. A directory grows beside its place too and becomes it by one
rename. Where a directory is there already (and may be a mount point) it grows inside, hidden; in the end its entries
are renamed into their places one by one: files with the same names are replaced, others stay, no symlink there is
followed, and a directory is never replaced by a file. That last pass is short but no single step.

Nothing but missing directories is made before the daemon sends something: the place may lie in a context that is sent.

A place that is not a regular file (`/dev/null`, a pipe) is refused: it would be replaced.
Everything is synchronous and belongs into a worker thread.
"""

import errno
import os
import shutil
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from orchestrator import temporary
from orchestrator.buildkit.session.base import Base
from orchestrator.buildkit.session.tree import shown
from orchestrator.buildkit.session.treewriter import Directory, TreeWriter, finish_directory
from orchestrator.errors import OutputError

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FileOutput:
    """A file that grows beside its place.

    Args:
        place: where it goes; missing directories are made. A symlink there is followed.

    Raises:
        OutputError: it cannot be written there.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        with _told(place):
            self._target = Path(os.path.realpath(place))
            if self._target.exists() and not self._target.is_file():
                raise OutputError(
                    f"{shown(place)} is there, and is no regular file",
                    hint="Name a file that may be replaced, or one that does not exist.",
                )
            self._target.parent.mkdir(parents=True, exist_ok=True)
            _check_writable(self._target.parent)
            temporary.sweep(self._target.parent)
        self._grown = temporary.beside(self._target)
        self._file: BinaryIO | None = None

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append.

        Raises:
            OutputError: it cannot be written.
        """
        with _told(self._place):
            self._opened().writelines(pieces)

    def commit(self) -> None:
        """Put it in its place.

        Raises:
            OutputError: it cannot be written.
        """
        with _told(self._place):
            with self._opened() as file:
                file.flush()
                # A full disk may be told of as late as here.
                os.fsync(file.fileno())
            self._grown.replace(self._target)

    def discard(self) -> None:
        """Leave nothing behind; nothing at all after `commit`."""
        if self._file is None:
            return
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._grown.unlink()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = os.fdopen(temporary.create(self._grown, 0o666), "wb")
        return self._file


class DirectoryOutput:
    """A directory that grows beside its place, or inside of it.

    Args:
        place: where it goes; missing directories above it are made. A symlink there is followed.
        base: a directory of which unchanged files are taken, where it is there.
        limit: bytes that its files may have.

    Raises:
        OutputError: it cannot be written there.
    """

    def __init__(self, place: Path, *, base: Path | None = None, limit: int | None = None) -> None:
        self._place = place
        self._from = base
        self._base: Base | None = None
        self._limit = limit
        self._directories: list[Directory] = []
        with _told(place):
            self._target = Path(os.path.realpath(place))
            self._merges = self._target.is_dir()
            if self._target.exists() and not self._merges:
                raise OutputError(
                    f"{shown(place)} is there, and is no directory",
                    hint="Name a directory, or a place where there is nothing.",
                )
            self._target.parent.mkdir(parents=True, exist_ok=True)
            _check_writable(self._target if self._merges else self._target.parent)
        # Where it grew before it was killed depends on what was there then.
        temporary.sweep(self._target)
        temporary.sweep(self._target.parent)
        self._grown = temporary.inside(self._target) if self._merges else temporary.beside(self._target)
        self._root = -1

    def writer(self) -> TreeWriter:
        """Receives one transfer. Several platforms come in several.

        Raises:
            OutputError: it cannot be written.
        """
        with _told(self._place):
            if self._root < 0:
                self._grown.mkdir()
                self._root = os.open(self._grown, _OPEN)
                if self._from is not None:
                    with suppress(OSError):
                        self._base = Base(self._from)
        return TreeWriter(self._root, self._directories, base=self._base, limit=self._limit)

    def commit(self) -> None:
        """Put everything in its place.

        Raises:
            OutputError: it cannot be written.
        """
        with _told(self._place):
            if self._merges:
                place = os.open(self._target, _OPEN)
                try:
                    _merge(self._root, place, self._place)
                    self._settle(place)
                finally:
                    os.close(place)
                self._grown.rmdir()
            else:
                self._settle(self._root)
                self._grown.rename(self._target)

    def discard(self) -> None:
        """Leave nothing behind; nothing at all after `commit`."""
        if self._root < 0:
            return
        if self._base is not None:
            self._base.close()
        os.close(self._root)
        shutil.rmtree(self._grown, ignore_errors=True)

    def _settle(self, root: int) -> None:
        # Children first: a directory that may not be written into keeps nobody from what is below it.
        for directory in reversed(self._directories):
            finish_directory(root, directory)


Output = FileOutput | DirectoryOutput


def _merge(source: int, place: int, shown_place: Path) -> None:
    """Move the entries of one open directory into another one."""
    with os.scandir(source) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        try:
            mode = os.stat(name, dir_fd=place, follow_symlinks=False).st_mode
        except FileNotFoundError:
            mode = 0
        if is_directory and stat.S_ISDIR(mode):
            below = os.open(name, _OPEN, dir_fd=source)
            try:
                there = os.open(name, _OPEN, dir_fd=place)
                try:
                    _merge(below, there, shown_place / name)
                finally:
                    os.close(there)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=source)
            continue
        if stat.S_ISDIR(mode):
            raise OutputError(
                f"{shown(shown_place / name)} is a directory there, and none in what was built",
                hint="Remove it, or name a directory that does not exist.",
            )
        if is_directory and mode:
            os.unlink(name, dir_fd=place)
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=place)


def _check_writable(directory: Path) -> None:
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


@contextmanager
def _told(place: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{shown(place)} cannot be written: {error.strerror or error}",
            hint="Is there room, and may the user who runs fleetpacks write there?",
        ) from error
