"""A new generation of an app's cache, while a builder writes it.

Each blob is hashed as it comes, and is on the disk before it has its name. One that the current generation has is
looked through again and linked, so nothing is sent twice and nothing that has rotted is kept. The generation counts
from one rename on, which comes last.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import msgspec

from orchestrator.cache import blobs
from orchestrator.cache.blobs import DamagedError, Descriptor
from orchestrator.cache.local import Current, LostError, Store, made
from orchestrator.errors import OutputError, ProtocolError

_TAG = "latest"
"""What BuildKit's own client looks for in an index."""


class Part:
    """One blob, as far as it has come.

    Args:
        generation: what it belongs to.
        path: where it is written.
    """

    def __init__(self, generation: "Generation", path: Path) -> None:
        self._generation = generation
        self._path = path
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self.offset = 0
        """Bytes so far."""

    def write(self, data: bytes) -> None:
        """Add to it.

        Raises:
            OutputError: there is no room for it.
        """
        self._generation.take(len(data))
        try:
            self._file.write(data)
        except OSError as error:
            raise self._generation.unwritable(error) from error
        self._hash.update(data)
        self.offset += len(data)

    def restart(self) -> None:
        """Forget what has come."""
        self._generation.take(-self.offset)
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.offset = 0

    def commit(self, *, size: int, digest: str) -> str:
        """Make it a blob.

        Args:
            size: what it should have; 0: nobody said.
            digest: what it should be; empty: nobody said.

        Returns:
            Its digest.

        Raises:
            ProtocolError: it is something else.
            OutputError: it cannot be written.
        """
        name = self._hash.hexdigest()
        if (digest and digest != f"sha256:{name}") or (size and size != self.offset):
            expected = f"{digest or 'a blob'} of {size or 'any number of'} bytes"
            offset = self.offset
            self.discard()
            raise ProtocolError(
                f"the builder sent sha256:{name} of {offset} bytes for a cache; expected {expected}",
                hint="Something between here and the builder changes what passes through it.",
            )
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            with self._generation.entering():
                self._path.replace(self._generation.blobs / name)
        except OSError as error:
            self.discard()
            raise self._generation.unwritable(error) from error
        return f"sha256:{name}"

    def discard(self) -> None:
        """Forget it."""
        self._generation.take(-self.offset)
        self.offset = 0
        # What was not written yet may still find no room.
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)


class Generation:
    """What a builder writes.

    Args:
        store: the app's cache.
        limit: bytes that it may send.

    Raises:
        OutputError: the directory cannot be written.
    """

    def __init__(self, store: Store, *, limit: int) -> None:
        self._store = store
        self.problem: OutputError | None = None
        """Why something could not be written, the last time."""
        self._left = limit
        self._limit = limit
        self._counting = Lock()
        self._numbers = count()
        self._committed = False
        self._closed = False
        self._naming = Lock()
        self._begun: list[Part] = []
        try:
            self._path = made(store.generations)
            self.blobs = store.blobs(self._path.name)
            self.blobs.mkdir(parents=True)
            self._parts = self._path / "parts"
            self._parts.mkdir()
        except OSError as error:
            raise self.unwritable(error) from error
        try:
            base = store.current()
        except (LostError, OSError):
            base = None
        self._base = store.blobs(base.generation) if base else None
        self.kept = 0
        """Blobs that were there before."""

    def size(self, digest: str) -> int | None:
        """The bytes of a blob that is here, or in the current generation; None: it must be sent."""
        name = blobs.file_name(digest)
        if name is None:
            return None
        path = self.blobs / name
        try:
            if not path.exists() and not self._keep(name):
                return None
            return path.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.unwritable(error) from error

    def open(self, digest: str) -> BinaryIO | None:
        """A blob to read; None: it is not here."""
        name = blobs.file_name(digest)
        try:
            return (self.blobs / name).open("rb") if name else None
        except FileNotFoundError:
            return None

    def part(self) -> Part:
        """A new blob.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with self.entering():
                part = Part(self, self._parts / str(next(self._numbers)))
        except OSError as error:
            raise self.unwritable(error) from error
        self._begun.append(part)
        return part

    def commit(self, root: Descriptor) -> None:
        """Make it the current generation.

        Args:
            root: the manifest that the builder names.

        Raises:
            ProtocolError: the builder has not sent all of it.
            OutputError: it cannot be written; the old one stays the current one.
        """

        def fetch(blob: Descriptor) -> Path:
            if self.size(blob.digest) is None:
                raise DamagedError(f"{blob.digest} was not sent")
            name = blobs.file_name(blob.digest) or ""
            names.add(name)
            return self.blobs / name

        names = set[str]()
        try:
            size = blobs.walk(root, fetch)
            for path in self.blobs.iterdir():
                if path.name not in names:
                    path.unlink()
            shutil.rmtree(self._parts)
            self._describe(root)
            self._store.swap(Current(generation=self._path.name, root=root, size=size))
            self._committed = True
        except DamagedError as error:
            raise ProtocolError(
                f"the builder says that its cache is written, and {error}", hint="Build again: the old cache is kept."
            ) from error
        except OSError as error:
            raise self.unwritable(error) from error

    def discard(self) -> None:
        """Delete it, unless it became the current one; what is still at work on it fails then."""
        with self._naming:
            self._closed = True
        for part in self._begun:
            part.discard()
        if not self._committed:
            shutil.rmtree(self._path, ignore_errors=True)

    @contextmanager
    def entering(self) -> Generator[None]:
        """Give a file its name: never after the end, when the directories are being deleted.

        Raises:
            OSError: it is over.
        """
        with self._naming:
            if self._closed:
                raise OSError(errno.ECANCELED, "the cache is not written any more")
            yield

    def take(self, count: int) -> None:
        """Count bytes that come, or, below zero, that go.

        Raises:
            OutputError: they are too many.
        """
        with self._counting:
            over = count > self._left
            self._left -= 0 if over else count
        if over:
            self.problem = OutputError(
                f"{self._store.path}: the cache is larger than {self._limit} bytes",
                hint="Give caches more room, or write with mode=min.",
            )
            raise self.problem

    def unwritable(self, error: OSError) -> OutputError:
        """What to say when something cannot be written."""
        self.problem = OutputError(
            f"{self._store.path}: {error.strerror or error}", hint="Make room there, or name another directory."
        )
        return self.problem

    def _keep(self, name: str) -> bool:
        if self._base is None:
            return False
        path = self.blobs / name
        try:
            with self.entering():
                blobs.link(self._base / name, path)
        except FileNotFoundError:
            return False
        if not blobs.is_intact(path, name):
            path.unlink()
            return False
        self.kept += 1
        return True

    def _describe(self, root: Descriptor) -> None:
        entry = {
            "mediaType": root.media_type,
            "digest": root.digest,
            "size": root.size,
            "annotations": {"org.opencontainers.image.ref.name": _TAG},
        }
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        }
        for name, content in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
            (self._path / name).write_bytes(msgspec.json.encode(content))
            blobs.flush(self._path / name)
        blobs.flush(self.blobs)
        blobs.flush(self.blobs.parent)
