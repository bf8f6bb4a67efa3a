"""What the directories of a source hold, each listed once, and again only when its stamp says that it changed.

To list five thousand directories takes five times as long as to look at their stamps. A directory gets another stamp
whenever a name in it comes, goes or becomes something else (`langs.stamps`), whatever becomes of the files; what is in
them is nothing that a listing tells.
"""

import stat
from collections.abc import Mapping

from langs.listing import Listing, listing
from langs.stamps import NO_STAMP, Look, is_at_rest, stamp_of


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

    def of(self, directory: str) -> Listing:
        """What a directory holds; nothing is looked at through links.

        Args:
            directory: an absolute path, without a slash at its end.

        Raises:
            OSError: it cannot be listed.
        """
        stamp, before = self._look(directory), self._before.get(directory)
        if before is not None and before.stamp == stamp:
            self.lasting[directory] = before
            return before
        # Told before it is listed: what changes from then on gives a directory that was at rest another stamp.
        lasts = stamp and stat.S_ISDIR(stamp[2]) and is_at_rest(stamp)
        found = listing(directory, stamp or NO_STAMP)
        if lasts and "".join((directory, *found.names)).isprintable():
            self.lasting[directory] = found
            self.news = True
        return found
