"""An ext4 image on a loop device, as operators make it where a storage does not carry overlay itself."""

import os
from pathlib import Path

import anyio

from orchestrator.bench.ground import tools
from orchestrator.errors import StorageError

_BYTES_PER_INODE = 8192
"""Twice as many files as ext4's own choice: builds unpack small ones."""
_MAKE = (
    "mkfs.ext4",
    "-qF",
    *("-m", "0"),
    *("-i", str(_BYTES_PER_INODE)),
    # Nothing is written but what the file system needs now: it is to be sparse, and here within a moment.
    *("-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"),
)
_MOUNT = ("mount", "-t", "ext4", "-o", "loop,noinit_itable")
"""`noinit_itable`: the kernel does not write inode tables in the background, beside what is measured."""
_CONTROL = Path("/dev/loop-control")


async def mounted(image: Path, point: Path, *, size: int) -> None:
    """Make an image and mount it. Who is cancelled, or fails, may leave it mounted: `unmounting.unmount`.

    Args:
        image: a file that is not there yet.
        point: an empty directory.
        size: its bytes, of which it takes no more than are written.

    Raises:
        StorageError: there is no loop device, or no program for it.
        OSError: the file cannot be made.
    """
    programs = {name: tools.find(name) for name in (_MAKE[0], _MOUNT[0])}
    for name, program in programs.items():
        if program is None:
            raise StorageError(
                f"{image.parent.parent}: no {name} to make a loop image with",
                hint="Install e2fsprogs and mount (util-linux).",
            )
    if not await anyio.Path(_CONTROL).exists():
        raise StorageError(
            f"{image.parent.parent}: no loop devices here: {_CONTROL} is missing",
            hint="Load them (modprobe loop); a container needs --privileged and --volume /dev:/dev.",
        )
    handle = os.open(image, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(handle, size)
    finally:
        os.close(handle)
    try:
        await tools.run([*_MAKE, str(image)])
    except tools.ToolError as error:
        raise StorageError(
            f"{image.parent.parent}: no file system can be made in an image on it: {error}",
            hint="See whether it is full (df) or read-only.",
        ) from error
    try:
        await tools.run([*_MOUNT, str(image), str(point)])
    except tools.ToolError as error:
        raise StorageError(
            f"{image.parent.parent}: an image on it cannot be mounted: {error}",
            hint="See whether one is left: losetup -a. A container needs --privileged and --volume /dev:/dev.",
        ) from error
