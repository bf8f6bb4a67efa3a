"""One name with several addresses is several hosts: those of a headless service, say, behind which there are pods.

Each is reached at its own address and must be who the name says: under TLS its certificate holds the name, behind sshd
its key is one of those that are known of the name (or of its `HostKeyAlias`). A host that has an address of each family
is one host: those of the family count that has more of them.
"""

import socket

import anyio
import msgspec

from remote.address import Address, SshAddress, TcpAddress, Tls, is_ip
from remote.errors import AddressError


async def resolved(address: Address) -> tuple[Address, ...]:
    """The hosts of an address, at least one; what cannot be resolved is left to whoever connects, who tells why."""
    if isinstance(address, TcpAddress):
        tls = address.tls
        if tls is not None and tls.servername is None:
            tls = Tls(cacert=tls.cacert, cert=tls.cert, key=tls.key, servername=address.host)
        found = await _addresses(address.host, address.port)
        return tuple(msgspec.structs.replace(address, host=each, tls=tls) for each in found) or (address,)
    if isinstance(address, SshAddress) and address.at is None:
        found = await _behind_sshd(address)
        return tuple(msgspec.structs.replace(address, at=each) for each in found) or (address,)
    return (address,)


async def _behind_sshd(address: SshAddress) -> tuple[str, ...]:
    # asyncssh takes long to import.
    from remote.ssh.options import logins  # noqa: PLC0415

    try:
        found = await logins(address.host, address.user, address.port)
    except AddressError:
        return ()
    # Who is reached over another host, or by a command, is resolved there.
    return await _addresses(*found[-1].at) if all(login.direct for login in found) else ()


async def _addresses(host: str, port: int) -> tuple[str, ...]:
    """Those of a name that has several; none otherwise."""
    if is_ip(host):
        return ()
    try:
        answers = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    by_family: dict[int, dict[str, None]] = {}
    for family, _, _, _, place in answers:
        by_family.setdefault(family, {})[str(place[0])] = None
    most = max(by_family.values(), key=len, default=dict[str, None]())
    # Name servers shuffle them.
    return tuple(sorted(most)) if len(most) > 1 else ()
