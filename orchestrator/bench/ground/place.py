"""Our directory on a target: its name, which must be short, whose it is, and how all of it goes away.

A daemon's socket lies below it, and the path of a socket has 107 bytes at most; so the long name by which anybody can
tell whether a maker still lives (`orchestrator.temporary`) is that of a file inside. The directory gets that file
before it gets its short name: no moment shows one without the other, and what is killed in between has a long name
itself.

    .fpb-3fa9c2/            here: `files` (plain), `image` and `layers` (where it is mounted, or a plain directory)
    .fpb-3fa9c2/.fleetpacks-...   the mark, which is deleted last
"""

import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from orchestrator import temporary
from orchestrator.bench.ground import mounts, unmounting

FILES, IMAGE, LAYERS = "files", "image", "layers"
_NAME = re.compile(r"\.fpb-[0-9a-f]{6}")
_MARK = ".fleetpacks-"
_MODE = 0o700


def make(target: Path) -> Path:
    """Make our directory in a target's.

    Raises:
        OSError: it cannot be made.
    """
    grown = temporary.inside(target)
    grown.mkdir(mode=_MODE)
    try:
        os.close(temporary.create(temporary.inside(grown)))
        # A name that is taken is an error: of that directory, which is not empty.
        return grown.rename(target / f".fpb-{secrets.token_hex(3)}")
    except BaseException:
        shutil.rmtree(grown, ignore_errors=True)
        raise


def sweep(target: Path) -> None:
    """Take away what killed runs have left: in a target's directory, and of what is mounted wherever it is.

    Whatever cannot be taken away stays for the next time.
    """
    temporary.sweep(target)
    found = {mount.point.parent for mount in mounts.read() if mount.point.name == LAYERS}
    with suppress(OSError):
        found |= {Path(entry.path) for entry in os.scandir(target) if entry.is_dir(follow_symlinks=False)}
    for place in found:
        with suppress(OSError):
            if _NAME.fullmatch(place.name) and is_left(place):
                remove(place)


def is_left(place: Path) -> bool:
    """Whether nobody is at work in a directory of ours any more: its maker is gone, or was when its mark was deleted.

    Raises:
        OSError: it cannot be looked at.
    """
    names = os.listdir(place)  # noqa: PTH208 -- names alone
    marks = [name for name in names if name.startswith(_MARK)]
    return all(temporary.is_left(place / mark) for mark in marks) if marks else not names


def remove(place: Path) -> None:
    """Unmount and delete one of ours, whatever of it is there. The mark goes last: who is killed here is continued.

    Raises:
        OSError: some of it stays.
    """
    unmounting.unmount(place, image=place / IMAGE)
    names = sorted(os.listdir(place), key=lambda name: name.startswith(_MARK))  # noqa: PTH208 -- names alone
    for name in names:
        path = place / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    place.rmdir()
