"""Addresses of builders: text in, a checked value out.

| written | means |
|---|---|
| `unix:///run/buildkit/buildkitd.sock` | a buildkitd's socket on this machine |
| `tcp://host:1234` | a buildkitd elsewhere; TLS by a query: `?cacert=/ca.pem&cert=/cert.pem&key=/key.pem` |
| `docker:///var/run/docker.sock` | a Docker Engine's socket on this machine |
| `docker://host:2376` | a Docker Engine; TLS as for `tcp://` |

The query's keys are those of buildx's remote driver.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec

from remote.errors import AddressError

_MOST_SOCKET_PATH_BYTES = 107
"""sun_path holds 108 bytes with its closing zero: unix(7)."""
_EXAMPLES = "e.g. unix:///run/buildkit/buildkitd.sock, tcp://host:1234, docker:///var/run/docker.sock"
_HOST = re.compile(r"[A-Za-z0-9.:_-]+")
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


Address = UnixAddress | TcpAddress | EngineAddress


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
        case _:
            raise AddressError(
                f"builder address {url!r}: expected unix://, tcp:// or docker:// at its beginning", hint=_EXAMPLES
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


def _tls(url: str, query: str) -> Tls | None:
    pairs = parse_qsl(query, keep_blank_values=True)
    said = dict(pairs)
    if not pairs and not query:
        return None
    if len(said) != len(pairs) or not said or said.keys() - set(_TLS_KEYS) or "" in said.values():
        raise AddressError(
            f"builder address {url!r}: expected {', '.join(_TLS_KEYS)} in the query, each at most once",
            hint="as in tcp://host:1234?cacert=/etc/tls/ca.pem&cert=/etc/tls/cert.pem&key=/etc/tls/key.pem",
        )
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
