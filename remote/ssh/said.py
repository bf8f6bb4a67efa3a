"""What a running `ssh` says on its standard error, and which stream that is about. Pure: bytes in, facts out.

It is told to say a little more than usual (LogLevel DEBUG1). So it tells of a connection that it has taken where on the
host that is to lead, and in the next breath the number that it gives to it; by that number it tells later that nobody
took it there (OpenSSH's channels.c: `channel_post_port_listener`, `channel_new`, `channel_input_open_failure`). What
else it says because of that is for nobody.
"""

import re
from collections import deque
from typing import Final

import msgspec

LOG_LEVEL: Final = "DEBUG1"
_LINES = 20
_LONGEST = 65536
_SHOWN = 100
"""Characters of a path that it tells."""
_FORWARDING = re.compile(r"debug1: Connection to port -?\d+ forwarding to (.*) port -?\d+ requested\.")
_CHANNEL = re.compile(r"debug1: channel (\d+): new\b.*")
_REFUSED = re.compile(r"channel (\d+): open failed: (.*)")
_MORE = ("debug1: ", "Authenticated to ", "Transferred: ", "Bytes per second: ")
"""What it would not say at its usual level (INFO)."""
_UNKNOWN = ""
"""Stands for every path: of an `ssh` that does not tell which."""


class Refusals(msgspec.Struct, frozen=True):
    """Connections that were not opened."""

    number: int = 0
    last: str = ""
    """Why not the last of them."""


class Said:
    """What it has said by now.

    Attributes:
        lines: the last of those that are for somebody.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=_LINES)
        self._rest = b""
        self._coming: str | None = None
        self._leads: dict[str, str | None] = {}
        """The number of a channel -> the path of a socket; None: it leads to none."""
        self._refusals: dict[str, Refusals] = {}

    def take(self, data: bytes) -> None:
        """Take more of it."""
        *lines, self._rest = (self._rest[-_LONGEST:] + data).split(b"\n")
        for line in lines:
            self._note("".join(each for each in line.decode(errors="replace").strip() if each.isprintable()))

    def refusals(self, path: str) -> Refusals:
        """Of connections to a socket of the host."""
        unknown, known = (self._refusals.get(each, Refusals()) for each in (_UNKNOWN, path[:_SHOWN]))
        return Refusals(known.number + unknown.number, known.last or unknown.last)

    def _note(self, line: str) -> None:
        if found := _REFUSED.fullmatch(line):
            path = self._leads.get(found[1], _UNKNOWN)
            if path is not None:
                self._refusals[path] = Refusals(self._refusals.get(path, Refusals()).number + 1, found[2])
        elif found := _FORWARDING.fullmatch(line):
            self._coming = found[1]
        elif found := _CHANNEL.fullmatch(line):
            self._leads[found[1]], self._coming = self._coming, None
        elif line and not line.startswith(_MORE):
            self.lines.append(line)
