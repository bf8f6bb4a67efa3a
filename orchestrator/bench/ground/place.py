"""Our directory on a target: its name, which must be short, whose it is, and how all of it goes away.

A daemon's socket lies below it, and the path of a socket has 107 bytes at most; so the long name by which anybody can
tell whether a maker still lives (`orchestrator.temporary`) is that of a file inside. The directory gets that file
before it gets its short name: no moment shows one without the other, and what is killed in between has a long name
itself.

    .fpb-3fa9c2/            here: `files` and `layers` (plain), or `image` in place of the latter
    .fpb-3fa9c2/.fleetpacks-...   the mark, which is deleted last
    /run/.fpb-3fa9c2/             the same for what is mounted: `layers`, which is the image, and a mark

The image is not mounted on the storage itself, as none is in earnest: each path of a daemon's would lead through that,
and a file system across a network is asked about it anew (0.2 ms with ceph-fuse, in place of 0.001).

Others may be allowed to write to a target, and could put a link in our directory's place. What is unmounted and deleted
is therefore what was opened once, and not what a path leads to a moment later.
"""

import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator import mountinfo, temporary
from orchestrator.bench.ground import unmounting

FILES, IMAGE, LAYERS = "files", "image", "layers"
_MOUNTS = Path("/run")
_NAME = re.compile(r"\.fpb-[0-9a-f]{6}")
_MARK = ".fleetpacks-"
_MODE = 0o700


def make(target: Path) -> Path:
    """Make our directory in a target's.

    Raises:
        OSError: it cannot be made.
    """
    return _make(target, f".fpb-{secrets.token_hex(3)}")


def make_layers(place: Path) -> Path:
    """Make the directory on which the image of one of ours is to be mounted: only root may change anything there.

    Raises:
        OSError: it cannot be made.
    """
    made = _make(_MOUNTS, place.name) / LAYERS
    made.mkdir(mode=_MODE)
    return made


def layers(place: Path) -> Path:
    """Where the image of one of ours is mounted."""
    return _MOUNTS / place.name / LAYERS


def _make(directory: Path, name: str) -> Path:
    grown = temporary.inside(directory)
    grown.mkdir(mode=_MODE)
    try:
        os.close(temporary.create(temporary.inside(grown)))
        # A name that is taken is an error: of that directory, which is not empty.
        return grown.rename(directory / name)
    except BaseException:
        shutil.rmtree(grown, ignore_errors=True)
        raise


def sweep(target: Path) -> None:
    """Take away what killed runs have left: in a target's directory, and of what is mounted wherever it is.

    Whatever cannot be taken away stays for the next time.
    """
    found = {image.parent for mount in mountinfo.read() if _is_ours(mount) and (image := unmounting.backing(mount))}
    places = [*found]
    # Behind those whose images lie there: what is left then has lost its storage.
    for directory in (target, _MOUNTS):
        temporary.sweep(directory)
        with suppress(OSError):
            places += [Path(entry.path) for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
    for place in places:
        with suppress(OSError):
            if _NAME.fullmatch(place.name):
                with _opened(place) as handle:
                    if _is_left(handle):
                        _empty(handle, place.name, ours=False)
                        place.rmdir()


def renew(place: Path) -> None:
    """Say that somebody is still at work in one of ours: elsewhere, its mark's time alone tells."""
    with suppress(OSError), _opened(place) as handle:
        for name in _marks(os.listdir(handle)):  # noqa: PTH208 -- of a handle
            temporary.renew(unmounting.through(handle) / name)


def remove(place: Path) -> None:
    """Unmount and delete one of ours, whatever of it is there. The mark goes last: who is killed here is continued.

    Raises:
        OSError: some of it stays, and is left over for the next one.
    """
    with _opened(place) as handle:
        _empty(handle, place.name, ours=True)
    place.rmdir()


@contextmanager
def _opened(place: Path) -> Generator[int]:
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _marks(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(_MARK)]


def _is_left(handle: int) -> bool:
    """Whether nobody is at work in one of ours any more: its maker is gone, or was when its mark was deleted."""
    names = os.listdir(handle)
    marks = _marks(names)
    return all(temporary.is_left(unmounting.through(handle) / mark) for mark in marks) if marks else not names


def _is_ours(mount: mountinfo.Mount) -> bool:
    point = mount.point
    return point.name == LAYERS and point.parent.parent == _MOUNTS and _NAME.fullmatch(point.parent.name) is not None


def _empty(handle: int, name: str, *, ours: bool) -> None:
    image = unmounting.through(handle).readlink() / IMAGE
    with suppress(FileNotFoundError), _opened(_MOUNTS / name) as point:
        of = [unmounting.backing(mount) for mount in mountinfo.read() if mount.point == _MOUNTS / name / LAYERS]
        # Where nothing is mounted yet, it may be another one's of this name, who lives.
        if all(each == image for each in of) if of else ours or _is_left(point):
            _clear(point, home=handle)
            (_MOUNTS / name).rmdir()
    _clear(handle, home=handle)


def _clear(handle: int, *, home: int) -> None:
    unmounting.unmount(handle, home=home, image=IMAGE)
    names = os.listdir(handle)
    failure: OSError | None = None
    for name in names:
        if not name.startswith(_MARK):
            try:
                _delete(name, handle)
            except OSError as error:
                # The rest, which may be large, goes all the same.
                failure = failure or error
    if failure is not None:
        raise failure
    for mark in _marks(names):
        _delete(mark, handle)


def _delete(name: str, handle: int) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=handle)
        else:
            os.unlink(name, dir_fd=handle)
