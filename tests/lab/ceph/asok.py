"""Questions to a running daemon through its admin socket: answered by itself, in a millisecond, without a monitor.

The protocol (Ceph's `src/common/admin_socket.cc`): a JSON object with the command as `prefix`, ended by a zero byte;
back come the answer's length as four bytes, big-endian, and the answer.
"""

from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.abc
import msgspec

_SECONDS = 10.0


async def ask(socket: Path, command: str, **arguments: str | Sequence[str]) -> bytes | None:
    """A daemon's answer, usually JSON; None when it does not answer, or not within 10 seconds.

    Args:
        socket: the daemon's admin socket.
        command: its name, e.g. `config set`.
        arguments: by their names.
    """
    with anyio.move_on_after(_SECONDS):
        try:
            async with await anyio.connect_unix(socket) as stream:
                await stream.send(msgspec.json.encode({"prefix": command, **arguments}) + b"\0")
                size = int.from_bytes(await _exactly(stream, 4))
                return await _exactly(stream, size)
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
            return None
    return None


async def _exactly(stream: anyio.abc.ByteReceiveStream, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += await stream.receive(size - len(received))
    return received
