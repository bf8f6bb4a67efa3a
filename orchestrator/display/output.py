"""Writing to a terminal or a pipe that may be slow, or stopped, from an event loop that must not stop for it.

The daemon checks a session's health every few seconds, so a blocked write in the loop could end a build. Each output
has a thread of its own. It is a daemon thread, and writes to the file descriptor: a terminal that takes nothing must
not keep the process once its run is over, by a thread that Python waits for or by the lock of a stream's buffer.
"""

import os
import select
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TextIO

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.events import Event

_AT_ONCE = 256 * 1024
"""Characters that are gathered for one write."""
_GATHERED_SECONDS = 0.02
"""For which events are gathered behind a write: each is a turn of two threads, which takes as long as a request."""
SILENCE = 60.0
"""Seconds without an event after which a display that can say what goes on says it: CI ends jobs that are silent."""


class Output:
    """A text stream. When its reader has gone, what is written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._texts: SimpleQueue[tuple[str, Callable[[], None]] | None] = SimpleQueue()
        self._gone = False

    @classmethod
    @contextmanager
    def on(cls, stream: TextIO) -> Generator["Output"]:
        """An output for the block. A write that was given up may still go on behind it."""
        output = cls(stream)
        threading.Thread(target=output._run, name="fleetpacks output", daemon=True).start()
        try:
            yield output
        finally:
            output._texts.put(None)

    async def write(self, pieces: Iterable[str]) -> None:
        """Write text, however long, without holding more of it than one write takes.

        Cancelling it gives up what is not written yet.
        """
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
        written = anyio.Event()
        token = anyio.lowlevel.current_token()

        def tell() -> None:
            # Nobody waits any more when the loop is over.
            with suppress(RuntimeError):
                anyio.from_thread.run_sync(written.set, token=token)

        self._texts.put((text, tell))
        await written.wait()

    def _run(self) -> None:
        while (entry := self._texts.get()) is not None:
            text, tell = entry
            if not self._gone:
                try:
                    _write_all(self._stream, text)
                except OSError as error:
                    # Its reader has left, or its disk is full: the builds matter more than their display.
                    self._gone = True
                    if not isinstance(error, BrokenPipeError):
                        self._complain(error)
            tell()

    def _complain(self, error: OSError) -> None:
        if self._stream is not sys.stderr:
            with suppress(OSError):
                text = f"warning: what happens cannot be written any more: {error.strerror}; builds go on without it\n"
                _write_all(sys.stderr, text)


def _write_all(stream: TextIO, text: str) -> None:
    try:
        handle = stream.fileno()
    except OSError:
        # A stream that lies in memory.
        stream.write(text)
        return
    data = memoryview(text.encode(stream.encoding, stream.errors or "strict"))
    while data:
        try:
            data = data[os.write(handle, data) :]
        except BlockingIOError:
            # A terminal is shared: whoever else has it open may have made it so.
            select.select([], [handle], [])


async def show(
    events: MemoryObjectReceiveStream[Event],
    render: Callable[[Event], Iterable[str]],
    stream: TextIO,
    *,
    silent: Callable[[], Iterable[str]] = tuple,
) -> None:
    """Render events until their stream ends; all that are waiting are written at once.

    Args:
        events: what happens; closed at the end.
        render: the text of one event, in pieces, or nothing.
        stream: where the text goes. When its reader has gone the events are still consumed, so that the run goes on.
        silent: what there is to say after `SILENCE` without an event.
    """

    def waiting(event: Event) -> Iterator[str]:
        while True:
            yield from render(event)
            try:
                event = events.receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream):
                return

    async with events:
        with Output.on(stream) as output, suppress(anyio.EndOfStream):
            while True:
                event = None
                with anyio.move_on_after(SILENCE):
                    event = await events.receive()
                await output.write(silent() if event is None else waiting(event))
                await anyio.sleep(_GATHERED_SECONDS)
