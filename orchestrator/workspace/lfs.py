"""Files that Git LFS has not fetched: in their place lie pointers, and an image would hold those.

Git says which files LFS manages, and is asked only where a `.gitattributes` speaks of it. Of files that are not tracked
it cannot say so in one question (2.39 knows no attributes of files in untracked directories): these are looked at,
whatever their names, and without git all files are. The pointers' format:
https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from orchestrator.model import App
from orchestrator.workspace import git
from orchestrator.workspace.files import printable, read_head, walk

ATTRIBUTES = ".gitattributes"
_MARK = b"filter=lfs"
_POINTER = b"version https://git-lfs.github.com/spec/"
_LONGEST = 1024
"""Bytes of a pointer, at most."""
_MAX_ATTRIBUTES = 1 << 20


async def pointers(root: Path, files: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the source's files that are pointers.

    Args:
        root: the source.
        files: those of its files that have the name `ATTRIBUTES`, as paths from the root; others do no harm.
        environment: of a git process (`Environment.for_git`).

    Raises:
        ContextError: git waits for something that does not come.
    """
    if not await anyio.to_thread.run_sync(_is_spoken_of, root, files):
        return ()
    said = await git.ask(root, ("ls-files", "-z", "--", ":(attr:filter=lfs)"), environment)
    untracked = await git.ask(root, ("ls-files", "-z", "--others", "--exclude-standard"), environment)
    if said is None or untracked is None or said.code or untracked.code:
        return await anyio.to_thread.run_sync(lambda: _unfetched(root, walk(root)))
    return await anyio.to_thread.run_sync(_unfetched, root, (*said.names, *untracked.names))


def warnings(root: Path, apps: Iterable[App], found: Sequence[str]) -> tuple[str, ...]:
    """What is to be said of apps whose builds would read pointers; apart from `root`, as `pointers`."""
    said: list[str] = []
    for app in apps if found else ():
        own = app.directory.relative_to(root).as_posix()
        read = [
            file
            for file in found
            if own == "." or any(file.startswith(f"{directory}/") for directory in (own, *app.packages))
        ]
        if read:
            more = f" (+{len(read) - 1} more)" if len(read) > 1 else ""
            said.append(
                f"{printable(app.path)}: {printable(read[0])}{more}: only the pointer of Git LFS is here, and would "
                "stand in the image: run git lfs pull"
            )
    return tuple(said)


def _is_spoken_of(root: Path, files: Sequence[str]) -> bool:
    return any(
        _MARK in read_head(f"{root}/{file}", _MAX_ATTRIBUTES)
        for file in files
        if file == ATTRIBUTES or file.endswith(f"/{ATTRIBUTES}")
    )


def _unfetched(root: Path, managed: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(managed)
    return tuple(sorted(file for file in found if _is_pointer(f"{root}/{file}")))


def _is_pointer(path: str) -> bool:
    try:
        small = os.lstat(path).st_size <= _LONGEST
    except OSError:
        return False
    return small and read_head(path, _LONGEST).startswith(_POINTER)
