"""The real paths of many directories that lie beside each other: what is above them is resolved once."""

import os
import stat


class Real:
    """Resolves directories. Its answers are those of one moment: it is for one command."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._found: dict[str, str | None] = {}

    def directory(self, path: str) -> str | None:
        """The path without links of the directory at an absolute path; None where there is none to be seen."""
        if path not in self._found:
            self._found[path] = self._resolved(path)
        return self._found[path]

    def _resolved(self, path: str) -> str | None:
        above, _, name = path.rpartition("/")
        try:
            if name not in {"", ".", ".."}:
                if above not in self._above:
                    self._above[above] = os.path.realpath(above or "/", strict=True).rstrip("/")
                real = f"{self._above[above]}/{name}"
                mode = os.lstat(real).st_mode
                if not stat.S_ISLNK(mode):
                    return real if stat.S_ISDIR(mode) else None
            real = os.path.realpath(path, strict=True)
            return real if os.path.isdir(real) else None  # noqa: PTH112 -- is_dir raises where it may not look
        except (OSError, ValueError):
            return None
