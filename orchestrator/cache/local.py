"""An app's layer cache in a directory, which any number of processes and machines read and replace at any time.

    <root>/<key>/current                 names the current generation, replaced by a rename
    <root>/<key>/generations/<name>/     one complete cache in OCI's layout: `index.json`, `blobs/sha256/`
    <root>/<key>/readers/<name>/         what one reader holds: hard links to the blobs of a generation

A reader does not mark the generation that it reads, for whoever sweeps might have looked a moment before, and a lock
is not to be trusted on a volume of several machines. It makes links of its own: once they are there, nobody takes the
content away, and as long as one is missing, nothing was promised. If the generation goes meanwhile it tries the next.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from orchestrator import owner
from orchestrator.cache import blobs
from orchestrator.cache.blobs import DamagedError, Descriptor
from orchestrator.cache.sweep import Found, Used, pruned, swept

_T = TypeVar("_T")
_DONE = "done"
"""The file that marks a generation which became the current one."""
_TRIES = 8
"""How often a reader looks for the current generation while writers replace it."""


class LostError(Exception):
    """A cache is there, and could not be had."""


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """The current generation."""

    generation: str
    root: Descriptor
    """Its manifest."""
    size: int
    """Bytes of all its blobs."""


class _Named(msgspec.Struct, frozen=True):
    digest: str


class _Index(msgspec.Struct, frozen=True):
    manifests: tuple[_Named, ...]


class Pin:
    """A generation that a reader holds: its blobs stay until `release`, whatever becomes of the cache.

    Args:
        path: the reader's own directory.
        current: what it holds.
    """

    def __init__(self, path: Path, current: Current) -> None:
        self._path = path
        self._intact: set[str] = set()
        self.root = current.root
        self.generation = current.generation
        self.damaged: list[str] = []
        """Blobs that were asked for and are not what they should be."""

    def size(self, digest: str) -> int | None:
        """The bytes of a blob; None: it is not here."""
        name = blobs.file_name(digest)
        if name is None:
            return None
        try:
            return (self._path / name).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, digest: str) -> BinaryIO | None:
        """A blob to read, looked through before it is first read; None: it is not here, or not what it should be."""
        name = blobs.file_name(digest)
        if name is None or digest in self.damaged:
            return None
        path = self._path / name
        try:
            if name not in self._intact:
                if not blobs.is_intact(path, name):
                    self.damaged.append(digest)
                    return None
                self._intact.add(name)
            return path.open("rb")
        except FileNotFoundError:
            return None

    def release(self) -> None:
        """Hold it no more."""
        shutil.rmtree(self._path, ignore_errors=True)


class Store:
    """One app's cache.

    Args:
        root: the directory of all caches.
        key: the app's; a file's name.
    """

    def __init__(self, root: Path, key: str) -> None:
        self.path = root / key
        self.generations = self.path / "generations"
        self._readers = self.path / "readers"
        self._pointer = self.path / "current"

    def current(self) -> Current | None:
        """The current generation, if there is any.

        Raises:
            LostError: it is not said in words that can be understood.
            OSError: the directory cannot be read.
        """
        said = pointed(self._pointer, Current)
        if said is not None and not owner.is_name(said.generation):
            raise LostError(f"{self._pointer} names no generation")
        return said

    def pin(self) -> Pin | None:
        """Hold the current generation; None: there is none.

        Raises:
            LostError: it is incomplete, or writers were faster each time.
            OSError: the directory cannot be read or written.
        """
        seen: set[str] = set()
        for _ in range(_TRIES):
            current = self.current()
            if current is None:
                return None
            try:
                return self._linked(current)
            except FileNotFoundError as error:
                # Gone between two looks; or, where it is still the current one, there is something missing.
                if current.generation in seen:
                    raise LostError(f"{self.generations / current.generation} is incomplete") from error
                seen.add(current.generation)
            except DamagedError as error:
                raise LostError(f"{self.generations / current.generation}: {error}") from error
        raise LostError(f"{self.path} was replaced {_TRIES} times while it was opened")

    def _linked(self, current: Current) -> Pin:
        held = made(self._readers)
        source = self.blobs(current.generation)

        def fetch(blob: Descriptor) -> Path:
            name = blobs.file_name(blob.digest)
            if name is None:
                raise DamagedError(f"{blob.digest!r} is no digest")
            blobs.link(source / name, held / name)
            return held / name

        try:
            blobs.walk(current.root, fetch)
            # When it was used last, which decides what goes first where there is no room for all.
            with suppress(OSError):
                os.utime(self._pointer)
        except BaseException:
            shutil.rmtree(held, ignore_errors=True)
            raise
        return Pin(held, current)

    def broken_index(self, pin: Pin) -> Path | None:
        """The index of the generation that a pin holds, where it does not name what is there.

        Nothing here reads it; other tools do.
        """
        path = self.generations / pin.generation / "index.json"
        try:
            index = msgspec.json.decode(path.read_bytes(), type=_Index)
        except FileNotFoundError:
            # Deleted with its generation, most often.
            return None
        except (OSError, msgspec.DecodeError):
            return path
        return None if pin.root.digest in {each.digest for each in index.manifests} else path

    def blobs(self, generation: str) -> Path:
        """Where a generation has its blobs."""
        return self.generations / generation / "blobs/sha256"

    def swap(self, current: Current) -> None:
        """Make a complete generation the current one, and delete what is over then.

        Raises:
            OSError: it cannot be; the old one stays the current one.
        """
        directory = self.generations / current.generation
        written = directory / "current"
        written.write_bytes(msgspec.json.encode(current))
        blobs.flush(written)
        blobs.flush(directory)
        blobs.flush(self.generations)
        written.replace(self._pointer)
        # It counts from here on, whatever happens.
        with suppress(OSError):
            blobs.flush(self.path)
            (directory / _DONE).touch()
            self.sweep()

    def sweep(self) -> None:
        """Delete what is over."""
        found = [(path, each) for parent in (self.generations, self._readers) for path, each in _listed(parent)]
        current: str | None = None
        with suppress(LostError):
            said = self.current()
            current = said.generation if said else None
        over = swept([each for _, each in found], current=current)
        for path, each in found:
            if each.name in over:
                shutil.rmtree(path, ignore_errors=True)

    def drop(self) -> None:
        """Delete it, but for what readers hold and writers write."""
        self._pointer.unlink(missing_ok=True)
        self.sweep()
        for directory in (self.generations, self._readers, self.path):
            with suppress(OSError):
                directory.rmdir()

    def used(self) -> Used | None:
        """How much it holds, and since when nobody has used it; None: nothing."""
        try:
            current = self.current()
            changed = self._pointer.stat().st_mtime
        except (LostError, FileNotFoundError):
            return None
        if current is None:
            return None
        return Used(key=self.path.name, size=current.size, age=time.time() - changed)


def _listed(directory: Path) -> Iterator[tuple[Path, Found]]:
    try:
        paths = [path for path in directory.iterdir() if owner.is_name(path.name)]
    except FileNotFoundError:
        return
    now = time.time()
    for path in paths:
        with suppress(FileNotFoundError):
            age, done = now - path.stat().st_mtime, (path / _DONE).exists()
            yield path, Found(name=path.name, done=done, gone=owner.is_gone(path.name), age=age)


def tidy(root: Path, *, budget: int) -> tuple[str, ...]:
    """Sweep all caches, and delete those that nobody has used for longest where there is no room for all.

    Args:
        root: their directory.
        budget: bytes for all of them.

    Returns:
        The keys of what was deleted.

    Raises:
        OSError: the directory cannot be read.
    """
    return tuple(each.key for each in prune(root, budget=budget))


def prune(root: Path, *, older_than: float | None = None, budget: int | None = None) -> tuple[Used, ...]:
    """Sweep all caches, and delete those that nobody has used for some time, and those that there is no room for.

    Args:
        root: their directory.
        older_than: seconds for which nobody has used what goes; None: none goes for its age.
        budget: bytes for all that stay; None: as many as there are.

    Returns:
        What was deleted.

    Raises:
        OSError: the directory cannot be read.
    """
    stores = {path.name: Store(root, path.name) for path in root.iterdir() if path.is_dir()}
    return pruned(stores, older_than=older_than, budget=budget)


def pointed(pointer: Path, form: type[_T]) -> _T | None:
    """What a pointer says; None: there is none.

    Raises:
        LostError: it cannot be understood.
        OSError: it cannot be read.
    """
    try:
        return msgspec.json.decode(pointer.read_bytes(), type=form)
    except FileNotFoundError:
        return None
    except IsADirectoryError as error:
        raise LostError(f"{pointer} is a directory: nothing is written here until somebody removes it") from error
    except msgspec.DecodeError as error:
        raise LostError(f"{pointer} cannot be understood") from error


def made(parent: Path) -> Path:
    """A new directory under a new name.

    Raises:
        OSError: it cannot be made.
    """
    path = parent / owner.name()
    while True:
        try:
            path.mkdir(parents=True)
        except FileNotFoundError:
            # An empty cache was deleted between the parent's making and its child's.
            continue
        return path
