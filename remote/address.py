"""Addresses of builders: text in, a checked value out.

| written | means |
|---|---|
| `unix:///run/buildkit/buildkitd.sock` | a buildkitd's socket on this machine |
| `tcp://host:1234` | a buildkitd elsewhere; TLS by a query: `?cacert=/ca.pem&cert=/cert.pem&key=/key.pem` |
| `docker:///var/run/docker.sock` | a Docker Engine's socket on this machine |
| `docker://host:2376` | a Docker Engine; TLS as for `tcp://` |
| `ssh://user@host:22` | the daemon of a host behind sshd: `remote.ssh` |

The query's keys for TLS are those of buildx's remote driver; those of `ssh://` are `SshAddress`' fields.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from remote.errors import AddressError

_MOST_SOCKET_PATH_BYTES = 107
"""sun_path holds 108 bytes with its closing zero: unix(7)."""
_EXAMPLES = "e.g. unix:///run/buildkit/buildkitd.sock, tcp://host:1234, docker:///var/run/docker.sock, ssh://user@host"
_HOST = re.compile(r"[A-Za-z0-9.:_-]+")
_SSH_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?")
"""A name, an alias of OpenSSH's configuration or an IP address: nothing that a shell or `ssh` reads otherwise."""
_SSH_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]*")
_SSH_KEYS: Final = ("socket", "slots", "platform", "at", "transport")
_TRANSPORTS: Final = ("asyncssh", "openssh")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?")
_MOST_SLOTS = 1024
_TLS_KEYS: Final = ("cacert", "cert", "key", "servername")


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Who must answer, and who asks."""

    cacert: Path | None = None
    """The authorities that the daemon's certificate is checked with; None: this machine's own."""
    cert: Path | None = None
    """Our certificate, given together with its key."""
    key: Path | None = None
    servername: str | None = None
    """The name in the daemon's certificate; None: the host."""


class UnixAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A unix socket on this machine."""

    path: str

    def __str__(self) -> str:
        return f"unix://{quote(self.path)}"


class TcpAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP port, here or elsewhere."""

    host: str
    port: int
    tls: Tls | None = None
    """None speaks plainly: whoever sits between reads along."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        words = {name: str(value) for name in _TLS_KEYS if (value := getattr(self.tls, name, None)) is not None}
        return f"tcp://{host}:{self.port}" + (f"?{urlencode(words, safe='/')}" if words else "")


class EngineAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A Docker Engine, which has a BuildKit inside."""

    at: UnixAddress | TcpAddress

    def __str__(self) -> str:
        return f"docker://{str(self.at).partition('://')[2]}"


class SshAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A host with sshd, and with a buildkitd or a Docker Engine behind a unix socket of its own."""

    host: str
    """A name, an IP address, or an alias of OpenSSH's configuration; as written: `ssh` matches aliases by case."""
    user: str | None = None
    """None: what OpenSSH's configuration says, else the name of who runs this."""
    port: int | None = None
    """None: what OpenSSH's configuration says, else 22."""
    socket: str | None = None
    """The daemon's, on the host; None: the first of the well-known ones where somebody answers."""
    slots: int | None = None
    """Builds that the host runs at once."""
    platform: str | None = None
    """What the host builds for, where its daemon's own word does not count."""
    at: str | None = None
    """The IP address that is connected to, of several that the name has: whose key and whose configuration count, the
    name says. None: what OpenSSH's configuration and the name service say."""
    transport: str | None = None
    """What speaks SSH: `asyncssh`, or `openssh`, the `ssh` of this machine. None: the faster one that serves."""

    def __str__(self) -> str:
        user = "" if self.user is None else f"{quote(self.user)}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        words = {name: str(value) for name in _SSH_KEYS if (value := getattr(self, name)) is not None}
        return f"ssh://{user}{host}{port}" + (f"?{urlencode(words, safe='/')}" if words else "")


Address = UnixAddress | TcpAddress | EngineAddress | SshAddress


def parse(url: str) -> Address:
    """Read a builder's address.

    Args:
        url: as the module's table says.

    Raises:
        AddressError: the scheme is not one we speak, or the rest cannot be.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError(f"builder address {url!r}: {error}", hint=_EXAMPLES) from error
    match parts.scheme:
        case "unix":
            return _unix(url, parts)
        case "tcp":
            return _tcp(url, parts, port)
        case "docker":
            return EngineAddress(at=_tcp(url, parts, port) if parts.netloc else _unix(url, parts))
        case "ssh":
            return _ssh(url, parts, port)
        case _:
            raise AddressError(
                f"builder address {url!r}: expected unix://, tcp://, docker:// or ssh:// at its beginning",
                hint=_EXAMPLES,
            )


def _unix(url: str, parts: SplitResult) -> UnixAddress:
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or "\0" in path:
        raise AddressError(
            f"builder address {url!r}: expected an absolute path and nothing else after {parts.scheme}://",
            hint=f"three slashes: {parts.scheme}:///run/daemon.sock",
        )
    if len(path.encode(errors="surrogatepass")) > _MOST_SOCKET_PATH_BYTES:
        raise AddressError(
            f"builder address {url!r}: a unix socket's path has at most {_MOST_SOCKET_PATH_BYTES} bytes",
            hint="use a shorter path, or a symbolic link to the socket's directory",
        )
    return UnixAddress(path=path)


def _tcp(url: str, parts: SplitResult, port: int | None) -> TcpAddress:
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) or not port or parts.path not in ("", "/") or parts.fragment or "@" in parts.netloc:
        raise AddressError(
            f"builder address {url!r}: expected a host and a port after {parts.scheme}://, and at most a query",
            hint=f"as in {parts.scheme}://builder.example:1234",
        )
    return TcpAddress(host=host, port=port, tls=_tls(url, parts.query))


def _ssh(url: str, parts: SplitResult, port: int | None) -> SshAddress:
    login, at, place = parts.netloc.rpartition("@")
    # urlsplit's own hostname is in lower case, and an alias need not be.
    host = place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]
    user = unquote(login) if at else None
    if ":" in login:
        raise AddressError(
            f"builder address ssh://...@{place}: expected no password",
            hint="a key or an agent says who asks: `ssh-add`, or IdentityFile in ~/.ssh/config",
        )
    if not _SSH_HOST.fullmatch(host) or (user is not None and not _SSH_USER.fullmatch(user)) or port == 0:
        raise AddressError(
            f"builder address {url!r}: expected a user, a host and a port after ssh://, of which the host is needed",
            hint="as in ssh://builder.example, or ssh://deploy@10.0.0.7:2222",
        )
    if parts.path not in ("", "/") or parts.fragment:
        raise AddressError(
            f"builder address {url!r}: expected at most a query behind the host",
            hint=f"a socket other than the well-known ones is named by ssh://{parts.netloc}?socket=/path/on/the/host",
        )
    words = _words(url, parts.query, _SSH_KEYS, example="ssh://builder.example?slots=4&platform=linux/arm64")
    socket, slots, platform = words.get("socket"), words.get("slots"), words.get("platform")
    if socket is not None and (not socket.startswith("/") or not socket.isprintable()):
        raise AddressError(
            f"builder address {url!r}: socket: expected an absolute path on the host",
            hint="as in ?socket=/run/user/1000/buildkit/buildkitd.sock",
        )
    if slots is not None and not (slots.isascii() and slots.isdigit() and 1 <= int(slots[:5]) <= _MOST_SLOTS):
        raise AddressError(
            f"builder address {url!r}: slots: expected a number from 1 to {_MOST_SLOTS}", hint="as in ?slots=4"
        )
    if platform is not None and not _PLATFORM.fullmatch(platform):
        raise AddressError(
            f"builder address {url!r}: platform: expected an operating system and an architecture",
            hint="as in ?platform=linux/arm64",
        )
    at_ip = words.get("at")
    if at_ip is not None and not is_ip(at_ip):
        raise AddressError(f"builder address {url!r}: at: expected an IP address", hint="as in ?at=10.0.0.7")
    transport = words.get("transport")
    if transport is not None and transport not in _TRANSPORTS:
        raise AddressError(
            f"builder address {url!r}: transport: expected {' or '.join(_TRANSPORTS)}", hint="as in ?transport=openssh"
        )
    return SshAddress(
        host=host,
        user=user,
        port=port,
        socket=socket,
        slots=None if slots is None else int(slots),
        platform=platform,
        at=at_ip,
        transport=transport,
    )


def is_ip(host: str) -> bool:
    """Whether a host is named by its address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _tls(url: str, query: str) -> Tls | None:
    example = "tcp://host:1234?cacert=/etc/tls/ca.pem&cert=/etc/tls/cert.pem&key=/etc/tls/key.pem"
    said = _words(url, query, _TLS_KEYS, example=example)
    if not said:
        return None
    files = {name: Path(said[name]) for name in ("cacert", "cert", "key") if name in said}
    for name, path in files.items():
        if not path.is_absolute() or "\0" in str(path):
            raise AddressError(
                f"builder address {url!r}: {name}: expected an absolute path", hint="begin it with a slash"
            )
    if ("cert" in said) != ("key" in said):
        raise AddressError(
            f"builder address {url!r}: expected cert and key together", hint="name both files, or neither"
        )
    return Tls(**files, servername=said.get("servername"))


def _words(url: str, query: str, keys: tuple[str, ...], *, example: str) -> dict[str, str]:
    """A query's words, by key."""
    pairs = parse_qsl(query, keep_blank_values=True)
    said = dict(pairs)
    if len(said) != len(pairs) or (query and not said) or said.keys() - set(keys) or "" in said.values():
        raise AddressError(
            f"builder address {url!r}: expected {', '.join(keys)} in the query, each at most once",
            hint=f"as in {example}",
        )
    return said
