"""What a directory holds, as one look tells it: names, and what each of them is."""

import hashlib
import os
from collections.abc import Mapping
from itertools import islice
from typing import Final, Literal, TypeAlias

import msgspec

from langs.stamps import NO_STAMP, Stamp

MAX_ENTRIES: Final = 20_000
"""The largest number of names looked at per app; breadth first, so that what is cut off lies deepest."""

Kind: TypeAlias = Literal["file", "directory", "link", "other"]


class Listing(msgspec.Struct, frozen=True, array_like=True):
    """What one directory holds, and its stamp from before it was listed: what has the same one holds the same."""

    stamp: Stamp
    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that it holds."""
        return (*self.files, *self.directories, *self.links, *self.others)

    def holds(self, name: str) -> bool:
        """Whether it holds something of this name."""
        return name in self.files or name in self.directories or name in self.links or name in self.others

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """What each of them is."""
        found: dict[str, Kind] = dict.fromkeys(self.files, "file")
        found |= dict.fromkeys(self.directories, "directory")
        found |= dict.fromkeys(self.links, "link")
        found |= dict.fromkeys(self.others, "other")
        return found


def listing(directory: str, stamp: Stamp, most: int | None = None) -> Listing:
    """What a directory holds; of more than `most` names one too many.

    Raises:
        OSError: it cannot be listed.
    """
    files: list[str] = []
    directories: list[str] = []
    links: list[str] = []
    others: list[str] = []
    with os.scandir(directory) as scan:
        for entry in scan if most is None else islice(scan, most + 1):
            if entry.is_file(follow_symlinks=False):
                files.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
            else:
                (links if entry.is_symlink() else others).append(entry.name)
    return Listing(stamp, tuple(files), tuple(directories), tuple(links), tuple(others))


def entries(directory: str, most: int = MAX_ENTRIES) -> Mapping[str, Kind] | None:
    """What a directory holds; None where it may not be listed, or holds more than `most`."""
    try:
        found = listing(directory, NO_STAMP, most).kinds
    except OSError:
        return None
    return found if len(found) <= most else None


def digest(listed: Mapping[str, Kind] | None) -> bytes:
    """The same bytes for the same names of the same kinds, in whatever order."""
    if listed is None:
        return b""
    # No name holds a NUL.
    names = sorted(listed)
    said = "\0".join((*names, "", *map(listed.__getitem__, names)))
    return hashlib.blake2b(said.encode("utf-8", "surrogateescape"), digest_size=16).digest()
