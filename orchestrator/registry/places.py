"""What a URL is for a request: whom it goes to, and what it asks there."""

import re
from functools import lru_cache
from urllib.parse import quote, urlsplit

import msgspec

DEFAULT_PORTS = {"http": 80, "https": 443}
_RESERVED = "%:/?#[]@!$&'()*+,;=~"
"""What has a meaning in URLs (RFC 3986, 2.2), or is quoted already."""
_SIMPLE = re.compile(r"(https?://[a-z0-9.:-]+)(/[A-Za-z0-9/._:-]*)")
"""A URL of which nothing has to be looked at twice."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A URL as a request needs it."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """What decides whether two places are one server's."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The `Host` of a request."""
        return self._bracketed if self.port == DEFAULT_PORTS[self.scheme] else self.address

    @property
    def address(self) -> str:
        """Host and port, whatever the port is."""
        return f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def place(url: str) -> Place:
    """The place that a URL names.

    Args:
        url: an absolute one of http or https.

    Raises:
        ValueError: its host or port cannot be.
    """
    simple = _SIMPLE.fullmatch(url)
    if simple is None:
        return _read(url)
    # Reading a URL takes a twentieth of a small request, and most differ in what they ask for only.
    scheme, host, port = _origin(simple[1])
    return Place(scheme=scheme, host=host, port=port, target=simple[2])


@lru_cache
def _origin(url: str) -> tuple[str, str, int]:
    return _read(url).origin


def _read(url: str) -> Place:
    # A server's `Location` may hold whatever its bytes are.
    split = urlsplit(quoted(url))
    port = split.port
    if split.scheme not in DEFAULT_PORTS or not split.hostname:
        raise ValueError("it is not an http or https URL with a host")
    return Place(
        scheme=split.scheme,
        host=split.hostname,
        port=DEFAULT_PORTS[split.scheme] if port is None else port,
        target=(split.path or "/") + (f"?{split.query}" if split.query else ""),
    )


def quoted(url: str) -> str:
    """A URL without characters that no URL has."""
    return quote(url, safe=_RESERVED)
