"""Files that exist in memory only, as a tree.

The daemon keeps its copy of a file when size and time agree, so a generated Dockerfile with `3.12` in place of `3.11`
would never arrive under a fixed time. The time is therefore made of the content: equal content gives equal bytes on the
wire, other content another time.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence

from orchestrator.buildkit.session import gopath
from orchestrator.buildkit.session.tree import MODE_DIR, Entry, File, changed, shown
from orchestrator.errors import ContextError

_EPOCH = 10**18
"""September 2001, in nanoseconds."""
_SPAN = 2**59
"""18 years: no time lies in the future, where `make` would complain."""


class MemoryTree:
    """Files by relative path; their directories come by themselves.

    Raises:
        ContextError: a path leaves the tree, is not in its shortest form, or is both a file and a directory.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._directories: dict[str, dict[str, Entry]] = {"": {}}
        for path, content in files.items():
            if path != gopath.clean(path) or path.startswith("/") or path.split("/")[0] in (".", ".."):
                raise _bad_path(path, "is not a clean relative path")
            *parents, name = path.split("/")
            directory = ""
            for parent in parents:
                siblings = self._directories[directory]
                directory = f"{directory}/{parent}" if directory else parent
                if directory in files:
                    raise _bad_path(directory, "is both a file and a directory")
                siblings[parent] = Entry(parent, MODE_DIR | 0o755, 0, _EPOCH)
                self._directories.setdefault(directory, {})
            self._directories[directory][name] = Entry(name, 0o644, len(content), _time(content))

    def describe(self, path: str) -> str:
        """See `Tree`."""
        return f"{shown(path)} (generated)"

    def close(self) -> None:
        """See `Tree`."""

    def children(self, path: str) -> Sequence[Entry]:
        """See `Tree`."""
        entries = self._directories[path]
        return [entries[name] for name in sorted(entries)]

    def link(self, path: str) -> str | None:  # noqa: ARG002 - the protocol's; there are no symlinks in memory
        """See `Links`."""
        return None

    def names(self, path: str) -> Sequence[str]:
        """See `Links`."""
        return sorted(self._directories.get("" if path == "." else path, ()))

    def open(self, path: str, size: int) -> File:
        """See `Tree`."""
        content = self._files[path]
        if len(content) != size:
            raise changed(self.describe(path), "changed its size")
        return io.BytesIO(content)


def _time(content: bytes) -> int:
    return _EPOCH + int.from_bytes(hashlib.sha256(content).digest()[:8]) % _SPAN


def _bad_path(path: str, what: str) -> ContextError:
    return ContextError(f"the generated file {shown(path)} {what}", hint="This is an error of fleetpacks: report it.")
