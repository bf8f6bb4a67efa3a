"""Writing to a terminal or a pipe that may be slow, from an event loop that must not stop for it.

The daemon checks a session's health every few seconds, so a blocked write in the loop could end a build. All events
that are waiting are rendered together and written in one worker-thread call.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.events import Event

_AT_ONCE = 256 * 1024
"""Characters that are gathered for one write."""


class Output:
    """A text stream, written in worker threads. When its reader has gone, what is written is dropped.

    Args:
        stream: where the text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    async def write(self, pieces: Iterable[str]) -> None:
        """Write text, however long, without holding more of it than one write takes."""
        batch: list[str] = []
        length = 0
        for piece in pieces:
            batch.append(piece)
            length += len(piece)
            if length >= _AT_ONCE:
                await self._write("".join(batch))
                batch, length = [], 0
        if length:
            await self._write("".join(batch))

    async def _write(self, text: str) -> None:
        if not self._gone:
            # Abandoned when the run is cancelled: a pipe that nobody reads must not keep the process.
            await anyio.to_thread.run_sync(self._write_now, text, abandon_on_cancel=True)

    def _write_now(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # Its reader has left, or its disk is full: the builds matter more than their display.
            self._gone = True


async def show(
    events: MemoryObjectReceiveStream[Event], render: Callable[[Event], Iterable[str]], stream: TextIO
) -> None:
    """Render events until their stream ends.

    Args:
        events: what happens; closed at the end.
        render: the text of one event, in pieces, or nothing.
        stream: where the text goes. When its reader has gone the events are still consumed, so that the run goes on.
    """

    def waiting(event: Event) -> Iterator[str]:
        while True:
            yield from render(event)
            try:
                event = events.receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream):
                return

    output = Output(stream)
    async with events:
        async for event in events:
            await output.write(waiting(event))
