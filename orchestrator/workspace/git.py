"""What git knows of a source, asked in a way in which nothing inside the source can make git run a command.

The repository's own configuration is not trusted. Of what it can say, these make `ls-files` or `rev-parse` start a
program, and are shut: `core.fsmonitor` (a hook by name), a lazy fetch of missing objects through a remote's URL or
`uploadpack` (`GIT_ALLOW_PROTOCOL`, `GIT_NO_LAZY_FETCH`), a pager (standard output is a pipe, and `--no-pager`). A bare
repository planted in a subdirectory is not opened (`safe.bareRepository`, git 2.38). With these shut it is safe to
read repositories of other owners, as containers meet them (`safe.directory`).

Nor can anything inside make it wait for ever: git opens a FIFO in the place of `.gitignore` and blocks until somebody
writes there. So a git that says nothing for long is ended, and is suspected sooner.
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from orchestrator.errors import ContextError

_GIT = (
    "git",
    "--no-pager",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "safe.directory=*",
)
_GITLINK = b"160000"
_LEFT_OUT = b"S"
"""The tag of a file that the index has and a sparse checkout has not."""
_SUSPICIOUS = 2.0
"""Seconds of silence after which it is looked for what git may be stuck at; most repositories are listed by then."""
_SILENCE = 60.0
"""Seconds of silence after which git is ended: it lists untracked files at the end of its search, not while it goes."""

_BEHIND_PATH = re.compile(r"[?#]")
_MAX_PROBLEMS = 1 << 16
_UNREADABLE = re.compile(r"^warning: could not open directory '(.*)': (.*)$", re.MULTILINE)

Suspect = Callable[[], str | None]
"""Finds what git would wait at, and names it."""


def _nothing() -> None:
    return None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a source that are not ignored, as paths from the source's root."""

    files: tuple[str, ...]
    nested: tuple[str, ...]
    """Submodules and repositories inside, which git does not look into."""
    absent: tuple[str, ...] = ()
    """Files that a sparse checkout leaves out."""
    unreadable: tuple[str, ...] = ()
    """Directories that git could not look into, each with the reason behind a colon."""


async def list_files(
    root: Path, environment: Mapping[str, str], *, suspect: Suspect = _nothing, silence: float = _SILENCE
) -> Listing | None:
    """The tracked and the untracked files that are not ignored, or None when git cannot tell.

    Args:
        root: the source; it may be a subdirectory of a work tree.
        environment: of the git process, without `GIT_*` of the caller (`Environment.for_git`).
        suspect: asked, in a thread, when git has been silent for a while.
        silence: seconds after which a silent git is ended.

    Raises:
        ContextError: git waits for something that does not come.
    """
    words = ("ls-files", "-z", "-t", "--stage", "--cached", "--others", "--exclude-standard")
    said = await ask(root, words, environment, suspect=suspect, silence=silence)
    if said is None or said.code != 0:
        return None
    unreadable = tuple(f"{path}: {reason}" for path, reason in _UNREADABLE.findall(_text(said.problems)))
    return msgspec.structs.replace(parse_listing(said.output), unreadable=unreadable)


def may_tell(root: Path) -> bool:
    """Whether git would find a repository, which it looks for by this name alone (`safe.bareRepository`)."""
    return within(root) is not None


def within(root: Path) -> str | None:
    """Where a directory lies in the repository that git would find; None when there is none."""
    place = Path(os.path.realpath(root))
    for top in (place, *place.parents):
        if os.path.lexists(f"{top}/.git"):
            return place.relative_to(top).as_posix()
    return None


def parse_listing(output: bytes) -> Listing:
    """Read `git ls-files -z -t --stage --others`: `H <mode> <id> <stage>TAB<path>` or `? <path>`, each NUL-ended.

    `S` in place of `H` is a file that a sparse checkout leaves out.

    Undecodable bytes of names become lone surrogates, as in all of Python's paths.
    """
    files: dict[str, None] = {}
    nested: dict[str, None] = {}
    absent: list[str] = []
    for entry in output.split(b"\0"):
        tag, _, rest = entry.partition(b" ")
        if not rest:
            continue
        mode = b""
        if tag != b"?":
            stage, _, rest = rest.partition(b"\t")
            mode = stage[:6]
        path = rest.decode("utf-8", "surrogateescape")
        if tag == _LEFT_OUT:
            absent.append(path)
        elif path.endswith("/") or mode == _GITLINK:
            nested[path.rstrip("/")] = None
        else:
            files[path] = None
    return Listing(files=tuple(files), nested=tuple(nested), absent=tuple(absent))


async def head(root: Path, environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The branch and the full revision that are checked out, each None when there is none.

    Raises:
        ContextError: git waits for something that does not come.
    """
    revision = await ask(root, ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), environment)
    branch = await ask(root, ("symbolic-ref", "--quiet", "--short", "HEAD"), environment)
    return branch.line if branch else None, revision.line if revision else None


async def origin(root: Path, environment: Mapping[str, str]) -> str | None:
    """Where the repository comes from, fit to be published; None when it says nothing of the kind.

    Raises:
        ContextError: git waits for something that does not come.
    """
    said = await ask(root, ("config", "--get", "remote.origin.url"), environment)
    return published(said.line) if said and said.line else None


def published(url: str) -> str | None:
    """An address without user, password, query and fragment, any of which may be a credential.

    None where that cannot be told: of what no reader of URLs would take for a password, a part would be left.
    """
    scheme, there, rest = url.partition("://")
    if not url.isprintable():
        return None
    if not there:
        # A path, or `user@host:path`, where a password has no place.
        return _BEHIND_PATH.split(url, maxsplit=1)[0]
    # RFC 3986, 3.2: the authority ends at the first of these.
    authority, *path = re.split(r"(?=[/?#])", rest, maxsplit=1)
    if any("@" in part for part in path):
        return None
    return f"{scheme}://{authority.rpartition('@')[2]}{_BEHIND_PATH.split(''.join(path), maxsplit=1)[0]}"


class Said(msgspec.Struct, frozen=True):
    """How a git process ended."""

    code: int
    output: bytes
    problems: bytes

    @property
    def line(self) -> str | None:
        """The one line that it has written; None when it failed or wrote none."""
        return self.output.decode("utf-8", "replace").strip() or None if self.code == 0 else None

    @property
    def names(self) -> tuple[str, ...]:
        """The NUL-ended names that it has written."""
        return tuple(_text(name) for name in self.output.split(b"\0") if name)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "surrogateescape")


async def ask(
    root: Path,
    words: tuple[str, ...],
    environment: Mapping[str, str],
    *,
    settings: Mapping[str, str] = {},
    suspect: Suspect = _nothing,
    silence: float = _SILENCE,
) -> Said | None:
    """Run git in `root`; None when there is no git, or it may not be run.

    Args:
        root: where; it may be a subdirectory of a work tree.
        words: the command and its arguments, which hold no NUL.
        environment: of the process, without `GIT_*` of the caller (`Environment.for_git`).
        settings: configuration for this one time, by name. No name holds `=`.
        suspect: asked, in a thread, when git has been silent for a while.
        silence: seconds after which a silent git is ended.

    Raises:
        ContextError: git waits for something that does not come.
    """
    set_here = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    # A file in memory, not a pipe: nobody has to read it while git goes on.
    problems = os.memfd_create("git", os.MFD_CLOEXEC)
    try:
        process = await anyio.open_process([*_GIT, *set_here, *words], cwd=root, env=environment, stderr=problems)
        code, output = await _ended(process, words[0], suspect, silence)
        return Said(code, output, os.pread(problems, _MAX_PROBLEMS, 0))
    except (FileNotFoundError, PermissionError):
        return None
    finally:
        os.close(problems)


async def _ended(process: anyio.abc.Process, command: str, suspect: Suspect, silence: float) -> tuple[int, bytes]:
    """The exit code of a process, and what it has written."""
    # Leaving it waits for the process: one that is stuck has to be ended before.
    async with process:
        try:
            output = await _read(process, suspect, silence)
            if output is None:
                raise ContextError(
                    f"git {command}: has said nothing for {silence:g} s, and was ended",
                    hint="Is the disk slow, or a file of .git no regular file? Run `git ls-files -o "
                    "--exclude-standard` there to see where it stops; a source without .git is walked instead.",
                )
            return await process.wait(), output
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def _read(process: anyio.abc.Process, suspect: Suspect, silence: float) -> bytes | None:
    """All that a process writes; None when it fell silent."""
    chunks: list[bytes] = []
    stream = process.stdout
    patience = min(_SUSPICIOUS, silence)
    while stream is not None:
        with anyio.move_on_after(patience):
            try:
                chunks.append(await stream.receive())
            except anyio.EndOfStream:
                break
            continue
        if patience == silence:
            return None
        patience = silence
        stuck = await anyio.to_thread.run_sync(suspect)
        if stuck is not None:
            raise ContextError(
                f"{stuck}: git waits for ever to read it: it is a FIFO",
                hint="Remove it, or put a regular file there.",
            )
    return b"".join(chunks)
