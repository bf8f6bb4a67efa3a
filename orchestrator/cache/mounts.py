"""Package caches in a directory, which any number of processes and machines read and replace at any time.

    <root>/<tool>/                                    what somebody has put there; read, and never written
    <root>/<tool>/.fleetpacks/<key>/current           names the current generation, replaced by a rename
    <root>/<tool>/.fleetpacks/<key>/generations/<name>/
        content/<tool>/...                            one whole cache; unchanged files are links to the last one's
        done                                          says that it is whole

Nothing in a generation is ever changed. A reader only looks up which one is current, and has to be through with it in
`MOUNTS_SECONDS`: what has been current, or was completed, so short a while ago is left alone. A lock or a mark of the
reader's would be no safer on a volume of several machines, and links of its own take as long as the reading. That makes
room for more than the current ones, which is why nothing is written while too much of it waits.

A machine that stops may leave files without their content. So the number of files and their bytes are written down, and
what has others is no cache.
"""

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from orchestrator import atomic, owner, temporary
from orchestrator.cache.local import LostError, made, pointed
from orchestrator.cache.succession import Current, Found, Size, Waiting, following, over, waiting, without_current
from orchestrator.cache.sweep import Used, pruned

_OURS: Final = ".fleetpacks"
_DONE: Final = "done"
_CONTENT: Final = "content"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a mount can be filled from."""

    root: Path
    """Holds the content in a directory by the tool's name."""
    size: int
    """Bytes."""
    ours: bool
    """Whether it is a generation, and not what somebody has put there."""
    cold: float | None = None
    """Seconds that steps took which began with an empty mount, where that is known."""


class Writing:
    """A generation that is being written.

    Args:
        store: whose.

    Raises:
        OSError: the directory cannot be written.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._path = made(store.generations)
        self._committed = False
        self.content = self._path / _CONTENT
        """What becomes its content: not there yet."""

    def commit(self, *, seen: Mapping[str, int], cold: float | None) -> Current | None:
        """Make it the current one, and delete what is over; None: there is nothing in it.

        Raises:
            OSError: it cannot be; the old one stays the current one.
        """
        size = measured(self.content / self._store.tool)
        if size is None:
            return None
        (self._path / _DONE).touch()
        try:
            before = self._store.current()
        except LostError:
            before = None
        current = following(before, self._path.name, size, seen=seen, cold=cold, now=time.time())
        self._store.point(current)
        self._committed = True
        self._store.sweep()
        return current

    def discard(self) -> None:
        """Delete it, unless it became the current one."""
        if not self._committed:
            shutil.rmtree(self._path, ignore_errors=True)


class Store:
    """The cache of one tool, as those see it who build for one scope.

    Args:
        root: the directory of all caches.
        tool: a name of `orchestrator.app.mountsteps`.
        key: the scope's; a file's name.
    """

    def __init__(self, root: Path, tool: str, key: str) -> None:
        self.tool = tool
        self.path = root / tool / _OURS / key
        self.generations = self.path / "generations"
        self._pointer = self.path / "current"

    def current(self) -> Current | None:
        """What is current, if anything is.

        Raises:
            LostError: it is not said in words that can be understood.
            OSError: the directory cannot be read.
        """
        said = pointed(self._pointer, Current)
        if said is not None and said.generation is not None and not owner.is_name(said.generation):
            raise LostError(f"{self._pointer} names no generation")
        return said

    def source(self) -> Source | None:
        """The current content, which is whole and stays for `MOUNTS_SECONDS`; None: there is none.

        Raises:
            LostError: it is not whole.
            OSError: the directory cannot be read.
        """
        current = self.current()
        if current is None or current.generation is None:
            return None
        root = self.content(current.generation)
        found = measured(root / self.tool)
        if found is None or (found.entries, found.size) != (current.entries, current.size):
            raise LostError(f"{root} is incomplete")
        # When it was used last decides what goes first where there is no room for all.
        with suppress(OSError):
            os.utime(self._pointer)
        return Source(root=root, size=current.size, ours=True, cold=current.cold)

    def content(self, generation: str) -> Path:
        """Where a generation has its content."""
        return self.generations / generation / _CONTENT

    def point(self, current: Current) -> None:
        """Say what is current.

        Raises:
            OSError: it cannot be said; what was current stays so.
        """
        atomic.write(self._pointer, msgspec.json.encode(current), mode=0o644, durable=True)

    def sweep(self, *, now: float | None = None) -> None:
        """Delete what is over, as far as it can be.

        Args:
            now: seconds since the epoch, when that is not now.
        """
        now = time.time() if now is None else now
        temporary.sweep(self.path)
        with suppress(LostError, OSError):
            found = _listed(self.generations, now)
            current = self.current()
            for name in over(found, current, now=now):
                shutil.rmtree(self.generations / name, ignore_errors=True)
            if current is not None and current.generation is None and not waiting(current, now=now).generations:
                # Nothing is left of scopes that are no more. Where somebody is writing, the first of it fails.
                self.generations.rmdir()
                self._pointer.unlink()
                self.path.rmdir()

    def drop(self) -> None:
        """Let nobody use it any more; it is deleted when nobody can be reading it.

        Raises:
            OSError: it cannot be said.
        """
        try:
            current = self.current()
        except LostError:
            current = None
        self.point(without_current(current, now=time.time()))
        self.sweep()

    def waiting(self) -> Waiting:
        """What was replaced, and is left alone for its readers.

        Raises:
            OSError: the directory cannot be read.
        """
        try:
            current = self.current()
        except LostError:
            current = None
        return waiting(current, now=time.time())

    def used(self) -> Used | None:
        """How much it holds, and since when nobody has used it; None: nothing."""
        try:
            current = self.current()
            changed = self._pointer.stat().st_mtime
        except (LostError, OSError):
            return None
        if current is None or current.generation is None:
            return None
        return Used(key=f"{self.tool}/{self.path.name}", size=current.size, age=time.time() - changed)


def plain(root: Path, tool: str) -> Source | None:
    """What somebody has put into the directory of a tool, without a layout of ours; None: nothing.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        with os.scandir(root / tool) as entries:
            if all(entry.name == _OURS for entry in entries):
                return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    size = measured(root / tool, without=_OURS)
    return Source(root=root, size=size.size, ours=False) if size else None


def left_out(tool: str) -> str:
    """What of the root of `plain` belongs to no cache, in the words of a .dockerignore."""
    return f"{tool}/{_OURS}\n"


def measured(path: Path, *, without: str | None = None) -> Size | None:
    """What a directory holds; symlinks are not followed, and files with several names count each time. None: not there.

    Args:
        path: the directory.
        without: a name in it that does not count.

    Raises:
        OSError: it cannot be read.
    """
    entries, size, own = 0, 0, 0
    # Of files with several names: how many were not seen yet.
    linked: dict[tuple[int, int], int] = {}
    directories = [str(path)]
    while directories:
        directory = directories.pop()
        try:
            with os.scandir(directory) as found:
                for entry in found:
                    if entry.name == without and directory == str(path):
                        continue
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        size += status.st_size
                        file = (status.st_dev, status.st_ino)
                        if status.st_nlink > 1:
                            linked[file] = linked.get(file, status.st_nlink) - 1
                        if not linked.get(file):
                            own += status.st_size * status.st_nlink
        except FileNotFoundError:
            if directory == str(path):
                return None
    return Size(entries=entries, size=size, own=own)


def waiting_in(root: Path) -> int:
    """Bytes of all caches that were replaced and are left alone for their readers.

    Args:
        root: their directory.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        found = _stores(root)
    except FileNotFoundError:
        return 0
    return sum(store.waiting().size for store in found.values())


def prune(root: Path, *, older_than: float | None = None, budget: int | None = None) -> tuple[Used, ...]:
    """Sweep all caches, and drop those that nobody has used for some time, and those that there is no room for.

    Args:
        root: their directory.
        older_than: seconds for which nobody has used what goes; None: none goes for its age.
        budget: bytes for all that stay; None: as many as there are.

    Returns:
        What was dropped.

    Raises:
        OSError: the directory cannot be read or written.
    """
    return pruned(_stores(root), older_than=older_than, budget=budget)


def _stores(root: Path) -> Mapping[str, Store]:
    found: dict[str, Store] = {}
    for tool in root.iterdir():
        with suppress(FileNotFoundError, NotADirectoryError):
            keys = [path.name for path in (tool / _OURS).iterdir() if path.is_dir()]
            found |= {f"{tool.name}/{key}": Store(root, tool.name, key) for key in keys}
    return found


def _listed(directory: Path, now: float) -> list[Found]:
    try:
        paths = [path for path in directory.iterdir() if owner.is_name(path.name)]
    except FileNotFoundError:
        return []
    found: list[Found] = []
    for path in paths:
        with suppress(FileNotFoundError):
            age = now - path.stat().st_mtime
            try:
                done = now - (path / _DONE).stat().st_mtime
            except FileNotFoundError:
                done = None
            found.append(Found(name=path.name, done=done, gone=owner.is_gone(path.name), age=age))
    return found
