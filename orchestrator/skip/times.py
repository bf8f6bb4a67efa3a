"""Modification times that outlive a checkout: a daemon that has a file is not sent it again.

A daemon has a copy of each context, and asks for a file when mode, size or modification time differ. A fresh clone
gives every file another time, so all would be sent again, though nothing that is built depends on times. So what is
told is not the file's own time but the one at which this content was first sent from this path, which a ledger keeps:
of each context the tree that was sent last.

No result may differ by that. A path's time never goes back within a ledger, and other content has another time, by
more than a second, also where its size and its own time are the same. What cannot be vouched for when it is sent, as it
may be changing, is told with a time that nothing else has had.

A copy belongs to who keeps the ledger, and not to a machine: `identity` is a part of the copies' names.
"""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from orchestrator import atomic, temporary
from orchestrator.buildkit.context import Entry
from orchestrator.skip.contents import Contents, KeptFile, stamp_of

_FORMAT = 1
_SECOND = 1_000_000_000
_RANDOM_BITS = 20
"""Of a time's nanoseconds: one millisecond. Two processes that know nothing of each other give different times."""
_KEPT_SECONDS = 30 * 86_400
_IDENTITY = "identity"

Sent = tuple[bytes, int]
"""SHA-256 of a file's content, and the time (ns) that goes with it."""


class _Ledger(msgspec.Struct, frozen=True, array_like=True):
    format: int
    files: dict[bytes, Sent]


class Times:
    """Keeps the times of what is sent in a directory. Synchronous, for worker threads.

    Args:
        directory: the operator's cache.
        contents: knows the content of files.

    Raises:
        OSError: nothing can be kept there.
    """

    def __init__(self, directory: Path, contents: Contents) -> None:
        self._directory = directory
        self._contents = contents
        directory.mkdir(parents=True, exist_ok=True)
        self.identity = _identity(directory / _IDENTITY)
        """Of the ledger, wherever it is mounted."""

    def clock(self, name: str, root: Path, ignore: str) -> Callable[[str, Entry], int]:
        """Look at a context's files, and note what is new. The answer gives the time (ns) of each.

        Args:
            name: of the daemon's copy; letters and digits.
            root: the context's directory.
            ignore: the text of the `.dockerignore` that counts.

        Raises:
            ContextError: something that is sent cannot be read.
        """
        place = self._directory / name
        files = self._contents.files(root, ignore)
        before = _load(place)
        now = (time.time_ns() >> _RANDOM_BITS << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS)
        sent = {path: _sent(kept[5], before.get(path), now) for path, kept in files.items()}
        try:
            if sent != before:
                atomic.write(place, msgspec.msgpack.encode(_Ledger(_FORMAT, sent)))
            else:
                os.utime(place)
        except OSError:
            # What is not noted is sent again.
            pass
        return _Clock(files, sent, now)

    def sweep(self) -> None:
        """Remove what has not been used for 30 days."""
        temporary.sweep(self._directory)
        temporary.forget(self._directory, _KEPT_SECONDS)


class _Clock:
    def __init__(self, files: Mapping[bytes, KeptFile], sent: Mapping[bytes, Sent], now: int) -> None:
        self._files = files
        self._sent = sent
        self._now = now

    def __call__(self, path: str, entry: Entry) -> int:
        name = os.fsencode(path)
        kept = self._files.get(name)
        if kept is not None and kept[:5] == stamp_of(entry):
            return self._sent[name][1]
        return self._now


def _sent(content: bytes, before: Sent | None, now: int) -> Sent:
    if before is None:
        return content, now
    return before if before[0] == content else (content, max(now, before[1] + _SECOND))


def _load(place: Path) -> dict[bytes, Sent]:
    try:
        ledger = msgspec.msgpack.decode(place.read_bytes(), type=_Ledger)
    except (OSError, msgspec.DecodeError):
        return {}
    return ledger.files if ledger.format == _FORMAT else {}


def _identity(place: Path) -> str:
    try:
        os.utime(place)
        known = place.read_text("ascii")
        if known.isalnum():
            return known
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    made = secrets.token_hex(16)
    atomic.write(place, made.encode())
    # Another process may have been as fast.
    return place.read_text("ascii")
