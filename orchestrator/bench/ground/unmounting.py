"""Unmounting what was mounted for a measurement, at once: what is in it is of no use to anybody any more.

An ordinary unmount would first write all of it to the storage, which takes minutes where that is slow. So the file
system inside the image is shut down, and the image is cut to nothing, before it is unmounted. The loop device was made
by mount(8), which has the kernel take it back at that moment ("autoclear").
"""

import ctypes
import errno
import fcntl
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

from orchestrator.bench.ground import mounts

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


def unmount(directory: Path, *, image: Path) -> None:
    """Unmount everything at or below a directory of ours.

    Args:
        directory: it.
        image: the file that may be mounted there, which is cut to nothing then.

    Raises:
        OSError: something stays mounted.
    """
    resolved = directory.resolve()
    for mount in mounts.below(mounts.read(), resolved):
        with suppress(OSError):
            if is_of(mount, image.resolve()):
                _discard(mount, image)
        _unmount(mount.point)


def is_of(mount: mounts.Mount, image: Path) -> bool:
    """Whether a mount is of the loop device of this very file, and of no other."""
    major, _, minor = mount.device.partition(":")
    if int(major) != _LOOP:
        return False
    backing = Path(f"/sys/dev/block/{major}:{minor}/loop/backing_file")
    return os.fsencode(image) == backing.read_bytes().rstrip(b"\n")


def _discard(mount: mounts.Mount, image: Path) -> None:
    handle = os.open(mount.point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        seen = os.fstat(handle).st_dev
        # What is opened is what was looked at, and nothing that has been mounted over it meanwhile.
        if f"{os.major(seen)}:{os.minor(seen)}" == mount.device:
            fcntl.ioctl(handle, _SHUT_DOWN, struct.pack("=I", _NOT_EVEN_THE_JOURNAL))
    finally:
        os.close(handle)
    os.truncate(image, 0)


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
