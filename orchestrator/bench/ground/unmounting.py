"""Unmounting what was mounted for a measurement, at once: what is in it is of no use to anybody any more.

An ordinary unmount would first write all of it to the storage, which takes minutes where that is slow. So the file
system inside the image is shut down, and the image is cut to nothing, before it is unmounted. The loop device was made
by mount(8), which has the kernel take it back at that moment ("autoclear").
"""

import ctypes
import errno
import fcntl
import os
import stat
import struct
import time
from contextlib import suppress
from pathlib import Path

from orchestrator import mountinfo

_SHUT_DOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32) of fs/ext4/ext4.h."""
_NOT_EVEN_THE_JOURNAL = 2
_LOOP = 7
"""The major number of loop devices: Documentation/admin-guide/devices.txt."""
_DETACH, _NO_FOLLOW = 2, 8
"""MNT_DETACH and UMOUNT_NOFOLLOW of umount(2)."""
_BUSY_SECONDS = 5.0
"""For which whatever still uses it may end: a killed daemon's last processes."""
_PAUSE = 0.02


def unmount(directory: int, *, home: int, image: str) -> None:
    """Unmount everything below a directory of ours.

    Args:
        directory: it, opened: what is mounted is reached through it, and never by a path that others may have changed.
        home: another one, opened, in which the image lies.
        image: the name of the file that may be mounted there, which is cut to nothing then.

    Raises:
        OSError: something stays mounted.
    """
    resolved, file = through(directory).readlink(), through(home).readlink() / image
    for mount in mountinfo.below(mountinfo.read(), resolved):
        if mount.point == resolved:
            continue  # its parent's: nothing of ours is mounted there
        point = through(directory) / mount.point.relative_to(resolved)
        with suppress(OSError):
            if backing(mount) == file:
                _discard(mount, point, image, home)
        _unmount(point)


def through(directory: int) -> Path:
    """A path to an open directory, wherever it is meanwhile."""
    return Path(f"/proc/self/fd/{directory}")


def backing(mount: mountinfo.Mount) -> Path | None:
    """The file on whose loop device a file system lies; None: on none."""
    major, _, minor = mount.device.partition(":")
    if int(major) == _LOOP:
        with suppress(OSError):
            return Path(
                os.fsdecode(Path(f"/sys/dev/block/{major}:{minor}/loop/backing_file").read_bytes().rstrip(b"\n"))
            )
    return None


def _discard(mount: mountinfo.Mount, point: Path, image: str, home: int) -> None:
    handle = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        seen = os.fstat(handle).st_dev
        # What is opened is what was looked at, and nothing that has been mounted over it meanwhile.
        if f"{os.major(seen)}:{os.minor(seen)}" == mount.device:
            fcntl.ioctl(handle, _SHUT_DOWN, struct.pack("=I", _NOT_EVEN_THE_JOURNAL))
    finally:
        os.close(handle)
    handle = os.open(image, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=home)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _unmount(point: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    deadline = time.monotonic() + _BUSY_SECONDS
    flags = _NO_FOLLOW
    while libc.umount2(os.fsencode(point), flags) != 0:
        number = ctypes.get_errno()
        if number in {errno.EINVAL, errno.ENOENT}:
            return  # gone meanwhile
        if number != errno.EBUSY:
            raise OSError(number, os.strerror(number), str(point))
        if time.monotonic() > deadline:
            flags |= _DETACH  # it goes with the last of those who use it
        time.sleep(_PAUSE)
