"""What `ssh` makes of its own files for a host, as `ssh -G` tells, and what it is told besides.

Which files those are, `ssh` decides: below the home of the user's entry in the password database, whatever `$HOME`
says. Where the two differ it is handed the configuration of `$HOME`, and the known hosts there; a name with `~` in that
configuration is below the other one all the same.
"""

import os
import pwd
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from remote.address import SshAddress
from remote.errors import AddressError
from remote.ssh.processes import run
from remote.ssh.said import LOG_LEVEL

_ASKING_SECONDS = 10.0
_MOST_TOLD = 1 << 20
_CONNECT_SECONDS = 10
_ALIVE_SECONDS = 15
"""Between two questions whether the host is still there, of which three may go unanswered."""
_PORT = 22
_NOWHERE = frozenset({"none", "/dev/null"})
_PLAIN = re.compile(r"/[A-Za-z0-9._/@+=,-]*")
"""Paths in which `ssh` finds nothing to expand and nothing to take apart."""
_MOST_PATH_BYTES = 107
_USUAL_CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
)
"""OpenSSH's own order from 6.7 to 9.9: nobody has said another."""
_FAST_CIPHERS = (*_USUAL_CIPHERS[4:], *_USUAL_CIPHERS[:4])
"""The same, AES-GCM first, as with asyncssh: of a processor that knows AES it takes a third of the time."""
_ALWAYS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "VerifyHostKeyDNS=no",
    "NoHostAuthenticationForLocalhost=no",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "Tunnel=no",
    f"LogLevel={LOG_LEVEL}",
)
_IF_KNOWN = ("ForkAfterAuthentication=no",)
"""For a newer `ssh` than 8.6; an older one ends at a word that it does not know."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How `ssh` is called for a host."""

    program: str
    words: tuple[str, ...]
    """Its options."""
    host: str
    """Its last word."""
    where: str
    """Name or address, and port."""
    jump: str | None
    """What ProxyJump says."""


def own_home() -> Path | None:
    """Below which `ssh` looks for its files; None: it refuses to work for a user without an entry."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


async def read(address: SshAddress, ssh: str) -> Settings:
    """Ask `ssh` what its files say of a host.

    Raises:
        AddressError: they are wrong, or it is told nothing in time.
    """
    home, own = Path.home(), own_home()
    words: list[str] = []
    if home != own:
        config = home / ".ssh" / "config"
        words += ["-F", str(config) if config.is_file() else "none"]
    if address.user is not None:
        words += ["-l", address.user]
    if address.port is not None:
        words += ["-p", str(address.port)]
    with anyio.move_on_after(_ASKING_SECONDS):
        try:
            done = await run([ssh, "-G", "-T", *words, "--", address.host], most=_MOST_TOLD)
        except OSError as error:
            raise AddressError(
                f"{address.host}: {ssh} cannot be run: {error.strerror or error}",
                hint="without `ssh`, transport=asyncssh serves",
            ) from error
        said = done.problems.splitlines()
        if done.code:
            raise AddressError(
                f"{address.host}: {said[0] if said else 'ssh -G fails'}",
                hint="`ssh -G` shows how OpenSSH reads its files",
            )
        return settings(address, ssh, words, told(done.output.decode(errors="replace")), home=home, own=own or home)
    raise AddressError(
        f"{address.host}: ssh -G gives no answer within {_ASKING_SECONDS:.0f} s",
        hint="is there a command in ~/.ssh/config (Match exec) that does not end?",
    )


def told(text: str) -> Mapping[str, str]:
    """The output of `ssh -G`: a key and its value in each line; of those that come again, the first."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, value)
    return found


def settings(
    address: SshAddress, ssh: str, words: Sequence[str], said: Mapping[str, str], *, home: Path, own: Path
) -> Settings:
    """What `ssh` is called with.

    Args:
        address: the host's.
        ssh: the program.
        words: what leads it to its files.
        said: what those say.
        home: where we take the user to be at home.
        own: where `ssh` does.

    Raises:
        AddressError: the address names one of several addresses, and something else than this machine connects.
    """
    options = [*_ALWAYS, *(each for each in _IF_KNOWN if each.partition("=")[0].lower() in said)]
    host, port = said.get("hostname", address.host), int(said.get("port", _PORT))
    jump = _unless_none(said.get("proxyjump"))
    if address.at is not None:
        if jump or _unless_none(said.get("proxycommand")):
            raise AddressError(
                f"{address}: at= names an address, and something else than this machine connects to the host",
                hint="take at= out of the address, or ProxyJump and ProxyCommand out of what ~/.ssh/config says of it",
            )
        options.append(f"HostName={address.at}")
        if "hostkeyalias" not in said:
            # ssh takes an alias as it is, and a name together with its port.
            options.append(f"HostKeyAlias={host if port == _PORT else f'[{host}]:{port}'}")
    if said.get("serveraliveinterval", "0") == "0":
        options.append(f"ServerAliveInterval={_ALIVE_SECONDS}")
    if said.get("connecttimeout", "none") in {"none", "0"}:
        options.append(f"ConnectTimeout={_CONNECT_SECONDS}")
    if said.get("ciphers") == ",".join(_USUAL_CIPHERS):
        options.append(f"Ciphers={','.join(_FAST_CIPHERS)}")
    if "setenv" in said:
        # There is no word for none, and no sshd accepts this one unasked.
        options.append("SetEnv=FLEETPACKS=")
    if (known := _known_hosts(said.get("userknownhostsfile", ""), home=home, own=own)) is not None:
        options.append(f"UserKnownHostsFile={known}")
    return Settings(
        program=ssh,
        words=(*words, *(word for option in options for word in ("-o", option))),
        host=address.host,
        where=f"{address.at or host}:{port}",
        jump=jump,
    )


def objection(address: SshAddress, found: Settings) -> str | None:
    """Why OpenSSH's `ssh` does not serve for a host; None: it does."""
    if found.jump is not None:
        # It would be left to another ssh, which believes whom the configuration says.
        return f"the host is behind {found.jump} (ProxyJump), whose key `ssh` does not check as strictly as we do"
    if address.socket is not None and not takes(address.socket):
        return "the socket's path has characters that mean something to `ssh`, or is too long for it"
    return None


def takes(path: str) -> bool:
    """Whether `ssh` takes a path of a socket as it stands."""
    return len(path.encode()) <= _MOST_PATH_BYTES and _PLAIN.fullmatch(path) is not None


def _known_hosts(said: str, *, home: Path, own: Path) -> str | None:
    """The user's files of known hosts, where they have to be said: an absent one must not mean that all are known."""
    # A name with a space in it cannot be told from two: then it stands as it is.
    files = [file for file in said.split() if file not in _NOWHERE]
    if files and home == own:
        return None
    moved = [home / Path(file).relative_to(own) if Path(file).is_relative_to(own) else Path(file) for file in files]
    return " ".join(f'"{file}"' for file in moved or [home / ".ssh" / "known_hosts"])


def _unless_none(value: str | None) -> str | None:
    return None if value == "none" else value
