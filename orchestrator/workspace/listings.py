"""What the directories of a source hold, each listed once, and again only when its stamp says that it changed.

To list five thousand directories takes five times as long as to look at their stamps. A directory gets another stamp
whenever a name in it comes, goes or becomes something else (`langs.seen`), whatever becomes of the files; what is in
them is nothing that a listing tells.
"""

import os
import stat
from collections.abc import Mapping, Sequence

import msgspec

from langs.seen import Look, Stamp, is_at_rest, stamp_of

_OF_GIT = ".git"


class Listing(msgspec.Struct, frozen=True, array_like=True):
    """What one directory holds, but for git's own."""

    stamp: Stamp
    files: tuple[str, ...]
    """Whatever is no directory."""
    directories: tuple[str, ...]


class Listings:
    """Lists directories. Its answers are those of one moment: it is for one command.

    Args:
        before: what was listed by other commands, by absolute paths.
        look: may have looked at some directories before.
    """

    def __init__(self, before: Mapping[str, Listing] = {}, look: Look = stamp_of) -> None:
        self._before = before
        self._look = look
        self.lasting: dict[str, Listing] = {}
        """What was asked for and may be kept."""
        self.news = False
        """Whether some of it was not there before."""

    def of(self, directory: str) -> tuple[Sequence[str], Sequence[str]]:
        """The names of what is no directory, and those of the directories. Links are not followed.

        Args:
            directory: an absolute path, without a slash at its end.

        Raises:
            OSError: it cannot be listed.
        """
        stamp, kept = self._look(directory), self._before.get(directory)
        if kept is not None and kept.stamp == stamp:
            self.lasting[directory] = kept
            return kept.files, kept.directories
        # Told before it is listed: what changes from then on gives a directory that was at rest another stamp.
        lasts = stamp and stat.S_ISDIR(stamp[2]) and is_at_rest(stamp)
        files: list[str] = []
        directories: list[str] = []
        with os.scandir(directory) as scan:
            for entry in scan:
                name = entry.name
                if name != _OF_GIT:
                    (directories if entry.is_dir(follow_symlinks=False) else files).append(name)
        if stamp and lasts and "".join((directory, *files, *directories)).isprintable():
            self.lasting[directory] = Listing(stamp, tuple(files), tuple(directories))
            self.news = True
        return files, directories
