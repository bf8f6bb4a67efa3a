"""What a daemon is sent of a build context, for whoever must know it before there is a build.

The walk and the patterns are those of FileSync, so what is left out here is what is left out there. Only the lines of
`.dockerignore` are read here, as the daemon does it (ignorefile/ignorefile.go, moby/patternmatcher v0.6.0); which files
a `COPY` names is not looked at, so this is what a build may read at most.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from orchestrator.buildkit.session.directory import DirectoryTree
from orchestrator.buildkit.session.gopath import clean
from orchestrator.buildkit.session.patterns import TOP, Filter
from orchestrator.buildkit.session.tree import MODE_TYPE, Entry, File, walk

__all__ = ["Chosen", "Context", "Entry", "patterns"]


def patterns(ignore: str) -> tuple[str, ...]:
    """The patterns of a `.dockerignore`."""
    found: list[str] = []
    # Not `splitlines`, which knows more ends of a line than the daemon does.
    for line in ignore.removeprefix("\ufeff").split("\n"):
        if line.startswith("#"):
            continue
        text = line.strip()
        inverted = text.startswith("!")
        text = text[1:].strip() if inverted else text
        if text:
            text = clean(text)
            text = text[1:] if len(text) > 1 and text.startswith("/") else text
        if text or inverted:
            found.append(f"!{text}" if inverted else text)
    return tuple(found)


class Chosen:
    """Which paths are sent of a context, also of one that is not there any more.

    Args:
        ignore: the text of the `.dockerignore` that counts.

    Raises:
        ContextError: a pattern is malformed.
    """

    def __init__(self, ignore: str) -> None:
        self._filter = Filter(exclude=patterns(ignore))

    def holds(self, path: str, *, directory: bool = False) -> bool:
        """Whether a path is sent.

        Args:
            path: relative to the context.
            directory: whether it is one, of which something below may be sent.

        Raises:
            ContextError: a pattern is malformed.
        """
        verdict = self._filter.decide(path[: path.find("/")] if "/" in path else path, TOP)
        for at in (index for index, character in enumerate(path) if character == "/"):
            if not verdict.descend:
                return False
            end = path.find("/", at + 1)
            verdict = self._filter.decide(path if end < 0 else path[:end], verdict.inherited)
        return verdict.send or (directory and verdict.descend)


class Context:
    """A directory as a build context: what of it is sent. A context manager; synchronous, for a worker thread.

    Args:
        root: the directory.
        ignore: the text of the `.dockerignore` that counts.

    Raises:
        ContextError: it is missing, or no directory, or a pattern is malformed.
    """

    def __init__(self, root: Path, ignore: str) -> None:
        self._chosen = Filter(exclude=patterns(ignore))
        self._tree = DirectoryTree(root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tree.close()

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """What is sent: paths relative to the root, a directory before its children, in an order of its own.

        Raises:
            ContextError: something cannot be read.
        """
        return walk(self._tree, self._chosen)

    def open(self, path: str, size: int) -> File:
        """Opens a regular file of this size (bytes).

        Raises:
            ContextError: it is not that any more.
        """
        return self._tree.open(path, size)


def is_file(entry: Entry) -> bool:
    """Whether it has content. A socket is sent as an empty file."""
    return not entry.mode & MODE_TYPE
