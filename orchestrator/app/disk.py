"""How much is free where a run writes on this machine, before it begins.

Only of file systems of ours: no builder says how much is free on its own, and a full one is told when it is met.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestrator.text import size

SENSIBLE = 1_000_000_000
"""Bytes: less than an ordinary image and its cache take."""


def low(places: Iterable[Path]) -> tuple[str, ...]:
    """A warning of each file system with less free than is sensible, at the first of these places that is on it.

    Args:
        places: where files are going to be written; what is not there yet is made in the nearest directory above.
    """
    free: dict[int, tuple[Path, int]] = {}
    for place in places:
        # What cannot be looked at is not guessed: writing there says what is wrong.
        with suppress(OSError):
            there = next(each for each in (place, *place.absolute().parents) if each.exists())
            told = os.statvfs(there)
            # Devices and pipes take what they are given, and a file system without blocks is none of a disk.
            if told.f_blocks and (there.is_dir() or there.is_file()):
                free.setdefault(there.stat().st_dev, (place, told.f_bavail * told.f_frsize))
    return tuple(
        f"{place}: {size(count)} are free there, less than {size(SENSIBLE)}: what the run writes may not fit"
        for place, count in free.values()
        if count < SENSIBLE
    )
