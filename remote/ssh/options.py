"""OpenSSH's own files, read by asyncssh: how a host is reached, who asks, and over which hosts it is jumped.

asyncssh would open the hosts of ProxyJump itself, with no more than what the configuration says of them. A key that is
not trusted must be an error there as well, so that the hops are listed here and opened one by one. Neither are names of
keys that do not exist an error, nor keys that are locked by a passphrase: as with `ssh`, others may serve.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
import asyncssh
import msgspec
from asyncssh import SSHClientConnectionOptions

from remote.errors import AddressError
from remote.ssh.trust import KnownHosts

_CONNECT_SECONDS = 10.0
_LOGIN_SECONDS = 20.0
_ALIVE_SECONDS = 15.0
"""Between two questions whether the host is still there, of which three may go unanswered."""
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""In front of the others: a quarter faster than asyncssh's first choice, on a machine whose processor knows AES."""
_SYSTEM = Path("/etc/ssh/ssh_config")
_SYSTEM_KNOWN = "/etc/ssh/ssh_known_hosts"
_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_MOST_HOPS = 8


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How one host, the last one or one that is jumped over, is reached."""

    host: str
    """As written: an alias, perhaps."""
    at: tuple[str, int]
    """Its name or address, and port."""
    known: KnownHosts
    accepted: bool
    """Whether a key of this host is among them."""
    said: Mapping[str, Any]
    """For `asyncssh.connect`."""
    direct: bool = True
    """Whether it is this machine that connects to it by TCP: no command does, and no host is jumped over."""


async def logins(host: str, user: str | None, port: int | None) -> tuple[Login, ...]:
    """The hosts to be gone through, the last of which is the one that is meant.

    Raises:
        AddressError: OpenSSH's files are wrong.
    """
    home = Path.home()
    files = [str(path) for path in (home / ".ssh" / "config", _SYSTEM) if path.is_file()]
    found: list[Login] = []
    await _add(found, host, user, port, files, depth=0)
    return tuple(found)


async def _add(
    found: list[Login], host: str, user: str | None, port: int | None, files: Sequence[str], *, depth: int
) -> None:
    # A later host of a list is reached from the one before it, whatever the configuration says of it.
    first = not found
    login, jump = await anyio.to_thread.run_sync(_login, host, user, port, files)
    if first and jump:
        for hop in jump.split(","):
            await _add_hop(found, hop.strip(), files, name=host, depth=depth + 1)
    found.append(login)


async def _add_hop(found: list[Login], hop: str, files: Sequence[str], *, name: str, depth: int) -> None:
    user, at, place = hop.removeprefix("ssh://").rpartition("@")
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        host, port = place, ""
    if depth > _MOST_HOPS or not host or (port and not port.isdigit()):
        raise AddressError(
            f"{name}: ProxyJump leads over {hop!r}, and there it ends",
            hint="expected user@host:port, and no circle of hosts that jump over each other in ~/.ssh/config",
        )
    await _add(found, host.strip("[]"), user if at else None, int(port) if port else None, files, depth=depth)


def _login(host: str, user: str | None, port: int | None, files: Sequence[str]) -> tuple[Login, str | None]:
    said: dict[str, Any] = {"host": host, "config": list(files), "x509_trusted_certs": None}
    if user is not None:
        said["username"] = user
    if port is not None:
        said["port"] = port
    try:
        # Without keys: only what the files say of the others is wanted.
        options = SSHClientConnectionOptions(client_keys=None, known_hosts=b"", **said)
        config = options.config
        known = KnownHosts(
            _list(config.get("UserKnownHostsFile")) or ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"],
            _list(config.get("GlobalKnownHostsFile", [_SYSTEM_KNOWN])),
        )
        said |= {
            "known_hosts": known.keys,
            "client_keys": _keys(_list(config.get("IdentityFile"))),
            "ignore_encrypted": True,
            "agent_forwarding": False,
            "login_timeout": _LOGIN_SECONDS,
            "connect_timeout": options.connect_timeout or _CONNECT_SECONDS,
        }
        if config.get("ServerAliveInterval") is None:
            said["keepalive_interval"] = _ALIVE_SECONDS
        if config.get("Ciphers") is None:
            said["encryption_algs"] = _CIPHERS
        SSHClientConnectionOptions(**said)
    except asyncssh.ConfigParseError as error:
        raise AddressError(f"{host}: {error}", hint="`ssh -G` shows how OpenSSH reads the file") from error
    except (OSError, ValueError, asyncssh.Error) as error:
        raise AddressError(
            f"{host}: OpenSSH's configuration cannot be used: {error}",
            hint="look at what ~/.ssh/config says of this host: its keys, their permissions, its algorithms",
        ) from error
    jump = options.tunnel if isinstance(options.tunnel, str) else None
    accepted = known.of(options.host_key_alias or options.host, options.port)
    login = Login(
        host=host,
        at=(options.host, options.port),
        known=known,
        accepted=bool(accepted),
        said=said,
        direct=not jump and not options.proxy_command,
    )
    return login, jump


def _keys(named: Sequence[str]) -> list[str]:
    folder = Path.home() / ".ssh"
    paths = [Path(name).expanduser() for name in named] or [folder / name for name in _KEYS]
    return [str(path) for path in paths if path.is_file()]


def _list(value: object) -> list[str]:
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
