"""Where a registry is reached, and whom its credentials may be told: pure decisions.

**Plain HTTP** is spoken with a registry that the operator calls insecure, and with one on a loopback address that
welcomes it (Docker has 127.0.0.0/8 in its insecure registries by default; nothing secret is said before). A certificate
that does not verify is an error in either case and never a reason to fall back; there is no unverified TLS.

**Realms.** A registry names the token server ("realm") itself, and it is usually another host (`auth.docker.io`,
`gitlab.com`), so a foreign realm cannot be refused as such. Docker and containerd send the credentials to any realm,
over any scheme. Here: the credentials are those of the *registry's* host, whatever the realm's host is, so a registry
can only give away what it was given; the realm must be `https`, or, when the registry itself is spoken with over
plain HTTP, on the same host, on a loopback address as the registry is, or on a host that the operator calls insecure.
A realm with user information is refused.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import msgspec

from orchestrator.model import HUB_HOSTS, Registry
from orchestrator.registry.reference import DOCKER_HUB

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""Docker Hub's key in Docker's configuration file (docker/cli `registry.IndexServer`)."""

_DOCKER_HUB_API = "registry-1.docker.io"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A registry and the scheme and host it is spoken with."""

    host: str
    """As in references: `docker.io`, `registry.example:5000`."""
    scheme: str
    authority: str

    @property
    def base(self) -> str:
        """The start of all URLs: `https://registry-1.docker.io`."""
        return f"{self.scheme}://{self.authority}"


def is_docker_hub(host: str) -> bool:
    """Whether a host is one of the names of Docker Hub."""
    return host in HUB_HOSTS


def canonical(host: str) -> str:
    """The one name under which a registry's tokens and credentials are kept."""
    return DOCKER_HUB if is_docker_hub(host) else host.lower()


def is_loopback(hostname: str) -> bool:
    """Whether a host name or address (without port; IPv6 with or without brackets) is this machine's loopback."""
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname.strip("[]")).is_loopback
    except ValueError:
        return False


def hostname(authority: str) -> str:
    """The host without its port, in lower case; empty when there is none."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").lower()
    except ValueError:
        return ""


def endpoints(host: str, registries: Mapping[str, Registry]) -> tuple[Endpoint, ...]:
    """The ways to speak with a registry, in the order in which they are tried."""
    authority = _DOCKER_HUB_API if is_docker_hub(host) else host
    plain = Endpoint(host=host, scheme="http", authority=authority)
    secure = Endpoint(host=host, scheme="https", authority=authority)
    if is_insecure(host, registries):
        return (plain,)
    return (plain, secure) if is_loopback(hostname(host)) else (secure,)


def refuse_realm(realm: str, endpoint: Endpoint, registries: Mapping[str, Registry]) -> str | None:
    """Why a token server must not be asked, or None when it may be (the rules are at the top of this module)."""
    url = _split(realm)
    if url is None or not url.hostname:
        return "it is not an http or https URL with a host"
    if url.username is not None or url.password is not None:
        return "it contains a user name"
    if url.scheme == "https":
        return None
    if endpoint.scheme == "https":
        return "it is plain HTTP, but the registry is not"
    same = url.hostname == hostname(endpoint.authority)
    both_local = is_loopback(url.hostname) and is_loopback(hostname(endpoint.authority))
    authority = url.hostname if url.port is None else f"{url.hostname}:{url.port}"
    allowed = same or both_local or is_insecure(authority, registries)
    return None if allowed else "it is plain HTTP on another host"


def refuse_redirect(source: str, target: str) -> str | None:
    """Why a redirect must not be followed, or None when it may be: never from TLS to plain HTTP, never with a user."""
    url = _split(target)
    if url is None or not url.hostname:
        return "the target is not an http or https URL"
    if url.username is not None or url.password is not None:
        return "the target contains a user name"
    if urlsplit(source).scheme == "https" and url.scheme != "https":
        return "the target is plain HTTP, but the source is not"
    return None


def _split(url: str) -> SplitResult | None:
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return None
    return split if split.scheme in {"http", "https"} else None


def is_insecure(host: str, registries: Mapping[str, Registry]) -> bool:
    """Whether the operator says that a registry speaks plain HTTP."""
    registry = registries.get(host)
    return registry is not None and registry.insecure
