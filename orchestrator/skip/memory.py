"""What every app was made of when it was built last, and where: for the reason, the place and the turn of its build.

One file for a source, in the operator's cache; whether something is built never depends on it.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrator import atomic

_FORMAT = 2
_MOST_HOSTS = 3
"""Of an app: what lies on others is collected before long."""
_MOST_COMPARED = 8
"""Hosts on which it is known how long an app took."""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """One build."""

    parts: Mapping[str, str]
    """See `inputs.Inputs`."""
    digest: str
    """Of the image."""
    references: tuple[str, ...] = ()
    """Under which it was published."""
    revision: str | None = None


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    apps: dict[str, Remembered] = {}
    seconds: dict[str, float] = {}
    needed: dict[str, int] = {}
    available: dict[str, int] = {}
    hosts: dict[str, tuple[str, ...]] = {}
    whole: dict[str, dict[str, float]] = {}


class Memory:
    """The last builds of one source.

    Args:
        directory: the operator's cache.
        root: the source.
    """

    def __init__(self, directory: Path, root: Path) -> None:
        self._file = directory / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.json"
        self._kept: _Kept | None = None
        self._changed = False

    def recall(self, app: str) -> Remembered | None:
        """The last build of an app, by its path."""
        return self._known().apps.get(_name(app))

    def remember(self, app: str, built: Remembered) -> None:
        """Take note of a build; it is written by `save`."""
        self._known().apps[_name(app)] = built
        self._changed = True

    def seconds(self, app: str) -> float | None:
        """How long an app took when something of it had to be executed, by its path."""
        return self._known().seconds.get(_name(app))

    def took(self, app: str, seconds: float) -> None:
        """Take note of how long an app took."""
        self._known().seconds[_name(app)] = seconds
        self._changed = True

    def needed(self, app: str) -> int | None:
        """Bytes of memory that an app's build needed, by its path."""
        return self._known().needed.get(_name(app))

    def used(self, app: str, needed: int, *, whole: bool) -> None:
        """Take note of what a build needed.

        Args:
            app: its path.
            needed: bytes of memory.
            whole: whether all of it was executed; else it may need more another time.
        """
        known = self._known().needed
        known[_name(app)] = needed if whole else max(needed, known.get(_name(app), 0))
        self._changed = True

    def available(self, builder: str) -> int:
        """Bytes of memory that a builder had to give, by its address; 0 where that is not known."""
        return self._known().available.get(builder, 0)

    def had(self, builder: str, available: int) -> None:
        """Take note of what a builder had to give."""
        self._known().available[builder] = available
        self._changed = True

    def hosts(self, app: str) -> tuple[str, ...]:
        """The builders that an app was built on last, by its path; their addresses, the latest first."""
        return self._known().hosts.get(_name(app), ())

    def built_on(self, app: str, host: str) -> None:
        """Take note of where an app was built."""
        others = [each for each in self.hosts(app) if each != host]
        self._known().hosts[_name(app)] = (host, *others)[:_MOST_HOSTS]
        self._changed = True

    @property
    def whole(self) -> Mapping[str, Mapping[str, float]]:
        """Seconds that builds took of which nothing was cached, by the app and by the host."""
        return self._known().whole

    def cold(self, app: str) -> float | None:
        """Seconds that builds of an app took of which nothing was cached, by its path; their mean over hosts."""
        took = self.whole.get(_name(app))
        return sum(took.values()) / len(took) if took else None

    def took_whole(self, app: str, host: str, seconds: float) -> None:
        """Take note of how long an app took on a host, of which nothing was cached; by its path."""
        others = {each: known for each, known in self.whole.get(_name(app), {}).items() if each != host}
        latest = list(others.items())[-_MOST_COMPARED + 1 :]
        self._known().whole[_name(app)] = {**dict(latest), host: seconds}
        self._changed = True

    def save(self) -> None:
        """Write it down. Where nothing can be written, nothing is."""
        if not self._changed:
            return
        # Another run may have written meanwhile: what it built stays.
        old, new = self._load(), self._known()
        kept = _Kept(
            format=_FORMAT,
            apps=old.apps | new.apps,
            seconds=old.seconds | new.seconds,
            needed=old.needed | new.needed,
            available=old.available | new.available,
            hosts=old.hosts | new.hosts,
            whole=old.whole | new.whole,
        )
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(self._file, msgspec.json.encode(kept))

    def _known(self) -> _Kept:
        if self._kept is None:
            self._kept = self._load()
        return self._kept

    def _load(self) -> _Kept:
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            kept = _Kept(format=0)
        return kept if kept.format == _FORMAT else _Kept(format=_FORMAT)


def _name(app: str) -> str:
    """An app's path as JSON can hold it: bytes that are no UTF-8 are escaped."""
    return app.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
