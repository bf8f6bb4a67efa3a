"""Another `ssh`, which asks the one that holds a connection for something, and is gone when it has it."""

from pathlib import Path

from remote.ssh.processes import REPLY, Reply, run

NOBODY = "host"
"""Stands where `ssh` wants a host: which one it is, the control socket says."""


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
    return await run([program, *options, *words], given=given, most=most)
