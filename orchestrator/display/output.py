"""Writing to a terminal or a pipe that may be slow, from an event loop that must not stop for it.

The daemon checks a session's health every few seconds, so a blocked write in the loop could end a build. All events
that are waiting are rendered together and written in one worker-thread call.
"""

from collections.abc import Callable
from typing import TextIO

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.events import Event


async def show(events: MemoryObjectReceiveStream[Event], render: Callable[[Event], str], stream: TextIO) -> None:
    """Render events until their stream ends.

    Args:
        events: what happens; closed at the end.
        render: the text of one event, or nothing.
        stream: where the text goes. When its reader has gone the events are still consumed, so that the run goes on.
    """
    gone = False

    def write(text: str) -> None:
        nonlocal gone
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            # Its reader has left, or its disk is full: the builds matter more than their display.
            gone = True

    async with events:
        async for event in events:
            batch = [render(event)]
            while True:
                try:
                    batch.append(render(events.receive_nowait()))
                except (anyio.WouldBlock, anyio.EndOfStream):
                    break
            text = "".join(batch)
            if text and not gone:
                # Abandoned when the run is cancelled: a pipe that nobody reads must not keep the process.
                await anyio.to_thread.run_sync(write, text, abandon_on_cancel=True)
