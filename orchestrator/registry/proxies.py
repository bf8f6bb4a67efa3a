"""Which proxy stands between us and a host: what the variables of the environment say, as `curl` and Docker read them.

`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` name one, in either case; `NO_PROXY` lists the hosts that need none: a name
means itself and all below it, one that begins with a dot only those below it, an address itself, each perhaps with a
port, and `*` everything.
"""

import base64
import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from orchestrator.errors import ConfigError

AUTHENTICATION_REQUIRED = 407
"""What only a proxy answers."""


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """Where a proxy is, and who we are for it. Shows no secret."""

    scheme: str
    host: str
    port: int
    auth: tuple[str, str] | None = None
    """User and password."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What is said to it with every request that it reads."""
        if self.auth is None:
            return {}
        return {"proxy-authorization": f"Basic {base64.b64encode(':'.join(self.auth).encode()).decode()}"}

    def __repr__(self) -> str:
        return f"Proxy({self.scheme}://{self.host}:{self.port})"


def proxy_for(scheme: str, host: str, port: int, said: Mapping[str, str]) -> Proxy | None:
    """The proxy for connections to a host.

    Args:
        scheme: `http` or `https`.
        host: its name or address, in lower case and without brackets.
        port: its port.
        said: what the environment says, as `urllib.request.getproxies` gives it.

    Raises:
        ConfigError: what it says is no proxy, or one that is not spoken with.
    """
    url = said.get(scheme) or said.get("all")
    if not url or any(_means(each.strip().lower(), host, port) for each in said.get("no", "").split(",")):
        return None
    try:
        split = urlsplit(url if "://" in url else f"http://{url}")
        port = split.port or (443 if split.scheme == "https" else 80)
    except ValueError:
        raise _wrong("it is not a URL") from None
    if split.scheme not in {"http", "https"} or not split.hostname:
        raise _wrong("only proxies at http and https URLs are spoken with")
    auth = None if split.username is None else (unquote(split.username), unquote(split.password or ""))
    return Proxy(scheme=split.scheme, host=split.hostname, port=port, auth=auth)


def refused(proxy: Proxy) -> ConfigError:
    """The error for a proxy that wants to know who we are, or does not like it (RFC 9110, 15.5.8)."""
    says = "wants a user and a password" if proxy.auth is None else "does not take the user and the password"
    return ConfigError(
        f"{_named(proxy)} {says} (HTTP {AUTHENTICATION_REQUIRED})",
        hint="say who you are in its URL, http://USER:PASSWORD@HOST:PORT, in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; or "
        "name the registry in NO_PROXY",
    )


def forbidden(proxy: Proxy, to: str, status: int) -> ConfigError:
    """The error for a proxy that does not connect us, and would not do so later.

    Args:
        proxy: it.
        to: the host and the port that it was asked for.
        status: what it has answered.
    """
    return ConfigError(
        f"{_named(proxy)} refuses to connect us with {to} (HTTP {status})",
        hint="ask its operator to let that through; or name the registry in NO_PROXY, where it is reached without",
    )


def _named(proxy: Proxy) -> str:
    where = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return f"the proxy {where}:{proxy.port}"


def _means(pattern: str, host: str, port: int) -> bool:
    """Whether one entry of `NO_PROXY` means a host."""
    if pattern in {"", "*"}:
        return pattern == "*"
    name, colon, number = pattern.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        pattern = name
    pattern = pattern.strip("[]").removeprefix("*")
    below = pattern if pattern.startswith(".") else f".{pattern}"
    return host == pattern or (host.endswith(below) and not _is_address(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _wrong(reason: str) -> ConfigError:
    # The variable's value may hold a password.
    return ConfigError(
        f"the proxy that the environment names cannot be used: {reason}",
        hint="see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in upper and lower case",
    )
