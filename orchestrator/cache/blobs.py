"""Blobs in files that are named after their digests, and what a manifest says of others.

Files are never written twice: a blob becomes part of another directory by a hard link, so it stays what it is there,
whatever becomes of the first one. Where a file system has no hard links, or refuses them between users, it is copied.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NO_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV})
_LARGEST_MANIFEST = 16 * 1024 * 1024
_MOST_BLOBS = 20_000
_INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)


class DamagedError(Exception):
    """What is kept is not what it should be."""


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename={"media_type": "mediaType"}):
    """A blob, as a manifest names it."""

    digest: str
    size: int
    media_type: str = ""


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()


def file_name(digest: str) -> str | None:
    """The name of a blob's file; None where the text is no digest, and so no name either."""
    found = _DIGEST.fullmatch(digest)
    return found[1] if found else None


def walk(root: Descriptor, fetch: Callable[[Descriptor], Path]) -> int:
    """Visit a manifest and all that it names, each once.

    A cache's index names layers among its manifests (cache/remotecache/export.go, v0.30.0): only what has the media
    type of a manifest is read as one.

    Args:
        root: the manifest.
        fetch: makes the file of a blob be there.

    Returns:
        The bytes of all.

    Raises:
        DamagedError: a manifest cannot be understood, or a file has another size than it says.
        OSError: whatever `fetch` raises.
    """
    waiting, seen, total = [root], set[str](), 0
    while waiting:
        blob = waiting.pop()
        if blob.digest in seen:
            continue
        seen.add(blob.digest)
        path = fetch(blob)
        if path.stat().st_size != blob.size:
            raise DamagedError(f"{blob.digest} has another size than its manifest says")
        total += blob.size
        if blob is root or blob.media_type in _INDEXES:
            manifest = _read(path, blob)
            waiting += [*manifest.manifests, *manifest.layers, *([manifest.config] if manifest.config else [])]
        if len(seen) + len(waiting) > _MOST_BLOBS:
            raise DamagedError(f"a manifest names more than {_MOST_BLOBS} blobs")
    return total


def _read(path: Path, blob: Descriptor) -> _Manifest:
    if blob.size > _LARGEST_MANIFEST:
        raise DamagedError(f"{blob.digest}: {blob.size} bytes are no manifest")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != file_name(blob.digest):
        raise DamagedError(f"{blob.digest} has another content")
    try:
        return msgspec.json.decode(content, type=_Manifest)
    except msgspec.DecodeError as error:
        raise DamagedError(f"{blob.digest} is no manifest") from error


def is_intact(path: Path, name: str) -> bool:
    """Whether a file has the content that its name says."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == name


def link(source: Path, target: Path) -> None:
    """Make a blob's file be in another directory, too.

    Raises:
        FileNotFoundError: it is not there any more.
        OSError: it can be neither linked nor copied.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        unfinished = target.with_name(f"{target.name}.copy")
        shutil.copyfile(source, unfinished)
        flush(unfinished)
        unfinished.replace(target)


def flush(path: Path) -> None:
    """Have a file's content, or a directory's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
