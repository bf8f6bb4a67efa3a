"""Deleting a tree that daemons mounted things in: unmount first, look again, and only then delete."""

import shutil
from pathlib import Path

import anyio

from tests.lab.errors import LabError


def mount_points(below: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> tuple[Path, ...]:
    """What is mounted at or below a directory, the deepest and latest first, so that they can be unmounted in order."""
    points = [_unescape(line.split()[4]) for line in mountinfo.read_text(encoding="utf-8").splitlines()]
    return tuple(Path(point) for point in reversed(points) if Path(point).is_relative_to(below))


def mounted_from(device: str, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> tuple[Path, ...]:
    """Where a device is mounted, the latest first."""
    found: list[Path] = []
    for line in mountinfo.read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        if _unescape(after.split()[1]) == device:
            found.append(Path(_unescape(before.split()[4])))
    return tuple(reversed(found))


async def unmount(below: Path) -> None:
    """Unmount everything at or below a directory.

    Raises:
        LabError: something stays mounted, for instance because a process works in it.
    """
    for point in mount_points(below):
        await anyio.run_process(["umount", str(point)], check=False)
    if left := mount_points(below):
        raise LabError(
            f"{left[0]} is still mounted and cannot be unmounted",
            hint=f"end what uses it (`fuser -vm {left[0]}`), then run this again; nothing was deleted",
        )


async def delete(directory: Path) -> None:
    """Delete a directory, never through a mount and never through a symbolic link."""
    await unmount(directory)
    if await anyio.Path(directory).exists():
        await anyio.to_thread.run_sync(shutil.rmtree, directory)


def _unescape(text: str) -> str:
    # proc(5): space, tab, newline and backslash stand as three octal digits.
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
