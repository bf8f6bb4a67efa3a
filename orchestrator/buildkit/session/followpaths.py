"""From the paths a build copies to the patterns that include them: fsutil's FollowLinks.

`COPY link/file` needs the link, what it points to, and the file below that. Each part of a path is looked at from left
to right; a symlink adds itself and goes on with its target, taken as inside the root however many `..` it holds. A part
with wildcards stands for the symlinks among its matches. What does not exist is kept: the daemon says what is missing.
Facts: tonistiigi/fsutil followlinks.go, v0.0.0-20251211185533.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from orchestrator.buildkit.session import gopath


class Links(Protocol):
    """The questions that following links asks of a tree. Paths are relative, `/` between their parts.

    Both raise `ContextError` for what exists but cannot be read, and never follow a symlink on their way.
    """

    def link(self, path: str) -> str | None:
        """The target of a symlink as it is; None for anything else, and for nothing at all."""
        ...

    def names(self, path: str) -> Sequence[str]:
        """The names in a directory (`.`: the root), sorted; empty for anything else."""
        ...


def follow(tree: Links, paths: Iterable[str]) -> tuple[str, ...] | None:
    """The include patterns for `paths`, sorted; None when one of them is the root and so everything is meant.

    Raises:
        ContextError: a directory or a link on the way cannot be read.
    """
    resolved: set[str] = set()
    waiting = list(paths)[::-1]
    while waiting:
        _follow(tree, gopath.join(".", waiting.pop()), resolved, waiting)
    return without_nested(sorted(resolved))


def without_nested(patterns: Sequence[str]) -> tuple[str, ...] | None:
    """Drops a pattern that is below the one last kept; None when one is the root."""
    kept: list[str] = []
    for pattern in patterns:
        if pattern == ".":
            return None
        if not pattern.startswith(f"{kept[-1] if kept else ''}/"):
            kept.append(pattern)
    return tuple(kept)


def _follow(tree: Links, path: str, resolved: set[str], waiting: list[str]) -> None:
    if path == ".." or path.startswith("../"):
        # Such a pattern matches nothing; looking it up would leave the root.
        resolved.add(path)
        return
    parts = path.split("/")
    for number in range(1, len(parts) + 1):
        current = "/".join(parts[:number])
        rest = "/".join(parts[number:])
        targets = _targets(tree, current)
        if not targets and rest:
            continue
        if current not in resolved:
            resolved.add(current)
            waiting.extend(gopath.join(target, rest) for target in reversed(targets))
        # A link is followed once: that ends every cycle.
        return


def _targets(tree: Links, path: str) -> list[str]:
    parent, _, base = path.rpartition("/")
    if not _has_wildcards(base):
        candidates = [path]
    else:
        candidates = [gopath.join(parent, name) for name in tree.names(parent or ".") if _matches(base, name)]
    out: list[str] = []
    for candidate in candidates:
        target = None if candidate == "." else tree.link(candidate)
        if target is not None:
            # Joining with "/" first keeps any number of ".." inside the root.
            out.append(gopath.clean(target) if target.startswith("/") else gopath.join("/", parent, target))
    return out


def _matches(pattern: str, name: str) -> bool:
    try:
        return gopath.match(pattern, name)
    except gopath.BadPatternError:
        return False


def _has_wildcards(name: str) -> bool:
    escaped = False
    for char in name:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in "*?[":
            return True
    return False
