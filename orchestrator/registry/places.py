"""What a URL is for a request: whom it goes to, and what it asks there."""

from urllib.parse import quote, urlsplit

import msgspec

DEFAULT_PORTS = {"http": 80, "https": 443}
_RESERVED = "%:/?#[]@!$&'()*+,;=~"
"""What has a meaning in URLs (RFC 3986, 2.2), or is quoted already."""


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
