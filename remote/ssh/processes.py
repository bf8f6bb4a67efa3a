"""A program that is run to its end, or until nobody wants more of it. Of one that was left nothing stays.

What it says is read from a pipe of ours; what it is given, and its errors, lie in files without a name. asyncio's own
pipes do only for programs that end by themselves: whoever else holds such a pipe open, or writes on where nobody reads,
is waited for after the program was killed, and no cancellation ends that.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import anyio
import anyio.abc
import msgspec

REPLY = 65536
"""Bytes of an answer, and of errors."""
_END_SECONDS = 2.0


class Reply(msgspec.Struct, frozen=True):
    """How it ended."""

    code: int | None
    output: bytes
    problems: str


async def run(command: Sequence[str], *, given: bytes = b"", most: int = REPLY) -> Reply:
    """Run a program.

    Args:
        command: with its arguments.
        given: to its standard input.
        most: bytes of its output; it is ended when there are more.

    Raises:
        OSError: it cannot be run.
    """
    with ExitStack() as held:
        script = _held(held, os.memfd_create("given", os.MFD_CLOEXEC))
        problems = _held(held, os.memfd_create("problems", os.MFD_CLOEXEC))
        source, sink = os.pipe()
        _held(held, source)
        os.set_blocking(source, False)
        try:
            os.pwrite(script, given, 0)
            process = await anyio.open_process(
                command, stdin=script, stdout=sink, stderr=problems, start_new_session=True
            )
        finally:
            os.close(sink)
        output = bytearray()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_patient, process, tasks.cancel_scope)
                while len(output) < most and (data := await _read(source, most - len(output))):
                    output += data
                if len(output) < most:
                    await process.wait()
                tasks.cancel_scope.cancel()
        finally:
            await ended(process, patience=0)
        return Reply(process.returncode, bytes(output), os.pread(problems, REPLY, 0).decode(errors="replace"))


def _held(by: ExitStack, descriptor: int) -> int:
    by.callback(os.close, descriptor)
    return descriptor


async def ended(process: anyio.abc.Process, *, patience: float = _END_SECONDS) -> None:
    """See to it that a process has ended, and unless it had by itself, what it has started.

    Args:
        process: may have ended. It leads a session of its own.
        patience: seconds before it is killed.
    """
    with anyio.CancelScope(shield=True):
        _tell(process, signal.SIGTERM)
        with anyio.move_on_after(patience):
            await process.wait()
        _tell(process, signal.SIGKILL)
        await process.aclose()


def _tell(process: anyio.abc.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


async def _patient(process: anyio.abc.Process, scope: anyio.CancelScope) -> None:
    """Who has inherited its output, and holds it open, is not waited for."""
    await process.wait()
    await anyio.sleep(_END_SECONDS)
    scope.cancel()


async def _read(source: int, most: int) -> bytes:
    while True:
        await anyio.wait_readable(source)
        with suppress(BlockingIOError):
            return os.read(source, most)
