"""Another `ssh`, which asks the one that holds a connection for something, and is gone when it has it."""

import os
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec

NOBODY = "host"
"""Stands where `ssh` wants a host: which one it is, the control socket says."""
REPLY = 65536
"""Bytes of an answer."""
_END_SECONDS = 2.0


class Reply(msgspec.Struct, frozen=True):
    """How it ended."""

    code: int | None
    output: bytes
    problems: str


async def ask(program: str, control: Path, *words: str, given: bytes = b"", most: int = REPLY) -> Reply:
    """Ask.

    Args:
        program: the `ssh`.
        control: the socket of the one that is asked.
        words: for what.
        given: to its standard input.
        most: bytes of its output; it is ended when there are more.

    Raises:
        OSError: it cannot be run.
    """
    # Without the control socket it is to end, not to look for a host of that name.
    options = ["-F", "none", "-xa", "-S", str(control), "-o", "ControlMaster=no", "-o", "ProxyCommand=false"]
    problems = os.memfd_create("ssh", os.MFD_CLOEXEC)
    try:
        process = await anyio.open_process([program, *options, *words], stderr=problems, start_new_session=True)
        output = b""
        try:
            if process.stdin is not None:
                with suppress(anyio.BrokenResourceError):
                    await process.stdin.send(given)
                await process.stdin.aclose()
            if process.stdout is not None:
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while len(output) < most:
                        output += await process.stdout.receive(most - len(output))
            if len(output) < most:
                await process.wait()
        finally:
            await ended(process, patience=0)
        return Reply(process.returncode, output, os.pread(problems, REPLY, 0).decode(errors="replace"))
    finally:
        os.close(problems)


async def ended(process: anyio.abc.Process, *, patience: float = _END_SECONDS) -> None:
    """See to it that a process has ended.

    Args:
        process: may have ended.
        patience: seconds before it is killed.
    """
    with anyio.CancelScope(shield=True):
        with anyio.move_on_after(patience):
            await process.wait()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.aclose()
