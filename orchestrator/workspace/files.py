"""The files of a source, listed once per run.

Git tells them where it can; else the tree is walked and `.gitignore` files are honoured. Either way symlinks are
listed and never followed, so nothing outside the source is seen. Submodules and repositories inside are walked, not
asked: git is started once, for the outermost.
"""

import functools
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePath

import anyio.to_thread

from orchestrator.errors import ContextError
from orchestrator.workspace import git
from orchestrator.workspace.ignored import Ignored
from orchestrator.workspace.listings import Listings

_MAX_IGNORE_BYTES = 1 << 20
Wanted = Callable[[str], bool]
"""Of a file's name, whether such files are asked for."""
_OF_GIT = ".git"
_GITS_OWN = (".git/info/exclude", ".git/config", ".git/HEAD", ".git/index")


def _all(_name: str) -> bool:
    return True


async def list_files(
    root: Path,
    environment: Mapping[str, str],
    warn: Callable[[str], None] | None = None,
    *,
    wanted: Wanted = _all,
    listings: Listings | None = None,
    absent: set[str] | None = None,
) -> tuple[str, ...]:
    """The files that are not ignored, as sorted POSIX paths from `root`.

    Args:
        root: the source.
        environment: of a git process (`Environment.for_git`).
        warn: hears of the directories below that cannot be read; an app that needs one will fail for itself.
        wanted: which of them are asked for.
        listings: lists what git does not.
        absent: receives the directories, as paths from `root`, of which a sparse checkout leaves files out.

    Raises:
        ContextError: the source cannot be read, or git waits for a file that is none.
    """
    # Of tens of thousands of files few names are new.
    wanted = functools.cache(wanted)
    listings = listings or Listings()
    ask = partial(git.list_files, root, environment, suspect=partial(_stuck_at, root))
    listing = await ask() if git.may_tell(root) else None
    # Git sees nothing where an outer repository ignores the whole source.
    if listing is None or not (listing.files or listing.nested or listing.absent):
        return await anyio.to_thread.run_sync(partial(walk, root, warn, wanted=wanted, listings=listings))
    for problem in listing.unreadable:
        _warn(warn, problem)
    if listing.absent and absent is not None:
        absent |= _directories(listing.absent)
    if listing.absent and warn is not None:
        count = "1 file" if len(listing.absent) == 1 else f"{len(listing.absent)} files"
        warn(f"the checkout is sparse and leaves out {count}: no app is found there")
    files = [file for file in listing.files if wanted(file.rpartition("/")[2])]
    for path in listing.nested:
        if await anyio.to_thread.run_sync(_is_empty, root, path):
            if warn is not None:
                hint = "`git submodule update --init` would do that"
                warn(f"{printable(path)}: the submodule is not checked out: no app is found there; {hint}")
            continue
        files += await anyio.to_thread.run_sync(_nested, root, path, warn, wanted, listings)
    return tuple(sorted(files))


def walk(
    root: Path,
    warn: Callable[[str], None] | None = None,
    *,
    wanted: Wanted = _all,
    listings: Listings | None = None,
) -> tuple[str, ...]:
    """The files below `root` that no `.gitignore` leaves out, as sorted POSIX paths.

    Args:
        root: where to begin.
        warn: hears of the directories below that cannot be read.
        wanted: which of them are asked for.
        listings: lists the directories.

    Raises:
        ContextError: `root` cannot be read.
    """
    return tuple(sorted(_walk(str(root), warn, wanted, listings or Listings())))


def _directories(files: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for file in files:
        directory = file.rpartition("/")[0]
        while directory and directory not in found:
            found.add(directory)
            directory = directory.rpartition("/")[0]
    return found


def _is_empty(root: Path, path: str) -> bool:
    try:
        with os.scandir(f"{root}/{path}") as entries:
            return next(entries, None) is None
    except OSError as error:
        return isinstance(error, FileNotFoundError)


def _nested(root: Path, path: str, warn: Callable[[str], None] | None, wanted: Wanted, listings: Listings) -> list[str]:
    below = f"{root}/{path}"
    if not os.path.isdir(below) or not _is_itself(root, path):  # noqa: PTH112 -- is_dir raises where it may not look
        return []

    def prefixed(problem: str) -> None:
        if warn is not None:
            warn(f"{printable(path)}/{problem}")

    try:
        return [f"{path}/{name}" for name in sorted(_walk(below, prefixed, wanted, listings))]
    except ContextError:
        _warn(warn, f"{path}/")
        return []


def _warn(warn: Callable[[str], None] | None, problem: str) -> None:
    if warn is not None:
        warn(f"{printable(problem)}: cannot be looked into, so no app is found there")


def _walk(root: str, warn: Callable[[str], None] | None, wanted: Wanted, listings: Listings) -> list[str]:
    found: list[str] = []
    waiting: list[tuple[str, tuple[tuple[int, Ignored], ...]]] = [("", ())]
    while waiting:
        prefix, ignoring = waiting.pop()
        try:
            listed = listings.of(f"{root}/{prefix}".rstrip("/") or "/")
        except OSError as error:
            if prefix:
                _warn(warn, f"{prefix}: {error.strerror}")
                continue
            raise ContextError(
                f"{printable(root)}: cannot be read: {error.strerror}", hint="Check the directory's permissions."
            ) from error
        if ".gitignore" in listed.files:
            ignoring = (*ignoring, (len(prefix), _patterns(f"{root}/{prefix}.gitignore")))
        found += [
            prefix + name
            for name in filter(wanted, listed.files + listed.links + listed.others)
            if name != _OF_GIT and not _is_ignored(prefix, name, ignoring)
        ]
        waiting += [
            (f"{prefix}{name}/", ignoring)
            for name in listed.directories
            if name != _OF_GIT and not _is_ignored(prefix, f"{name}/", ignoring)
        ]
    return found


def _is_itself(root: Path, path: str) -> bool:
    """Whether no part of `path` is a symlink: git's index may still hold what one has taken the place of."""
    return os.path.realpath(root / path) == f"{os.path.realpath(root)}/{path}"


def _stuck_at(root: Path) -> str | None:
    """The file that git opens while it lists `root`, and that keeps it waiting."""
    # Of a repository inside, git reads what is checked out.
    below = {root / each for path in walk(root) for each in PurePath(path).parents}
    for directory in (*_work_tree(root), *sorted(below)):
        for name in (".gitignore", *_GITS_OWN):
            with suppress(OSError):
                if stat.S_ISFIFO((directory / name).lstat().st_mode):
                    return printable(os.path.relpath(directory / name, root))
    return None


def _work_tree(root: Path) -> Iterator[Path]:
    """The directories from `root` up to the one that holds `.git`."""
    for directory in (root, *root.parents):
        yield directory
        if os.path.lexists(directory / ".git"):
            return


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def read_head(path: str, size: int) -> bytes:
    """At most `size` bytes of a regular file; none where there is no such file, or it may not be read."""
    # It was a regular file when the directory was listed; a FIFO that took its place is opened without waiting.
    try:
        with open(path, "rb", opener=_open) as file:
            return file.read(size) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return b""


def _patterns(path: str) -> Ignored:
    return Ignored(read_head(path, _MAX_IGNORE_BYTES).decode("utf-8", "surrogateescape").splitlines())


def literal_pattern(path: str) -> str:
    """The pattern in .gitignore syntax that means the directory at `path`, from where the pattern stands, alone."""
    escaped = re.sub(r"([*?\[\\])", r"\\\1", path)
    return f"/{escaped[:-1]}\\ /" if escaped.endswith(" ") else f"/{escaped}/"


def _is_ignored(prefix: str, name: str, files: tuple[tuple[int, Ignored], ...]) -> bool:
    """The innermost file that speaks of the path decides, as in git."""
    for depth, ignored in reversed(files):
        said = ignored.said(f"{prefix[depth:]}{name}", name)
        if said is not None:
            return said
    return False


def text(path: str) -> str:
    """A file name as JSON can hold it: bytes that are no UTF-8 are escaped."""
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def printable(path: str) -> str:
    """A file name for people: control characters and undecodable bytes are escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text(path)
    )
