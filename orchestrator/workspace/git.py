"""What git knows of a source, asked in a way in which nothing inside the source can make git run a command.

The repository's own configuration is not trusted. Of what it can say, these make `ls-files` or `rev-parse` start a
program, and are shut: `core.fsmonitor` (a hook by name), a lazy fetch of missing objects through a remote's URL or
`uploadpack` (`GIT_ALLOW_PROTOCOL`, `GIT_NO_LAZY_FETCH`), a pager (standard output is a pipe, and `--no-pager`). A bare
repository planted in a subdirectory is not opened (`safe.bareRepository`, git 2.38). With these shut it is safe to
read repositories of other owners, as containers meet them (`safe.directory`).
"""

from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec

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


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a source that are not ignored, as paths from the source's root."""

    files: tuple[str, ...]
    nested: tuple[str, ...]
    """Submodules and repositories inside, which git does not look into."""


async def list_files(root: Path, environment: Mapping[str, str]) -> Listing | None:
    """The tracked and the untracked files that are not ignored, or None when git cannot tell.

    Args:
        root: the source; it may be a subdirectory of a work tree.
        environment: of the git process, without `GIT_*` of the caller (`Environment.for_git`).
    """
    words = ("ls-files", "-z", "-t", "--stage", "--cached", "--others", "--exclude-standard")
    output = await _run(root, words, environment)
    return None if output is None else parse_listing(output)


def parse_listing(output: bytes) -> Listing:
    """Read `git ls-files -z -t --stage --others`: `H <mode> <id> <stage>TAB<path>` or `? <path>`, each NUL-ended.

    Undecodable bytes of names become lone surrogates, as in all of Python's paths.
    """
    files: dict[str, None] = {}
    nested: dict[str, None] = {}
    for entry in output.split(b"\0"):
        tag, _, rest = entry.partition(b" ")
        if not rest:
            continue
        mode = b""
        if tag != b"?":
            stage, _, rest = rest.partition(b"\t")
            mode = stage[:6]
        path = rest.decode("utf-8", "surrogateescape")
        if path.endswith("/") or mode == _GITLINK:
            nested[path.rstrip("/")] = None
        else:
            files[path] = None
    return Listing(files=tuple(files), nested=tuple(nested))


async def head(root: Path, environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The branch and the full revision that are checked out, each None when there is none."""
    revision = await _run(root, ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), environment)
    branch = await _run(root, ("symbolic-ref", "--quiet", "--short", "HEAD"), environment)
    return _line(branch), _line(revision)


def _line(output: bytes | None) -> str | None:
    return (output or b"").decode("utf-8", "replace").strip() or None


async def _run(root: Path, words: tuple[str, ...], environment: Mapping[str, str]) -> bytes | None:
    try:
        done = await anyio.run_process([*_GIT, *words], cwd=root, env=environment, check=False)
    except (FileNotFoundError, PermissionError):
        return None
    return done.stdout if done.returncode == 0 else None
