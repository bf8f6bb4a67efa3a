"""The real paths of many directories that lie beside and below each other: each is looked at once."""

import os
import stat

from langs.stamps import Look, stamp_of


class Real:
    """Resolves directories. Its answers are those of one moment: it is for one command.

    Args:
        look: may have looked at some of them before.
    """

    def __init__(self, look: Look = stamp_of) -> None:
        self._look = look
        self._found: dict[str, str | None] = {}

    def directory(self, path: str) -> str | None:
        """The path without links of the directory at an absolute path; None where there is none to be seen."""
        unknown: list[str] = []
        above = path
        while above and above not in self._found:
            unknown.append(above)
            above = above.rpartition("/")[0]
        for each in reversed(unknown):
            self._found[each] = self._resolved(each)
        return self._found.get(path)

    def _resolved(self, path: str) -> str | None:
        above, _, name = path.rpartition("/")
        try:
            if above and name not in {"", ".", ".."}:
                parent = self._found[above]
                if parent is None:
                    return None
                real = f"{parent.rstrip('/')}/{name}"
                stamp = self._look(real)
                if not stamp or not stat.S_ISLNK(stamp[2]):
                    return real if stamp and stat.S_ISDIR(stamp[2]) else None
            real = os.path.realpath(path, strict=True)
            return real if os.path.isdir(real) else None  # noqa: PTH112 -- is_dir raises where it may not look
        except (OSError, ValueError):
            return None
