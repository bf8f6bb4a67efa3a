"""What one `.gitignore` says of the paths below it, in a walk that does not enter what is ignored.

A pattern speaks of a whole path or, when no slash stands before its end, of a name alone: as most do, and of tens of
thousands of files few names are new. As in git the last pattern that means a path decides, and one that means a
directory says nothing of what is in it: where it is ignored, nobody asks.
"""

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_MARK = "ps_d"
_Numbered: TypeAlias = tuple[int, re.Pattern[str], bool]
"""A line's number, its pattern, and whether that ignores what it means."""


def ignore_spec(lines: list[str] | tuple[str, ...]) -> "GitIgnoreSpec":
    """Patterns in .gitignore syntax; like git, a pattern that means nothing is passed over."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 -- start-up counts: git knows most sources' patterns

    def is_pattern(line: str) -> bool:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            return False
        return True

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines(filter(is_pattern, lines))


class Ignored:
    """The patterns of one file.

    Args:
        lines: the file's.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._of_names: list[_Numbered] = []
        self._of_paths: list[_Numbered] = []
        self._names: dict[str, tuple[int, bool | None]] = {}
        for index, line in enumerate(lines):
            compiled = _compiled(line)
            if compiled is not None:
                of_name = "/" not in line.rstrip(" ").removeprefix("!")[:-1]
                (self._of_names if of_name else self._of_paths).insert(0, (index, *compiled))

    def said(self, path: str, name: str) -> bool | None:
        """Whether a path is ignored; None when nothing is said of it.

        Args:
            path: from the file's directory, with a slash behind a directory's.
            name: the last part of it, with the same slash.
        """
        if name not in self._names:
            self._names[name] = _last(self._of_names, name)
        index, ignored = self._names[name]
        if self._of_paths and self._of_paths[0][0] > index:
            later, told = _last(self._of_paths, path)
            return told if later > index else ignored
        return ignored


@functools.lru_cache(maxsize=1024)
def _compiled(line: str) -> tuple[re.Pattern[str], bool] | None:
    """A line's pattern, and whether it ignores; None where it is none. Many files of a monorepo have the same lines."""
    # pathspec does not say of what its regular expressions are.
    patterns: Any = ignore_spec([line]).patterns
    for pattern in patterns:
        if pattern.regex is not None and pattern.include is not None:
            return pattern.regex, pattern.include
    return None


def _last(patterns: list[_Numbered], text: str) -> tuple[int, bool | None]:
    """The line of the last pattern that means `text`, and whether that ignores it."""
    for index, regex, include in patterns:
        match = regex.search(text)
        # pathspec marks the slash behind a directory that is meant; without a mark, what is in it is (`a/**`).
        if match and (match.lastgroup == _MARK) == (text.endswith("/") and match.end() == len(text)):
            return index, include
    return -1, None
