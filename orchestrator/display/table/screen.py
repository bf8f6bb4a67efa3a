"""Drawing over the last picture, at a rate of its own.

Each picture is one write: the cursor goes up to the table's first line, every line is written over the old one and its
rest erased. Nothing is erased before, so nothing flickers. No mode of the terminal outlives the write: the cursor is
never hidden and the alternate screen never used, so whatever ends this process leaves a terminal that works. Lines do
not wrap while they are drawn, because a terminal may think otherwise than we do of a character's width. A terminal that
wraps old lines anew when it becomes narrower keeps their beginnings above the table: to go up further could erase what
is not ours.

Events are folded as they come, whatever the terminal does: a terminal that is stopped holds up its pictures only.
"""

import codecs
import os
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.display import journal
from orchestrator.display.journal import Journal
from orchestrator.display.output import Output
from orchestrator.display.table.board import Board
from orchestrator.display.table.frame import Look, frame
from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppWarning,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
    StepLog,
    StepStarted,
)
from orchestrator.text import printable

_INTERVAL = 0.1
"""Seconds between two pictures."""
_TICK = 0.5
"""Seconds after which a picture is drawn although nothing happened: the time goes on."""
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"
_UNKNOWN_SIZE = (80, 24)

Size = Callable[[], tuple[int, int]]


class Screen:
    """Knows what stands on the terminal, and writes what makes it something else."""

    def __init__(self) -> None:
        self._drawn: tuple[str, ...] = ()

    def draw(self, picture: tuple[str, ...]) -> str:
        """What turns the last picture into this one."""
        if picture == self._drawn:
            return ""
        lines = "".join(f"{line}{_ERASE_LINE}\n" for line in picture)
        text = f"{_NO_WRAP}{self._up()}{lines}{_ERASE_BELOW}{_WRAP}"
        self._drawn = picture
        return text

    def erase(self) -> str:
        """What removes the picture; the next one begins where the cursor is then."""
        text = f"{self._up()}{_ERASE_BELOW}" if self._drawn else ""
        self._drawn = ()
        return text

    def _up(self) -> str:
        # A terminal that has become lower than the picture stops at its first line, which is where to go on.
        return "\r" + (f"\x1b[{len(self._drawn)}A" if self._drawn else "")


class Table:
    """The display of a run on a terminal.

    Args:
        look: what the terminal can show, and is meant to.
        size: columns and lines of the terminal, whenever it is asked.
    """

    def __init__(self, look: Look, size: Size) -> None:
        self._look = look
        self._size = size
        self._board = Board()
        self._journal = Journal()
        self._screen = Screen()
        self._last: list[AppCompleted | AppFailed | AppCancelled | AppWarning] = []
        self._end: RunCompleted | None = None

    def close(self) -> None:
        """Let go of all logs."""
        self._journal.close()

    def take(self, event: Event) -> None:
        """Note what happened."""
        self._board.apply(event)
        match event:
            case RunStarted():
                self._journal.started(event)
            case StepStarted() | StepCompleted() | StepLog():
                self._journal.step(event)
            case AppCompleted() | AppFailed() | AppCancelled() | AppWarning():
                self._last.append(event)
                if isinstance(event, AppCompleted | AppCancelled):
                    self._journal.forget(event.app)
            case RunCompleted():
                self._end = event
            case _:
                pass

    def picture(self) -> str:
        """What brings the terminal up to date."""
        columns, lines = self._size()
        return self._screen.draw(
            frame(self._board.view(), columns=columns, lines=lines, now=time.time(), look=self._look)
        )

    def ending(self) -> Iterator[str]:
        """What stays on the terminal: the logs of what failed, what became of each app, the counts."""
        yield self._screen.erase()
        for failed in [event for event in self._last if isinstance(event, AppFailed)]:
            yield self._look.paint(f"--- the full log of {printable(failed.app)} ---", "HEADER") + "\n"
            yield from self._journal.log(failed.app)
            yield self._look.paint(journal.failure(failed), "BAD") + "\n"
        for event in self._last:
            text = self._journal.app(event)
            yield self._look.paint(text, "BAD") if isinstance(event, AppFailed) else text
        if self._end is not None:
            yield self._look.paint(journal.counts(self._end), "BAD" if self._end.failed else "GOOD")
        self.close()


async def show_table(events: MemoryObjectReceiveStream[Event], table: Table, stream: TextIO) -> None:
    """Show a run until its events end.

    Args:
        events: what happens; closed at the end.
        table: the display.
        stream: the terminal.
    """
    happened = anyio.Event()
    over = anyio.Event()

    async def redraw(output: Output) -> None:
        nonlocal happened
        await happened.wait()
        # Never cancelled in a write: what follows it must not overtake it.
        while not over.is_set():
            happened = anyio.Event()
            await output.write([table.picture()])
            with anyio.move_on_after(_INTERVAL):
                await over.wait()
            with anyio.move_on_after(_TICK):
                await happened.wait()

    with Output.on(stream) as output:
        async with events, anyio.create_task_group() as tasks:
            tasks.start_soon(redraw, output)
            async for event in events:
                table.take(event)
                happened.set()
            over.set()
            happened.set()
        await output.write(table.ending())


def table_on(stream: TextIO, *, colour: bool) -> Table:
    """A table for a terminal."""

    def size() -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(stream.fileno())
        except OSError:
            columns = lines = 0
        return columns or _UNKNOWN_SIZE[0], lines or _UNKNOWN_SIZE[1]

    unicode = codecs.lookup(stream.encoding).name == "utf-8"
    return Table(Look(colour=colour, unicode=unicode), size)
