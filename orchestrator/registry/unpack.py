"""Layers of an image laid over each other in a directory (OCI image specification 1.1, `layer.md`). Blocking code.

A layer is untrusted. Its paths are resolved as if the destination were `/`: symbolic links on the way, absolute ones
and those that climb, lead to places inside, as they will for the container; the last part of a path is never followed,
only replaced. Nothing else writes to the destination meanwhile (it is private to us), so looking first and acting then
is sound.

Owners are set when we are root. Device nodes are left out: a runtime brings its own `/dev`, and a layer's nodes would
work on this machine. Extended attributes are not kept.
"""

import errno
import os
import shutil
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from orchestrator.errors import RegistryError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."
_MOST_LINKS = 40
_CHUNK = 1024 * 1024
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SINCE = (3, 14)
_LAYERS_FAULT = frozenset({None, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT})
"""Not the disk's: names that no file can have, an empty link, a link into what it replaces, data that is no gzip."""


class Unpacker:
    """Lays layers over each other, lowest first, then `finish`.

    Args:
        root: an existing directory: empty, or holding the layers below.
        checkpoint: is called between entries, and raises to stop.
    """

    def __init__(self, root: Path, *, checkpoint: Callable[[], None]) -> None:
        self._root = root.resolve()
        self._checkpoint = checkpoint
        self._owners = os.geteuid() == 0
        self._directories: dict[Path, tarfile.TarInfo] = {}
        self._written: set[Path] = set()

    def layer(self, blob: Path, source: str) -> None:
        """Lay one layer over the others.

        Args:
            blob: a tar, plain or compressed with gzip, or zstd where this Python can read it (3.14).
            source: the layer's name for messages.

        Raises:
            RegistryError: it is no tar, is compressed in another way, or a path in it is impossible.
            OSError: the destination cannot be written.
        """
        self._written.clear()
        with blob.open("rb") as file:
            if file.read(len(_ZSTD_MAGIC)) == _ZSTD_MAGIC and sys.version_info < _ZSTD_SINCE:
                raise RegistryError(
                    f"{source}: the layer is compressed with zstd, which this Python cannot read",
                    hint="publish the image with compression=gzip, or run on Python 3.14 or newer",
                )
            file.seek(0)
            try:
                with tarfile.open(fileobj=file, mode="r|*") as tar:
                    for member in tar:
                        self._checkpoint()
                        self._entry(tar, member, source)
            # Numbers out of range and names with NUL come as OverflowError and ValueError.
            except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError) as error:
                raise _bad(source, f"it is not a proper tar archive: {error}") from None
            except OSError as error:
                if error.errno not in _LAYERS_FAULT:
                    raise
                raise _bad(source, str(error.strerror or error)) from None

    def finish(self) -> None:
        """Give directories their modes, owners and times: last, because writing into them changes or needs these."""
        for path, member in reversed(self._directories.items()):
            # A later layer may have put a symbolic link anywhere on the way to it.
            if path.is_dir() and os.path.realpath(path) == str(path):
                self._attributes(path, member)

    def _entry(self, tar: tarfile.TarFile, member: tarfile.TarInfo, source: str) -> None:
        parts = _parts(member.name, source)
        if not parts:
            if member.isdir():
                self._directories[self._root] = member
            return
        parent = self._resolve(parts[:-1], source, create=True)
        name = parts[-1]
        if name.startswith(_WHITEOUT):
            self._whiteout(parent, name, source)
            return
        target = parent / name
        if member.isdir():
            self._directory(target, member)
            return
        if not (member.isreg() or member.issym() or member.islnk() or member.isfifo()):
            return
        original = self._link_source(member.linkname, target, source) if member.islnk() else None
        _remove(target)
        self._written.add(target)
        if original is not None:
            os.link(original, target, follow_symlinks=False)
        elif member.issym():
            target.symlink_to(member.linkname)
            self._attributes(target, member)
        elif member.isfifo():
            os.mkfifo(target)
            self._attributes(target, member)
        else:
            self._regular(tar, member, target)

    def _regular(self, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        content = tar.extractfile(member)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while content is not None and (chunk := content.read(_CHUNK)):
                self._checkpoint()
                file.write(chunk)
        self._attributes(target, member)

    def _directory(self, target: Path, member: tarfile.TarInfo) -> None:
        if not _is_directory(target):
            _remove(target)
            target.mkdir(mode=0o700)
        self._written.add(target)
        # Moved to the end, so that finish meets children before their parents.
        self._directories.pop(target, None)
        self._directories[target] = member

    def _attributes(self, path: Path, member: tarfile.TarInfo) -> None:
        if self._owners:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not member.issym():
            # After chown, which takes setuid away.
            path.chmod(stat.S_IMODE(member.mode))
        seconds = max(0, int(member.mtime))
        os.utime(path, (seconds, seconds), follow_symlinks=False)

    def _whiteout(self, parent: Path, name: str, source: str) -> None:
        if name == _OPAQUE:
            for child in list(parent.iterdir()):
                self._erase_lower(child)
            return
        if name.startswith(_AUFS):
            return
        hidden = name.removeprefix(_WHITEOUT)
        if hidden in {"", ".", ".."}:
            raise _bad(source, f"the whiteout {name!r} hides nothing that can have a name")
        self._erase_lower(parent / hidden)

    def _erase_lower(self, path: Path) -> None:
        """Remove what lower layers left; a whiteout does not touch what its own layer brings, in whatever order."""
        if path not in self._written:
            _remove(path)
        elif _is_directory(path):
            for child in list(path.iterdir()):
                self._erase_lower(child)

    def _link_source(self, linkname: str, target: Path, source: str) -> Path:
        parts = _parts(linkname, source)
        original = self._resolve(parts[:-1], source, create=False) / parts[-1] if parts else self._root
        try:
            mode = original.lstat().st_mode
        except OSError:
            raise _bad(source, f"a hard link leads to {linkname!r}, which is not there") from None
        if stat.S_ISDIR(mode) or original == target:
            raise _bad(source, f"a hard link leads to {linkname!r}, which is a directory or itself")
        return original

    def _resolve(self, parts: tuple[str, ...], source: str, *, create: bool) -> Path:
        """The real directory of a path in the image; missing ones are made when `create` says so."""
        todo = list(reversed(parts))
        at = self._root
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                at = at if at == self._root else at.parent
                continue
            step = at / part
            try:
                mode = step.lstat().st_mode
            except FileNotFoundError:
                if not create:
                    raise _bad(source, f"a link leads through {part!r}, which is not there") from None
                step.mkdir(mode=0o755)
                self._written.add(step)
                at = step
                continue
            if stat.S_ISLNK(mode):
                links += 1
                if links > _MOST_LINKS:
                    raise _bad(source, f"more than {_MOST_LINKS} symbolic links on the way to {part!r}")
                aim = PurePosixPath(step.readlink())
                at = self._root if aim.is_absolute() else at
                todo.extend(reversed([word for word in aim.parts if word not in {"/", "//"}]))
            elif stat.S_ISDIR(mode):
                at = step
            else:
                raise _bad(source, f"a path leads through {part!r}, which is not a directory")
        return at


def _parts(name: str, source: str) -> tuple[str, ...]:
    """The parts of a path in a layer: relative to the root, also when it begins with a slash."""
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts or "\0" in name:
        raise _bad(source, f"the path {name!r} leads out of the image")
    return parts


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _bad(source: str, reason: str) -> RegistryError:
    return RegistryError(f"{source}: the layer cannot be unpacked: {reason}", hint="build and publish the image again")
