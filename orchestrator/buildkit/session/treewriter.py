"""The receiving side of fsutil's protocol: what a daemon says becomes a file tree, and nothing outside of it.

The daemon is not trusted. The tree begins as an empty directory of our own. Every name is walked from one descriptor of
it, part by part, and no part may be a symlink, so that links which the daemon itself has made lead it nowhere. Nothing
is ever replaced or opened that was not made here. Owners, setuid and setgid bits and extended attributes (capabilities
are one) are not taken over, since files belong to whoever runs the build; devices are left out and told of. A symlink's
target is a text and stays as it is: nothing here follows it.

Everything is synchronous and belongs into a worker thread: packets in, packets out. Files are asked for as they are
listed, at most `_ASKED_AT_ONCE` at a time, because the daemon sends several at once and each needs a descriptor. Each
must come in the size that was announced: a Go sender answers for a file that it cannot read with an empty one.
Facts: tonistiigi/fsutil send.go, receive.go and diskwriter.go, v0.0.0-20251211185533.
"""

import errno
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from google.protobuf.message import DecodeError

from orchestrator.buildkit.protos.fsutil_pb2 import Packet, Stat
from orchestrator.buildkit.session.base import Base, Said
from orchestrator.buildkit.session.tree import MODE_DIR, MODE_NAMED_PIPE, MODE_STICKY, MODE_SYMLINK, MODE_TYPE, shown
from orchestrator.errors import OutputError, ProtocolError

_ASKED_AT_ONCE = 32
_DEEPEST = 300
"""Parts of a path. Deleting a tree takes a descriptor and, before Python 3.13, a call for each: what is much deeper
could be written, and never be deleted again."""
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_OTHER_TYPES = 1 << 24 | 1 << 19
"""Go's ModeSocket and ModeIrregular, of which no content can be asked for either."""
_HINT = "Is the builder what it should be? Another one, or a newer buildkitd, may do better."


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """What a directory gets when everything in it has its place: writing into it would change its time."""

    path: bytes
    mode: int
    mtime: int


class _File:
    __slots__ = ("descriptor", "left", "mode", "mtime", "path")

    def __init__(self, path: bytes, stat: Stat) -> None:
        self.path = path
        self.left = stat.size
        self.mode = stat.mode
        self.mtime = stat.mod_time
        self.descriptor = -1


class TreeWriter:
    """Writes one transfer into an open directory.

    Args:
        root: a descriptor of the directory; stays open, and is the caller's.
        directories: receives what directories get in the end, parents first.
        base: has files which need not be sent.
        limit: bytes that all files together may have.

    Attributes:
        finished: whether all was received; what is left is the sender's farewell.
        left_out: the paths of devices.
    """

    def __init__(
        self, root: int, directories: list[Directory], *, base: Base | None = None, limit: int | None = None
    ) -> None:
        self._root = root
        self._directories = directories
        self._base = base
        self._left = limit
        self._parent = (b"", root)
        self._count = 0
        self._listed = False
        self._waiting: deque[tuple[int, _File]] = deque()
        self._asked: dict[int, _File] = {}
        self.finished = False
        self.left_out: list[str] = []

    def feed(self, messages: Sequence[bytes]) -> list[bytes]:
        """Take the daemon's messages; returns ours.

        Raises:
            ProtocolError: the daemon broke the protocol, or tried to leave the directory.
            OutputError: this machine does not let us write.
        """
        for message in messages:
            try:
                packet = Packet.FromString(message)
            except DecodeError as error:
                raise _breach("sent what is no fsutil packet") from error
            match packet.type:
                case Packet.PACKET_STAT if packet.HasField("stat"):
                    self._take_stat(packet.stat)
                case Packet.PACKET_STAT:
                    self._listed = True
                case Packet.PACKET_DATA:
                    self._take_data(packet.id, packet.data)
                case Packet.PACKET_FIN if self.finished:
                    pass
                case Packet.PACKET_ERR:
                    raise _breach(f"could not send the files: {packet.data.decode(errors='replace')}")
                case _:
                    raise _breach(f"sent a packet of type {packet.type}, which has no place here")
        return list(self._replies())

    def close(self) -> None:
        """Let go of all descriptors but the root's."""
        for file in self._asked.values():
            os.close(file.descriptor)
        self._asked.clear()
        self._forget_parent()

    def _replies(self) -> Iterator[bytes]:
        while self._waiting and len(self._asked) < _ASKED_AT_ONCE:
            number, file = self._waiting.popleft()
            parent, name = self._place(file.path)
            with _writing(file.path):
                file.descriptor = os.open(name, _WRITE, dir_fd=parent)
            self._asked[number] = file
            yield Packet(type=Packet.PACKET_REQ, id=number).SerializeToString()
        if self._listed and not self._asked and not self.finished:
            self.finished = True
            yield Packet(type=Packet.PACKET_FIN).SerializeToString()

    def _take_stat(self, stat: Stat) -> None:
        number = self._count
        self._count += 1
        path, link = stat.path, stat.linkname
        if self._listed:
            raise _breach("listed a file after the end of its list")
        if stat.size < 0 or b"\0" in link:
            raise _breach(f"described {_shown(path)} in a way that cannot be")
        parent, name = self._place(path)
        with _writing(path):
            if stat.mode & MODE_DIR:
                self._make_directory(parent, name, path, stat)
            elif stat.mode & MODE_SYMLINK:
                os.symlink(link, name, dir_fd=parent)
                _set_time(parent, name, stat)
            elif stat.mode & MODE_NAMED_PIPE:
                os.mkfifo(name, _permissions(stat.mode), dir_fd=parent)
                _set_time(parent, name, stat)
            elif stat.mode & (MODE_TYPE | _OTHER_TYPES):
                self.left_out.append(_shown(path))
            elif link:
                self._make_link(parent, name, link, path)
            else:
                self._count_bytes(stat.size)
                said = Said(size=stat.size, mode=_permissions(stat.mode), mtime=stat.mod_time)
                if self._base is None or not self._base.link(_parts(path), said, parent):
                    self._make_file(parent, name, number, _File(path, stat))

    def _count_bytes(self, size: int) -> None:
        if self._left is None:
            return
        self._left -= size
        if self._left < 0:
            raise OutputError("the files are more than there may be", hint="Give them more room.")

    def _make_directory(self, parent: int, name: bytes, path: bytes, stat: Stat) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            # Several platforms come in several transfers, and may share a directory; anything else is refused here.
            os.close(os.open(name, _STEP, dir_fd=parent))
        self._directories.append(Directory(path=path, mode=_permissions(stat.mode), mtime=stat.mod_time))

    def _make_link(self, parent: int, name: bytes, link: bytes, path: bytes) -> None:
        # The parent that `_place` remembers would be closed by looking for another one.
        *directories, target = _parts(link)
        step = walk(self._root, directories)
        try:
            os.link(target, name, src_dir_fd=step, dst_dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError as error:
            raise _breach(f"made {_shown(path)} a link to {_shown(link)}, which it did not send") from error
        finally:
            if step != self._root:
                os.close(step)

    def _make_file(self, parent: int, name: bytes, number: int, file: _File) -> None:
        file.descriptor = os.open(name, _CREATE, 0o600, dir_fd=parent)
        if file.left:
            os.close(file.descriptor)
            self._waiting.append((number, file))
        else:
            _finish(file)

    def _take_data(self, number: int, data: bytes) -> None:
        file = self._asked.get(number)
        if file is None:
            raise _breach(f"sent the content of file {number}, for which it was not asked")
        file.left -= len(data)
        if file.left < 0 or (file.left and not data):
            raise _breach(f"announced another size of {_shown(file.path)} than it sent")
        with _writing(file.path):
            view = memoryview(data)
            while view:
                view = view[os.write(file.descriptor, view) :]
            if not data:
                del self._asked[number]
                _finish(file)

    def _place(self, path: bytes) -> tuple[int, bytes]:
        """The descriptor of a path's parent, and its last part. A list comes sorted: the last parent is kept open."""
        parts = _parts(path)
        if len(parts) > _DEEPEST:
            raise OutputError(
                f"a path has more than {_DEEPEST} directories: {_shown(path[:100])}...",
                hint="What is as deep could not be deleted again: have the build leave it out.",
            )
        directory = path.rpartition(b"/")[0]
        if directory != self._parent[0]:
            self._forget_parent()
            with _writing(path):
                self._parent = (directory, walk(self._root, parts[:-1]))
        return self._parent[1], parts[-1]

    def _forget_parent(self) -> None:
        directory, descriptor = self._parent
        self._parent = (b"", self._root)
        if directory:
            os.close(descriptor)


def walk(root: int, parts: Sequence[bytes]) -> int:
    """A new descriptor (O_PATH) of a directory below `root`; `root` itself when there are no parts.

    Raises:
        OSError: a part is missing, or is no directory: a symlink never is.
    """
    current = root
    for part in parts:
        try:
            following = os.open(part, _STEP, dir_fd=current)
        finally:
            if current != root:
                os.close(current)
        current = following
    return current


def finish_directory(root: int, directory: Directory) -> None:
    """Give a directory below `root` its mode and time.

    Raises:
        OSError: it is not there any more, or not ours.
    """
    *parents, name = directory.path.split(b"/")
    parent = walk(root, parents)
    try:
        # Without O_PATH, which neither fchmod nor futimens takes.
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        if parent != root:
            os.close(parent)
    try:
        os.utime(descriptor, ns=(directory.mtime, directory.mtime))
        os.fchmod(descriptor, directory.mode)
    finally:
        os.close(descriptor)


def _finish(file: _File) -> None:
    try:
        os.fchmod(file.descriptor, _permissions(file.mode))
        os.utime(file.descriptor, ns=(file.mtime, file.mtime))
    finally:
        os.close(file.descriptor)


def _set_time(parent: int, name: bytes, stat: Stat) -> None:
    os.utime(name, ns=(stat.mod_time, stat.mod_time), dir_fd=parent, follow_symlinks=False)


def _permissions(mode: int) -> int:
    return mode & 0o777 | (0o1000 if mode & MODE_STICKY else 0)


def _parts(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    if b"\0" in path or not {b"", b".", b".."}.isdisjoint(parts):
        raise _breach(f"named a file {_shown(path)}, which is no clean path below the destination")
    return parts


@contextmanager
def _writing(path: bytes) -> Generator[None]:
    try:
        yield
    except FileExistsError as error:
        raise _breach(f"sent {_shown(path)} twice") from error
    except OSError as error:
        if error.errno in _ABSENT:
            raise _breach(f"sent {_shown(path)} before its directory, or through a link") from error
        raise OutputError(
            f"{_shown(path)} cannot be written: {error.strerror}",
            hint="Is there room, and may the user who runs fleetpacks write there?",
        ) from error


def _breach(what: str) -> ProtocolError:
    return ProtocolError(f"the builder {what}", hint=_HINT)


def _shown(path: bytes) -> str:
    return shown(os.fsdecode(path))
