"""Where images of registries are mirrored, as an operator writes it: `host[:port][/path]`, in variables with a scheme.

A host must be seen to be one, by a dot, a port, or as `localhost`: `mirror/library/node` is the name of an image on
Docker Hub.
"""

import re
from collections.abc import Mapping
from typing import Final

from orchestrator.errors import ConfigError
from orchestrator.model import HUB, HUB_HOSTS, Registry

_NAME: Final = r"(?=[^/]*[.:]|localhost(?:/|$))[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_HOST: Final = rf"(?:{_NAME}|\[[0-9a-fA-F:.]+\])(?::[0-9]{{1,5}})?"
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PLACE: Final = re.compile(rf"({_HOST})((?:/{_PART})*)/?")
_SCHEME: Final = re.compile(r"(https?)://", re.IGNORECASE)
HINT: Final = "Write it as HOST[:PORT][/PATH], like registry.example/hub; a host without a dot needs its port."


def place(text: str) -> str | None:
    """A mirror as images are named after it, its host in lower case; None: it is none."""
    found = _PLACE.fullmatch(text)
    return f"{found[1].lower()}{found[2]}" if found else None


def of_variable(name: str, text: str | None) -> str | None:
    """What a variable says, which may be a URL.

    Raises:
        ConfigError: it is no mirror. The text is not in the error: there may be a password in it.
    """
    if text is None:
        return None
    found = place(_SCHEME.sub("", text, count=1))
    if found is None:
        raise ConfigError(f"${name}: expected a registry, perhaps with a path", hint=HINT)
    return found


def plain(text: str | None) -> str | None:
    """The host of a mirror that a variable says to speak plain HTTP; None: it does not say that."""
    scheme = _SCHEME.match(text or "")
    if text is None or scheme is None or scheme[1].lower() != "http":
        return None
    return (place(text[scheme.end() :]) or "").partition("/")[0] or None


def by_host(registries: Mapping[str, Registry]) -> dict[str, str]:
    """The operator's mirrors by the host that images are named after, whichever of its names the operator wrote."""
    said = {host: registry.mirror for host, registry in registries.items() if registry.mirror}
    names = {host: HUB if host.lower() in HUB_HOSTS else host.lower() for host in said}
    # Where several names of one have mirrors, its own counts.
    return {names[host]: said[host] for host in sorted(said, key=lambda host: host == names[host])}


def with_plain(registries: Mapping[str, Registry], *said: str | None) -> Mapping[str, Registry]:
    """The operator's words on registries, with those of which variables say that they speak plain HTTP."""
    hosts = {host for text in said if (host := plain(text)) is not None and host not in registries}
    return {**registries, **{host: Registry(host=host, insecure=True) for host in sorted(hosts)}}
