"""Modification times that outlive a checkout: a daemon that has a file is not sent it again.

A daemon has a copy of each context, and asks for a file when mode, size or modification time differ. A fresh clone
gives every file another time, so all would be sent again, though nothing that is built depends on times. So what is
told is not the file's own time but the one at which this content was first sent from this path, which a ledger keeps:
of each context the tree that was sent last.

No result may differ by that. A path's time never goes back within a ledger, and other content has another time, by
more than a second, also where its size and its own time are the same. What cannot be vouched for when it is announced,
as it may be changing, is told with a time that nothing else has had and that is never noted; and of what has changed
between that and the end of its being read, the ledger forgets what it knew.

A copy belongs to who keeps the ledger, and not to a machine: `identity` is a part of the copies' names.
"""

import hashlib
import os
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec

from langs.stamps import stamp
from orchestrator import atomic, temporary
from orchestrator.buildkit.context import Entry
from orchestrator.skip.contents import Contents, KeptFile

_FORMAT = 1
_SECOND = 1_000_000_000
_LATER = 4 * _SECOND
"""Above whatever was told of a path without being noted (`_UNVOUCHED`, and what attributes add)."""
_UNVOUCHED = 2 * _SECOND
_RANDOM_BITS = 20
"""Of a time's nanoseconds: one millisecond. Two processes that know nothing of each other give different times."""
_KEPT_SECONDS = 30 * 86_400
_IDENTITY = "identity"

Sent = tuple[bytes, Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]]
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
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        directory.mkdir(parents=True, exist_ok=True)
        self.identity = _identity(directory / _IDENTITY)
        """Of the ledger, wherever it is mounted."""

    def clock(self, name: str, root: Path, ignore: str, *, check: Callable[[], None] = lambda: None) -> "Announced":
        """Look at a context's files, and note what is new.

        Args:
            name: of the daemon's copy; letters and digits.
            root: the context's directory.
            ignore: the text of the `.dockerignore` that counts.
            check: raises when nobody waits for it any more.

        Raises:
            ContextError: what is sent cannot be listed.
        """
        with self._locks[name]:
            files = self._contents.files(root, ignore, check=check)
            before = _load(self._directory / name)
            now = _with_chance(time.time_ns())
            sent = {path: _sent(kept[1], before.get(path), now) for path, kept in files.items()}
            self._keep(name, sent, changed=sent != before)
        return Announced(files, sent, now + _UNVOUCHED, forget=lambda path: self._forget(name, path))

    def sweep(self) -> None:
        """Remove what has not been used for 30 days."""
        temporary.sweep(self._directory)
        temporary.forget(self._directory, _KEPT_SECONDS)

    def _forget(self, name: str, path: bytes) -> None:
        with self._locks[name]:
            sent = _load(self._directory / name)
            if sent.pop(path, None) is not None:
                self._keep(name, sent, changed=True)

    def _keep(self, name: str, sent: Mapping[bytes, Sent], *, changed: bool) -> None:
        place = self._directory / name
        # What is not noted is sent again.
        with suppress(OSError):
            if changed:
                atomic.write(place, msgspec.msgpack.encode(_Ledger(_FORMAT, dict(sent))))
            else:
                os.utime(place)


class Announced:
    """What a daemon is told of a context's files: a `Clock`."""

    def __init__(
        self,
        files: Mapping[bytes, KeptFile],
        sent: Mapping[bytes, Sent],
        unvouched: int,
        *,
        forget: Callable[[bytes], None],
    ) -> None:
        self._files = files
        self._sent = sent
        self._unvouched = unvouched
        self._forget = forget

    def time(self, path: str, entry: Entry) -> int:
        """See `Clock`."""
        name = os.fsencode(path)
        kept = self._files.get(name)
        if kept is None or kept[0] != entry.stamp:
            return _with_chance(self._unvouched)
        # A daemon does not compare extended attributes.
        return self._sent[name][1] + (_fraction(entry.xattrs) if entry.xattrs else 0)

    def read(self, path: str, status: os.stat_result) -> None:
        """See `Clock`."""
        name = os.fsencode(path)
        kept = self._files.get(name)
        if kept is not None and kept[0][1] and kept[0] != stamp(status):
            self._forget(name)


def _with_chance(moment: int) -> int:
    return (moment >> _RANDOM_BITS << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS)


def _fraction(xattrs: Mapping[str, bytes]) -> int:
    digest = hashlib.sha256(repr(sorted(xattrs.items())).encode())
    return int.from_bytes(digest.digest()[:8]) % _SECOND


def _sent(content: bytes, before: Sent | None, now: int) -> Sent:
    if before is None:
        return content, now
    return before if before[0] == content else (content, max(now, _with_chance(before[1] + _LATER)))


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
