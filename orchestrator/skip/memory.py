"""What every app was made of when it was built last: only so that a build's reason can be told.

One file for a source, in the operator's cache; whether something is built never depends on it.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrator import atomic

_FORMAT = 1


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """One build."""

    parts: Mapping[str, str]
    """See `inputs.Inputs`."""
    digest: str
    """Of the image."""
    revision: str | None = None


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    apps: dict[str, Remembered]


class Memory:
    """The last builds of one source.

    Args:
        directory: the operator's cache.
        root: the source.
    """

    def __init__(self, directory: Path, root: Path) -> None:
        self._file = directory / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json"
        self._apps: dict[str, Remembered] | None = None
        self._changed = False

    def recall(self, app: str) -> Remembered | None:
        """The last build of an app, by its path."""
        if self._apps is None:
            self._apps = self._load()
        return self._apps.get(app)

    def remember(self, app: str, built: Remembered) -> None:
        """Take note of a build; it is written by `save`."""
        if self._apps is None:
            self._apps = self._load()
        self._apps[app] = built
        self._changed = True

    def save(self) -> None:
        """Write it down. Where nothing can be written, nothing is."""
        if not self._changed or self._apps is None:
            return
        # Another run may have written meanwhile: what it built stays.
        encoded = msgspec.json.encode(_Kept(format=_FORMAT, apps=self._load() | self._apps))
        with suppress(OSError):
            atomic.write(self._file, encoded)

    def _load(self) -> dict[str, Remembered]:
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return {}
        return kept.apps if kept.format == _FORMAT else {}
