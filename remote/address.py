"""Addresses of builders: text in, a checked value out.

One kind so far: `unix:///run/buildkit/buildkitd.sock`, the socket of a buildkitd on this machine.
"""

from urllib.parse import unquote, urlsplit

import msgspec

from remote.errors import AddressError

_MOST_SOCKET_PATH_BYTES = 107
"""sun_path holds 108 bytes with its closing zero: unix(7)."""


class UnixAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A unix socket on this machine."""

    path: str

    def __str__(self) -> str:
        return f"unix://{self.path}"


Address = UnixAddress


def parse(url: str) -> Address:
    """Read a builder's address.

    Args:
        url: `unix://` and an absolute path.

    Raises:
        AddressError: the scheme is not one we speak, or the path cannot be a socket's.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise AddressError(
            f"builder address {url!r}: {error}", hint="e.g. unix:///run/buildkit/buildkitd.sock"
        ) from error
    if parts.scheme != "unix":
        raise AddressError(
            f"builder address {url!r}: expected unix:///path/to/buildkitd.sock",
            hint="only a buildkitd on a unix socket is supported so far, e.g. unix:///run/buildkit/buildkitd.sock",
        )
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or "\0" in path:
        raise AddressError(
            f"builder address {url!r}: expected an absolute path and nothing else after unix://",
            hint="three slashes: unix:///run/buildkit/buildkitd.sock",
        )
    if len(path.encode()) > _MOST_SOCKET_PATH_BYTES:
        raise AddressError(
            f"builder address {url!r}: a unix socket's path has at most {_MOST_SOCKET_PATH_BYTES} bytes",
            hint="use a shorter path, or a symbolic link to the socket's directory",
        )
    return UnixAddress(path=path)
