"""The only way this library reads an app: bounded, inside the app's directory, regular files only.

The app is untrusted. A symlink may point to `/etc/shadow`, a name may be a FIFO on which `open` blocks for ever, a
manifest may be a gigabyte of junk. `AppFiles` resolves a name once, refuses what lies outside of the app, and then
opens the resolved path part by part without following links, so that a link swapped in between is refused too. Its
answers are those of one moment: the names in the directory are read once. And it takes note of all that it looks at.
"""

import codecs
import errno
import fnmatch
import functools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from langs.errors import LangError
from langs.listing import MAX_ENTRIES, Kind, Listing, entries
from langs.real import Real
from langs.seen import Seen
from langs.stamps import Stamp

MAX_BYTES: Final = 1 << 20
"""The largest file that is read, in bytes. Manifests are kilobytes; lockfiles are only looked at by name or head."""
MAX_DEPTH: Final = 6
"""How deep the listing goes: entry points and manifests lie near the top."""
MAX_PACKAGE_DEPTH: Final = 16
"""How deep a tree of sources goes that is asked for by name."""
NEAR_DEPTH: Final = 3
SKIPPED: Final = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        ".tox",
        ".nox",
        ".next",
        ".nuxt",
        ".cache",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        "__pycache__",
        "node_modules",
        "venv",
        "vendor",
    }
)
"""Directories which hold what tools made or fetched: never evidence of what the app is."""

T = TypeVar("T")

_DOTS: Final = frozenset({"", ".", ".."})
"""Parts of a path that name no entry."""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._@+][A-Za-z0-9._@+ /-]*")
_NO_FILE: Final = frozenset({errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENOTDIR})
"""What is said of something that is no regular file, which its stamp tells, too."""


class AppFiles:
    """The files of one app.

    Args:
        root: the app's directory. A symlink to it is resolved: the caller chose it.
        within: the monorepo's root, where it is known: what lies between it and the app can be asked, too.
        known: those of the monorepo's directories that others were asked about before, by their paths. An app is never
            one of them itself: what is seen of it for its own sake does not concern others.
        listings: of directories that were listed before, by their paths; they were at rest then.
        real: has resolved directories before.
        around: whether these are no app's own, but of a directory that apps ask about.

    Raises:
        LangError: `root` is not a directory that can be read.
    """

    def __init__(
        self,
        root: Path,
        within: Path | None = None,
        *,
        known: "dict[str, AppFiles] | None" = None,
        listings: Mapping[str, Listing] = {},
        real: Real | None = None,
        around: bool = False,
    ) -> None:
        self._real = real or Real()
        self._listings = listings
        self._root = self._real.directory(str(root)) or os.path.realpath(root)
        self.root = Path(self._root)
        self._within = self._root if within is None else _real(str(within))
        self._known: dict[str, AppFiles] = {} if known is None else known
        self.seen = Seen()
        """What was looked at until now."""
        self._top = self._look_into("")
        self._entries = {"": self._top}
        self._scanned: dict[str, tuple[Sequence[str], Sequence[str]]] = {}
        self._texts: dict[str, str | None] = {}
        self.made: dict[object, Any] = {}
        """What `once` made."""
        self._around = around
        if self._top is None and not self.root.is_dir():
            raise LangError(f"{root} is not a directory", hint="Name the directory that holds the app's files.")

    @cached_property
    def enclosing(self) -> "tuple[AppFiles, ...]":
        """The directories around the app, the nearest first, up to the monorepo's root."""
        found: list[AppFiles] = []
        above = self._root
        while above != self._within and _is_below(above, self._within):
            above = above.rpartition("/")[0] or "/"
            found.append(self._of(above))
        return tuple(found)

    @cached_property
    def path(self) -> str:
        """The app's directory as a POSIX path from the monorepo's root; `.` where that is not known, or is this."""
        below = self._root != self._within and _is_below(self._root, self._within)
        return self._root[len(self._within.rstrip("/")) + 1 :] if below else "."

    def below_context(self, context: str) -> str:
        """The app's directory as a POSIX path from a directory above it, which is given as `../..`; empty for `.`."""
        return "" if context == "." else "/".join(self.root.parts[-len(context.split("/")) :])

    def _of(self, directory: str) -> "AppFiles":
        """The files of a resolved directory of the monorepo, which are the same for all who ask."""
        self.seen.beside[directory] = None
        if directory not in self._known:
            self._known[directory] = AppFiles(
                Path(directory),
                Path(self._within),
                known=self._known,
                listings=self._listings,
                real=self._real,
                around=True,
            )
        return self._known[directory]

    def at(self, path: str) -> "AppFiles":
        """The files of a directory below, beside or above the app, inside of the monorepo.

        Args:
            path: relative to the app's directory; `..` may stand in it.

        Raises:
            LangError: it leaves the monorepo, or is no directory that can be read.
        """
        directory = os.path.realpath(f"{self._root}/{path}")
        self.seen.follow(path, directory)
        if not _is_below(directory, self._within):
            raise LangError(
                "leads out of the repository", file=path, hint="Links are followed within the repository only."
            )
        return self._of(directory)

    def below_at(self, path: str) -> "AppFiles":
        """The files of one of `directories`: real ones, through no link."""
        return self._of(f"{self._root}/{path}")

    @cached_property
    def listing(self) -> tuple[str, ...]:
        """POSIX paths of the app's regular files, shallow ones first, each level sorted; bounded and read once."""
        return self._listed("", MAX_DEPTH)

    @cached_property
    def near(self) -> tuple[str, ...]:
        """Those of `listing` at most two directories down: what most apps are recognised by stands there."""
        return self._listed("", NEAR_DEPTH)

    def may_be_near(self, endings: tuple[str, ...]) -> bool:
        """Whether something of `near` may end in one of these: a look at names, for what most apps have nothing of."""
        level, seen = [""], 0
        for _ in range(NEAR_DEPTH):
            below: list[str] = []
            for directory in level:
                inside = self._inside(directory) or {}
                seen += len(inside)
                for name, kind in inside.items():
                    if kind != "directory":
                        if name.endswith(endings):
                            return True
                    elif name not in SKIPPED and name.isprintable():
                        below.append(f"{directory}/{name}" if directory else name)
                if seen > MAX_ENTRIES:
                    return True
            level = below
        return False

    def once(self, make: "Callable[[AppFiles], T]") -> T:
        """What `make` makes of these files, made at the first call: several languages ask for the same manifests.

        Raises:
            LangError: as `make`, every time; it knows whose files these are.
        """
        if make not in self.made:
            try:
                self.made[make] = make(self)
            except LangError as error:
                if self._around and error.directory is None:
                    error.directory = self.path
                raise
        made: T = self.made[make]
        return made

    def exists(self, path: str) -> bool:
        """Whether `path` is a regular file of the app, itself or through links that stay inside."""
        kind = self._kind(path) if self._top is None or "/" in path else self._top.get(path)
        if kind != "link":
            return kind == "file"
        resolved = self._resolve(path)
        if resolved is not None:
            self.seen.look(self._root, resolved)
        try:
            return resolved is not None and stat.S_ISREG(os.lstat(f"{self._root}/{resolved}").st_mode)
        except OSError:
            return False

    def is_lost(self, path: str) -> bool:
        """Whether `path` is a link that leads out of the app's directory, or to no regular file."""
        kind = self._kind(path)
        return kind == "link" and not self.exists(path) and (self.root / path).is_symlink()

    def first(self, *paths: str) -> str | None:
        """The first of `paths` that exists."""
        # Hundreds of names are asked for, and most begin with what is not there.
        top = self._top
        if top is None:
            return next(filter(self.exists, paths), None)
        for path in paths:
            begin = path.partition("/")[0]
            if (begin in top or begin in _DOTS) and self.exists(path):
                return path
        return None

    def has_directory(self, path: str) -> bool:
        """Whether `path` is a real directory of the app (a link to one is not)."""
        kind = self._kind(path)
        if kind != "link":
            return kind == "directory"
        self.seen.look(self._root, path)
        with suppress(OSError, ValueError):
            return stat.S_ISDIR(os.lstat(self.root / path).st_mode) and self._resolve(path) is not None
        return False

    def glob(self, pattern: str) -> tuple[str, ...]:
        """The listed files whose whole path matches `pattern`; `*` stays within one directory."""
        *above, last = pattern.split("/")
        if above and self._top is not None and above[0] not in self._top and _is_plain(above[0]):
            # Most patterns begin with a directory that is not there.
            return ()
        directories: tuple[str, ...] = ("",)
        for part in above:
            directories = tuple(self._directories(directories, part))
        found: list[str] = []
        for directory in directories:
            if directory:
                names = (path.rpartition("/")[2] for path in self._scan(directory, MAX_ENTRIES)[0])
                found += [f"{directory}/{name}" for name in _matching(names, last)]
            else:
                found += _matching(self._own, last)
            if len(found) > MAX_ENTRIES:
                break
        return tuple(found[:MAX_ENTRIES])

    def _directories(self, above: Iterable[str], pattern: str) -> Iterator[str]:
        """The directories in `above` whose names match: only they are looked into."""
        plain = _is_plain(pattern)
        for directory in above:
            if plain:
                path = f"{directory}/{pattern}" if directory else pattern
                if self._kind(path) == "directory" and pattern not in SKIPPED:
                    yield path
            else:
                below = self._scan(directory, MAX_ENTRIES)[1]
                yield from (path for path in below if fnmatch.fnmatchcase(path.rpartition("/")[2], pattern))

    def directories(self, pattern: str) -> tuple[str, ...]:
        """The directories whose whole path matches `pattern`; `*` stays within one name, `**` is any number of them."""
        found: tuple[str, ...] = ("",)
        parts = pattern.split("/")
        if ".." in parts:
            return ()
        for part in parts:
            if part in _DOTS:
                continue
            found = tuple(self._all_below(found) if part == "**" else self._directories(found, part))
            if len(found) > MAX_ENTRIES:
                break
        return tuple(path for path in dict.fromkeys(found[:MAX_ENTRIES]) if path)

    def _all_below(self, above: Iterable[str]) -> Iterator[str]:
        seen: set[str] = set()
        level = list(above)
        for _ in range(MAX_DEPTH):
            level = [path for path in dict.fromkeys(level) if path not in seen]
            yield from level
            seen.update(level)
            if len(seen) > MAX_ENTRIES:
                return
            level = [path for each in level for path in self._scan(each, MAX_ENTRIES)[1]]

    def below(self, directory: str) -> tuple[str, ...]:
        """The regular files below `directory`, as in `listing`, but deeper: Java's packages are directories."""
        return self._listed(directory, MAX_PACKAGE_DEPTH) if self.has_directory(directory) else ()

    def read_text(self, path: str) -> str | None:
        """The text of a file, decoded as UTF-8, without byte order mark and carriage returns; None when absent.

        Raises:
            LangError: as `read_bytes`, or it is not UTF-8.
        """
        if path not in self._texts:
            data = self.read_bytes(path)
            self._texts[path] = None if data is None else _decode(data, path)
        return self._texts[path]

    def read_bytes(self, path: str, limit: int = MAX_BYTES) -> bytes | None:
        """A whole file; None when absent.

        Raises:
            LangError: it lies outside of the app, is no regular file, or is larger than `limit`.
        """
        data = self._read(path, limit + 1)
        if data is not None and len(data) > limit:
            raise LangError(
                f"is larger than {limit} bytes",
                file=path,
                hint="A file of this kind is a few kilobytes long: is it the right one?",
            )
        return data

    def read_head(self, path: str, size: int = 1 << 16) -> str | None:
        """The whole lines in the first `size` bytes of a file that may be long, such as a lockfile; None when absent.

        Raises:
            LangError: as `read_text`, but for the size.
        """
        data = self._read(path, size)
        if data is None:
            return None
        if len(data) == size:
            data = data[: data.rfind(b"\n") + 1]
        return _decode(data, path)

    @cached_property
    def _own(self) -> tuple[str, ...]:
        """The regular files in the app's directory itself, sorted."""
        return tuple(self._scan("", MAX_ENTRIES)[0])

    def _inside(self, directory: str) -> Mapping[str, Kind] | None:
        """What a directory holds; None where it may not be listed, or holds more than is looked at."""
        if directory not in self._entries:
            self._entries[directory] = self._look_into(directory)
        return self._entries[directory]

    def _look_into(self, directory: str) -> Mapping[str, Kind] | None:
        place = f"{self._root}/{directory}" if directory else self._root
        before = self._listings.get(place)
        if before is None:
            self.seen.look(self._root, directory)
            found = entries(place, MAX_ENTRIES)
        else:
            self.seen.note(directory, before.stamp, at_rest=True)
            kinds = before.kinds
            found = kinds if len(kinds) <= MAX_ENTRIES else None
        self.seen.listed(directory, found)
        return found

    def _kind(self, path: str) -> Kind | None:
        """What `path` is; `link` when the system must be asked. Most questions are about what is not there."""
        directory, inside = "", self._top
        *above, name = path.split("/")
        for part in above:
            if inside is None or part in _DOTS:
                return "link"
            kind = inside.get(part)
            if kind != "directory":
                return "link" if kind == "link" else None
            directory = f"{directory}/{part}" if directory else part
            inside = self._inside(directory)
        return "link" if inside is None or name in _DOTS else inside.get(name)

    def _listed(self, directory: str, depth: int) -> tuple[str, ...]:
        found: list[str] = []
        level = [directory]
        seen = 0
        for _ in range(depth):
            below: list[str] = []
            for each in level:
                files, directories = self._scan(each, MAX_ENTRIES - seen)
                seen += len(files) + len(directories)
                found += files
                below += directories
            level = below
        return tuple(found)

    def _scan(self, directory: str, budget: int) -> tuple[Sequence[str], Sequence[str]]:
        """The regular files and the directories of a directory, sorted: of the first so many names in it."""
        # Unreadable directories are the build context's business, which names them; they are no evidence here.
        inside = self._inside(directory) or {}
        if len(inside) > budget:
            return self._sorted(directory, dict(sorted(inside.items())[:budget]))
        # Languages ask for many patterns, most of which lead to the same few directories.
        if directory not in self._scanned:
            self._scanned[directory] = self._sorted(directory, inside)
        return self._scanned[directory]

    def _sorted(self, directory: str, inside: Mapping[str, Kind]) -> tuple[Sequence[str], Sequence[str]]:
        files: list[str] = []
        directories: list[str] = []
        for name, kind in sorted(inside.items()):
            if not name.isprintable():
                # Not UTF-8, or made to forge a line of a log or a Dockerfile: no evidence of anything.
                continue
            path = f"{directory}/{name}" if directory else name
            if kind == "directory":
                if name not in SKIPPED:
                    directories.append(path)
            elif kind == "file" or (kind == "link" and self.exists(path)):
                files.append(path)
        return files, directories

    def _resolve(self, path: str) -> str | None:
        try:
            real = os.path.realpath(self.root / path)
        except (OSError, ValueError):
            return None
        self.seen.follow(path, real)
        resolved = Path(real)
        if not resolved.is_relative_to(self.root):
            return None
        return resolved.relative_to(self.root).as_posix()

    def _read(self, path: str, size: int) -> bytes | None:
        kind = self._kind(path)
        if kind == "link":
            self.seen.look(self._root, path)
        if kind is None or (kind == "link" and not os.path.lexists(f"{self._root}/{path}")):
            return None
        resolved = self._resolve(path) if kind == "link" else path
        if resolved is None:
            raise LangError(
                "leads out of the app's directory",
                file=path,
                hint="Put the file itself here: links are followed within the app only.",
            )
        stamp = self.seen.look(self._root, resolved)
        try:
            return _read_beneath(self._root, resolved, size, stamp)
        except FileNotFoundError:
            return None
        except OSError as error:
            # No stamp tells when a disk or a server that failed does so no more.
            self.seen.steady &= error.errno in _NO_FILE
            raise LangError(
                f"cannot be read: {error.strerror or error}",
                file=path,
                hint="It must be a regular file that this user may read.",
            ) from error


def once(make: Callable[[AppFiles], T]) -> Callable[[AppFiles], T]:
    """`make`, asked once for the same files: several languages read the same manifests. What it gives is shared."""

    @functools.wraps(make)
    def made(files: AppFiles) -> T:
        # Languages ask dozens of times, and nearly all of it is known.
        if make in files.made:
            known: T = files.made[make]
            return known
        return files.once(make)

    return made


@functools.lru_cache(maxsize=1)
def _real(directory: str) -> str:
    """The monorepo's root without links, which is the same for all apps."""
    return os.path.realpath(directory)


def _is_below(path: str, directory: str) -> bool:
    """Whether one is the other, or lies below it; both are resolved."""
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


@functools.lru_cache(maxsize=512)
def _is_plain(pattern: str) -> bool:
    """Whether a part of a pattern means that name alone."""
    return not any(character in pattern for character in "*?[")


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    """The names that match; most patterns only say how a name ends."""
    ending = pattern[1:]
    if pattern[:1] == "*" and _is_plain(ending):
        return [name for name in names if name.endswith(ending)]
    return fnmatch.filter(names, pattern)


def _read_beneath(root: str, path: str, size: int, stamp: Stamp | tuple[()] | None) -> bytes:
    """The first `size` bytes of `path`, already resolved, opened part by part: no link is followed, no FIFO blocks.

    Args:
        root: the app's directory.
        path: from there.
        size: how much is read at most.
        stamp: of what was at the path a moment ago.
    """
    first, *more = path.split("/")
    place, parent = f"{root}/{first}", None
    try:
        for name in more:
            below = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            if parent is not None:
                os.close(parent)
            place, parent = name, below
        # Opening a device can do something of its own, so that the name is looked at first.
        mode = stamp[2] if stamp and not more else os.stat(place, dir_fd=parent, follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    finally:
        if parent is not None:
            os.close(parent)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def _decode(data: bytes, path: str) -> str:
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LangError("is not UTF-8 text", file=path, line=line, hint="Save the file as UTF-8.") from error
    if "\0" in text:
        raise LangError("holds a NUL byte", file=path, hint="Save the file as UTF-8 text.")
    return text.replace("\r\n", "\n")


def is_plain_name(path: str) -> bool:
    """Whether `path` can stand in a Dockerfile's COPY without being read as a pattern, a variable or an option."""
    return _PLAIN_NAME.fullmatch(path) is not None and ".." not in path.split("/")


def require_plain_name(path: str) -> str:
    """`path`, when it can stand in a Dockerfile's COPY without being read as a pattern, a variable or an option.

    Raises:
        LangError: it holds other characters, or leaves the app's directory.
    """
    if not is_plain_name(path):
        raise LangError(
            f"the name {path[:200]!r} cannot be used in a generated Dockerfile",
            hint="Use letters, digits, spaces and . _ @ + - in names of manifests and entry points.",
        )
    return path
