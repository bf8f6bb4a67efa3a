"""How a builder and its machine are asked: what BuildKit's API does not tell, a shell there does.

A machine is asked by a script: this one, where the builder is a socket here, or by sessions of the SSH connection that
leads to the builder. Nobody asks the machine behind tcp://.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from remote.address import Address, EngineAddress, SshAddress, UnixAddress
from remote.connect import dialer
from remote.engine import Dial
from remote.unix import listener

SHELL = "/bin/sh"


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a builder and its machine are asked."""

    connect: Callable[[], Awaitable[None]]
    """Reaches the machine, where that is not the same as reaching the daemon."""
    dial: Callable[[], Awaitable[Dial]]
    run: Callable[[bytes, int], Awaitable[bytes]] | None
    """Runs a script, and returns so many bytes of its output at most; None: nothing can be run there."""
    pid: int | None = None
    """The daemon's process."""
    sockets: tuple[str, ...] = ()
    """Of a host behind sshd, those that are tried."""


@asynccontextmanager
async def way(at: Address) -> AsyncGenerator[Way]:
    """Keep what leads to a builder, as long as the block lasts; nothing is connected yet."""
    if isinstance(at, SshAddress):
        # asyncssh takes long to import.
        from remote.ssh.daemons import SOCKETS  # noqa: PLC0415
        from remote.ssh.daemons import dialer as behind  # noqa: PLC0415
        from remote.ssh.host import Host as Far  # noqa: PLC0415

        async with Far(at) as far:

            async def there(script: bytes, most: int) -> bytes:
                return await far.run(script, most=most)

            tried = SOCKETS if at.socket is None else (at.socket,)
            yield Way(connect=far.connect, dial=partial(behind, far, at), run=there, sockets=tried)
        return
    to = at.at if isinstance(at, EngineAddress) else at
    is_here = isinstance(to, UnixAddress)
    pid = await anyio.to_thread.run_sync(listener, to.path) if isinstance(to, UnixAddress) else None
    yield Way(connect=anyio.lowlevel.checkpoint, dial=partial(dialer, at), run=_here if is_here else None, pid=pid)


async def _here(script: bytes, most: int) -> bytes:
    done = await anyio.run_process([SHELL, "-s"], input=script, check=False)
    return done.stdout[:most]
