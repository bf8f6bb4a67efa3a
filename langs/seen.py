"""What was seen of a directory while apps were looked at, so that it can be told later whether it would be seen again.

What was made of files holds for as long as all that was seen of them is as it was: which names a directory has, what a
file holds, where a link leads, and that something is not there. A directory and a file have a stamp, which is another
one when the content is: what has the same one is not read again. Of a directory with another one the names are.

Only what was at rest is believed: what changed in the same tick of the clock as it was seen may have changed once more
behind the same stamp (git calls this racy).
"""

import os
import stat
from collections.abc import Mapping

import msgspec

from langs.listing import Kind, digest, entries
from langs.stamps import Look, Stamp, is_at_rest, stamp_of


class Seen(msgspec.Struct, array_like=True):
    """What was seen of one directory. It grows while apps are looked at. All paths are POSIX paths from it."""

    stamps: dict[str, Stamp | None] = {}
    """Of the directories that were listed and the files that were read, through no link; None: there is none."""
    names: dict[str, bytes] = {}
    """Digests of what the directories held."""
    ways: dict[str, str] = {}
    """Paths that may lead through links -> where they do, as absolute paths without any."""
    beside: dict[str, None] = {}
    """The directories of which something was seen, too, as absolute paths without links. Each has its own `Seen`."""
    steady: bool = True
    """Whether all of it was at rest, and nothing was seen twice in two ways."""

    def look(self, directory: str, path: str) -> Stamp | tuple[()] | None:
        """Take note of what is at `path` now, before it is read; returns its stamp, as `Look` does."""
        stamp = stamp_of(_joined(directory, path))
        if stamp is None:
            self.note(path, None, at_rest=True)
        elif stamp:
            self.note(path, stamp, at_rest=is_at_rest(stamp))
        else:
            self.steady = False
        return stamp

    def note(self, path: str, stamp: Stamp | None, *, at_rest: bool) -> None:
        """Take note of what was at `path` before it was read, and whether it was at rest then; None: nothing was."""
        self.steady &= at_rest and self.stamps.setdefault(path, stamp) == stamp and path.isprintable()

    def listed(self, path: str, found: Mapping[str, Kind] | None) -> None:
        """Take note of what the directory at `path` holds, behind `look`; None: that could not be told, this time."""
        said = digest(found)
        self.steady &= found is not None and self.names.setdefault(path, said) == said

    def follow(self, path: str, real: str) -> None:
        """Take note of where a path leads."""
        self.steady &= self.ways.setdefault(path, real) == real and path.isprintable() and real.isprintable()

    def holds(self, directory: str, look: Look = stamp_of) -> bool:
        """Whether all would be seen again, but for what was seen beside it; stamps become those of now.

        Args:
            directory: the one of which this was seen.
            look: may have looked at some of it before.
        """
        if not self.steady:
            return False
        for path, before in self.stamps.items():
            place = _joined(directory, path)
            now = look(place)
            if now != before and not self._is_as_it_was(path, place, now):
                return False
        return all(os.path.realpath(_joined(directory, path)) == real for path, real in self.ways.items())

    def joined(self, other: "Seen") -> "Seen":
        """What was seen at two times."""
        agreed = all(other.stamps.get(path, stamp) == stamp for path, stamp in self.stamps.items())
        agreed = agreed and all(other.names.get(path, said) == said for path, said in self.names.items())
        agreed = agreed and all(other.ways.get(path, real) == real for path, real in self.ways.items())
        return Seen(
            stamps=self.stamps | other.stamps,
            names=self.names | other.names,
            ways=self.ways | other.ways,
            beside=self.beside | other.beside,
            steady=agreed and self.steady and other.steady,
        )

    def _is_as_it_was(self, path: str, place: str, now: Stamp | tuple[()] | None) -> bool:
        """Whether a directory with another stamp holds what it held: a file that came and went leaves one behind."""
        if not now or not stat.S_ISDIR(now[2]):
            return False
        at_rest = is_at_rest(now)
        if self.names.get(path) != digest(entries(place)):
            return False
        if at_rest:
            self.stamps[path] = now
        return True


def _joined(directory: str, path: str) -> str:
    return f"{directory}/{path}" if path else directory
