"""A terminal: a real pty, read by pyte, which is not ours.

What is written is also checked byte for byte: nothing reaches it but text, line ends, and the sequences that the table
may use.
"""

import codecs
import fcntl
import os
import re
import struct
import termios
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TextIO

import anyio
import pyte
from pyte.modes import DECAWM

_ALLOWED = re.compile(r"\r|\n|\x1b\[(?:\?7[lh]|\d+A|K|J|[\d;]*m)")
_STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SECONDS = 20


class Terminal:
    """What stands on the screen, and what was written to it."""

    def __init__(self, master: int, stream: TextIO, columns: int, lines: int) -> None:
        self.stream = stream
        self.written = ""
        self._master = master
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=0.001)
        self._pyte = pyte.ByteStream(self._screen)
        self._text = codecs.getincrementaldecoder("utf-8")()
        self._changed = anyio.Event()
        self.resize(columns, lines)

    @property
    def text(self) -> str:
        """The screen's lines, without what is empty at their ends."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def everything(self) -> str:
        """What has left the screen at its top, and the screen."""
        above = ["".join(line[x].data for x in range(self._screen.columns)) for line in self._screen.history.top]
        return "\n".join([*(line.rstrip() for line in above), self.text])

    @property
    def clean(self) -> bool:
        """Whether a shell could go on here: a visible cursor at a line's beginning, wrapping, no colour left."""
        cursor = self._screen.cursor
        wraps = DECAWM in self._screen.mode
        return wraps and not cursor.hidden and cursor.x == 0 and cursor.attrs.fg == "default" and not cursor.attrs.bold

    @property
    def coloured(self) -> bool:
        """Whether any style was ever written."""
        return re.search(r"\x1b\[[\d;]*m", self.written) is not None

    def resize(self, columns: int, lines: int) -> None:
        """Another size, for the programs and for the screen."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._screen.resize(lines, columns)

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self._master, keys.encode())

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Within the block the terminal takes nothing, as after Ctrl-S."""
        termios.tcflow(self.stream.fileno(), termios.TCOOFF)
        try:
            yield
        finally:
            termios.tcflow(self.stream.fileno(), termios.TCOON)

    async def until(self, wanted: Callable[[str], bool]) -> str:
        """Wait for the screen to show something; returns its text."""
        with anyio.move_on_after(_SECONDS):
            while not wanted(self.text):
                self._changed = anyio.Event()
                await self._changed.wait()
        assert wanted(self.text), self.text
        return self.text

    async def read(self) -> None:
        """Show what is written, until nobody can write any more."""
        while True:
            await anyio.wait_readable(self._master)
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            self._pyte.feed(data)
            self.written += self._text.decode(data)
            self._changed.set()

    def check(self) -> None:
        """Nothing was written that could steer a terminal in another way than the table may."""
        assert _STEERS.search(_ALLOWED.sub("", self.written)) is None


@asynccontextmanager
async def terminal(columns: int, lines: int) -> AsyncGenerator[Terminal]:
    """A terminal for the block; `stream` writes to it."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    with os.fdopen(slave, "w", encoding="utf-8", errors="backslashreplace") as stream:
        screen = Terminal(master, stream, columns, lines)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(screen.read)
                yield screen
                # The reader ends when it has seen all: closing the last writer tells it so.
                stream.close()
        finally:
            os.close(master)
    screen.check()
