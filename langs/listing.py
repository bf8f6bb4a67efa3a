"""What a directory holds, as one look tells it: names, and what each of them is."""

import hashlib
import os
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

MAX_ENTRIES: Final = 20_000
"""The largest number of names looked at per app; breadth first, so that what is cut off lies deepest."""

Kind: TypeAlias = Literal["file", "directory", "link", "other"]


def entries(directory: str, most: int = MAX_ENTRIES) -> Mapping[str, Kind] | None:
    """What a directory holds; None where it may not be listed, or holds more than `most`."""
    found: dict[str, Kind] = {}
    try:
        with os.scandir(directory) as scan:
            for entry in scan:
                if len(found) >= most:
                    return None
                if entry.is_file(follow_symlinks=False):
                    found[entry.name] = "file"
                elif entry.is_dir(follow_symlinks=False):
                    found[entry.name] = "directory"
                else:
                    found[entry.name] = "link" if entry.is_symlink() else "other"
    except OSError:
        return None
    return found


def digest(listed: Mapping[str, Kind] | None) -> bytes:
    """The same bytes for the same names of the same kinds, in whatever order."""
    said = None if listed is None else sorted(listed.items())
    return hashlib.blake2b(repr(said).encode("utf-8", "surrogateescape"), digest_size=16).digest()
