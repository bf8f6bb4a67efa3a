"""What is mounted where, as `/proc/self/mountinfo` tells it (proc_pid_mountinfo(5)). Pure, but for `read`."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

_OCTAL = re.compile(r"\\([0-7]{3})")
"""How blanks, line breaks and backslashes are named."""
_FIELDS = 6
"""At least so many stand before the dash, and three behind it."""
_BEHIND = 2


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """One mount."""

    point: Path
    kind: str
    """Of its file system: `ext4`, `fuse.ceph-fuse`."""
    source: str
    """What is mounted, where that has a name: `/dev/loop3`."""
    device: str
    """`major:minor` of its files. Of no block device where the file system has none, or several."""


def read() -> tuple[Mount, ...]:
    """What this process sees now; nothing without /proc."""
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    return parse(text)


def parse(mountinfo: str) -> tuple[Mount, ...]:
    """The mounts, in the order in which they lie over each other; a line that is none is left out."""
    found: list[Mount] = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        first, second = before.split(" "), after.split(" ")
        if len(first) >= _FIELDS and len(second) >= _BEHIND:
            found.append(Mount(point=Path(_name(first[4])), kind=second[0], source=_name(second[1]), device=first[2]))
    return tuple(found)


def holding(mounts: Sequence[Mount], place: Path) -> Mount | None:
    """The mount on which a place lies, which is absolute and has no symlinks: of two on one point, the later one."""
    found: Mount | None = None
    for mount in mounts:
        if place.is_relative_to(mount.point) and (found is None or len(mount.point.parts) >= len(found.point.parts)):
            found = mount
    return found


def below(mounts: Sequence[Mount], directory: Path) -> tuple[Mount, ...]:
    """What is mounted at a directory or below it, in the order in which it can be unmounted."""
    return tuple(mount for mount in reversed(mounts) if mount.point.is_relative_to(directory))


def _name(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
