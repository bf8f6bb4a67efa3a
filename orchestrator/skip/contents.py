"""The content of a build context as one digest, without reading again what has not changed.

What was read is kept by path with its stamp (`langs.stamps`): when that is the same, so is the content. Only what was
at rest when it was read is kept: a file changed in the same tick of the clock as it was read would have the same times
with another content (git calls this racy). A kept file that is damaged or of another format counts as none.

A daemon has a copy of each context, and asks for a file again only when mode, size or modification time differ: a file
that was changed behind the same three would not be sent. Its change is seen here, and the context's `salt` becomes
another one, under which the daemon has no copy yet.

What is hashed is what BuildKit compares: type, permissions, content, targets of links, extended attributes. Times and
owners are not; a context's files belong to root for the daemon.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from langs.stamps import Stamp
from orchestrator import atomic, temporary
from orchestrator.buildkit.context import Context, Entry, is_file
from orchestrator.buildkit.session.tree import shown, unreadable
from orchestrator.errors import ContextError

_FORMAT = 3
_PIECE = 1 << 20
_REST_NS = 2_000_000_000
"""Longer than a tick of any file system's clock: FAT's is 2 s."""
_FINE_REST_NS = 100_000_000
"""The same for those that know parts of a second: exFAT's is 10 ms, as Linux' own is at most."""
_KEPT_SECONDS = 30 * 86_400

KeptFile = tuple[Stamp, bytes]
"""What was read then: SHA-256 of the content. A stamp without an inode number vouches for nothing."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A context at one moment."""

    digest: str
    """Of what a build sees of it: 64 hexadecimal digits."""
    state: bytes
    """Of all stamps: another one means that something was touched."""
    files: int


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of what is kept: what comes behind it need not be decoded."""

    format: int
    root: str
    salt: int


class _Kept(_Head, frozen=True, array_like=True):
    files: dict[bytes, KeptFile]


_Part = TypeVar("_Part", bound=_Head)


class Contents:
    """Reads contexts, and keeps what it has read in a directory.

    Synchronous, for worker threads; two of them may read different contexts at the same time.

    Args:
        directory: the operator's cache. What lies in it is trusted: it decides what is built.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, root: Path, ignore: str, *, check: Callable[[], None] = lambda: None) -> Read:
        """Hash a context.

        Args:
            root: its directory.
            ignore: the text of the `.dockerignore` that counts.
            check: raises when nobody waits for it any more.

        Raises:
            ContextError: something that is sent cannot be read.
        """
        return self._read(root, ignore, check)[0]

    def files(self, root: Path, ignore: str, *, check: Callable[[], None] = lambda: None) -> Mapping[bytes, KeptFile]:
        """What is known of the regular files that are sent, by their paths, when they have been read as by `read`.

        What cannot be read is left out: the daemon may never ask for it.

        Args:
            root: see `read`.
            ignore: see `read`.
            check: see `read`.

        Raises:
            ContextError: a directory that is sent cannot be listed.
        """
        return self._read(root, ignore, check, needed=False)[1]

    def _read(
        self, root: Path, ignore: str, check: Callable[[], None], *, needed: bool = True
    ) -> tuple[Read, Mapping[bytes, KeptFile]]:
        place = self._file(root, ignore)
        old = _load(place, root)
        kept, salt = old.files, old.salt
        files: dict[bytes, KeptFile] = {}
        whole, state = hashlib.sha256(), hashlib.sha256()
        count = 0
        with Context(root, ignore) as context:
            for path, entry in context.entries():
                check()
                name = os.fsencode(path)
                stamp = entry.stamp
                content = b""
                if is_file(entry):
                    count += 1
                    before = kept.get(name)
                    if before is not None and before[0] == stamp:
                        content = before[1]
                        files[name] = before
                    else:
                        began = time.time_ns()
                        try:
                            content = _hash(context, path, entry, check)
                        except ContextError:
                            if needed:
                                raise
                            continue
                        # No file has the number 0: what was not at rest is read again, but its content is known.
                        known = stamp if _is_at_rest(stamp, began) else (stamp[0], 0, *stamp[2:])
                        files[name] = (known, content)
                        if before is not None and before[0][3:5] == stamp[3:5] and before[1] != content:
                            salt = old.salt + 1
                whole.update(_line(name, entry, content))
                state.update(_touch(name, entry))
        if files != kept or salt != old.salt:
            _save(place, _Kept(_FORMAT, _name(root), salt, files))
        else:
            with suppress(OSError):
                os.utime(place)
        return Read(digest=whole.hexdigest(), state=state.digest(), files=count), files

    def salt(self, root: Path, ignore: str) -> int:
        """How often a file of a context was changed behind its size and time."""
        head = _decoded(self._file(root, ignore), root, _Head)
        return head.salt if head else 0

    def state(self, root: Path, ignore: str) -> bytes:
        """What `read` would call the state now, without reading any file.

        Raises:
            ContextError: something that is sent cannot be seen.
        """
        state = hashlib.sha256()
        with Context(root, ignore) as context:
            for path, entry in context.entries():
                state.update(_touch(os.fsencode(path), entry))
        return state.digest()

    def sweep(self) -> None:
        """Remove what has not been used for 30 days."""
        temporary.forget(self._directory, _KEPT_SECONDS)

    def _file(self, root: Path, ignore: str) -> Path:
        # The apps of a workspace have one root, of which each sees something else.
        said = hashlib.sha256(ignore.encode(errors="surrogateescape")).digest()
        return self._directory / hashlib.sha256(os.fsencode(root) + said).hexdigest()[:32]


def _load(place: Path, root: Path) -> _Kept:
    return _decoded(place, root, _Kept) or _Kept(_FORMAT, _name(root), 0, {})


def _decoded(place: Path, root: Path, kind: type[_Part]) -> _Part | None:
    try:
        kept = msgspec.msgpack.decode(place.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
    return kept if kept.format == _FORMAT and kept.root == _name(root) else None


def _save(place: Path, kept: _Kept) -> None:
    # Where nothing can be kept, nothing is.
    with suppress(OSError, OverflowError):
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(place, msgspec.msgpack.encode(kept))


def _name(root: Path) -> str:
    return os.fsencode(root).decode("utf-8", "backslashreplace")


def _is_at_rest(stamp: Stamp, now: int) -> bool:
    """Whether a change from now on (ns) would give it another stamp. A change's time cannot be set by anybody."""
    whole_seconds = stamp[5] % 1_000_000_000 == 0
    return max(stamp[4:]) + (_REST_NS if whole_seconds else _FINE_REST_NS) < now


def _hash(context: Context, path: str, entry: Entry, check: Callable[[], None]) -> bytes:
    digest = hashlib.sha256()
    file = context.open(path, entry.size)
    try:
        while piece := file.read(_PIECE):
            digest.update(piece)
            check()
    except OSError as error:
        raise unreadable(shown(path), error) from error
    finally:
        file.close()
    return digest.digest()


def _touch(name: bytes, entry: Entry) -> bytes:
    """What differs when an entry was touched."""
    return repr((name, entry.link, entry.stamp)).encode()


def _line(name: bytes, entry: Entry, content: bytes) -> bytes:
    xattrs = sorted(entry.xattrs.items())
    # Every part is of a type whose text says where it ends.
    return repr((name, entry.mode, os.fsencode(entry.link), entry.device, xattrs, content)).encode()
