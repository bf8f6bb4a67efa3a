"""Which daemon a host has: the first socket where one answers, and how it wants to be spoken to.

A buildkitd and a newer Docker Engine take HTTP/2 at once; an older engine leads there by an upgrade (`remote.engine`).
So nobody has to say which of them a socket belongs to.
"""

from functools import partial

import anyio

from remote import engine
from remote.address import SshAddress
from remote.engine import Dial
from remote.errors import UnreachableError
from remote.ssh.failures import SOCKET_HINT
from remote.ssh.host import Host

SOCKETS = ("/run/buildkit/buildkitd.sock", "/var/run/docker.sock")
"""Of daemons of the system. Those of rootless ones have the user's number in their names, which a host only tells to
who runs a command there."""
_ANSWER_SECONDS = 5.0


async def dialer(host: Host, address: SshAddress) -> Dial:
    """Get ready to connect to a host's daemon.

    Args:
        host: is connected to.
        address: which host it is, and which socket has the daemon behind it.

    Raises:
        AddressError: OpenSSH's files are wrong.
        UnreachableError: the host cannot be reached, or nobody answers at any of its sockets, or not at the named one.
        UnsuitableError: the host is not trusted, or what answers can be no builder.
    """
    # Its own errors are no socket's.
    await host.connect()
    refusals: list[UnreachableError] = []
    for path in SOCKETS if address.socket is None else (address.socket,):
        try:
            return await _dialer(partial(host.open, path), name=f"{address}, {path}")
        except UnreachableError as error:
            refusals.append(error)
    if len(refusals) == 1:
        raise refusals[0]
    raise UnreachableError(
        f"{address}: no daemon answers at {' or '.join(SOCKETS)} on the host, or our user there may not open them",
        hint=SOCKET_HINT,
    ) from refusals[-1]


async def _dialer(dial: Dial, *, name: str) -> Dial:
    try:
        with anyio.fail_after(_ANSWER_SECONDS):
            if await engine.takes_http2(lambda _: dial()):
                return dial
            return await engine.dialer(lambda _: dial(), name=name)
    except TimeoutError as error:
        raise UnreachableError(
            f"{name}: somebody listens there, but gives no answer within {_ANSWER_SECONDS:.0f} s",
            hint="is it a builder, and is it well? Its log may say what it waits for",
        ) from error
