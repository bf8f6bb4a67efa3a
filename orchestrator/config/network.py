"""What stands between the operator's machines and the world: an authority of certificates, proxies of build steps.

The proxies of our own requests are those of the environment, as everywhere; those of build steps are others where
builders stand in other networks, so that they are named, or the environment's are said to be theirs, too.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta

from orchestrator.config.decode import Document
from orchestrator.errors import ConfigError
from orchestrator.model import Network

_PROXY: Final = re.compile(r"(?:https?|socks5h?)://[!#-&(-;=?-\[\]-~]{1,2000}", re.ASCII)
"""No blank, quote, backslash or angle bracket."""
_NONE: Final = re.compile(r"[A-Za-z0-9.,:*\[\]/ _-]{1,4000}", re.ASCII)
KINDS: Final = ("http", "https")


class ProxyTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A proxy: its address, or where that is read, because a password stands in it."""

    url: Annotated[str, Meta(min_length=1, description="Its address, without a password.")] | None = None
    env: Annotated[str, Meta(min_length=1, description="The variable that holds its address.")] | None = None
    file: Annotated[str, Meta(min_length=1, description="The absolute path of the file that holds it.")] | None = None


class NetworkTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands between the operator's machines and the world."""

    ca: (
        Annotated[str, Meta(min_length=1, description="Authorities that are trusted, too: a PEM file's path.")] | None
    ) = None
    http_proxy: Annotated[ProxyTable, Meta(description="The proxy of build steps for http.")] | None = None
    https_proxy: Annotated[ProxyTable, Meta(description="The proxy of build steps for https.")] | None = None
    no_proxy: Annotated[str, Meta(min_length=1, description="Hosts that build steps need none for.")] | None = None

    def proxies(self) -> Mapping[str, ProxyTable]:
        """By kind."""
        said = {"http": self.http_proxy, "https": self.https_proxy}
        return {kind: table for kind, table in said.items() if table is not None}


def check(table: NetworkTable, document: Document) -> None:
    """Look for what can be told without reading anything else.

    Raises:
        ConfigError: with file, line and key.
    """
    if table.ca is not None and not Path(table.ca).is_absolute():
        raise document.error(("network", "ca"), "expected an absolute path", hint="Begin it with /.")
    for kind, proxy in table.proxies().items():
        key = ("network", f"{kind}_proxy")
        if [proxy.url, proxy.env, proxy.file].count(None) != 2:  # noqa: PLR2004 -- one of three is stated
            hint = f'{kind}_proxy = {{ url = "http://proxy.example:3128" }}, for example.'
            raise document.error(key, "expected one of url, env and file", hint=hint)
        if proxy.file is not None and not Path(proxy.file).is_absolute():
            raise document.error((*key, "file"), "expected an absolute path", hint="Begin it with /.")
        if proxy.url is not None and has_login(proxy.url):
            hint = f'Put the address into a variable: {kind}_proxy = {{ env = "..." }}.'
            raise document.error((*key, "url"), "it holds a password", hint=hint)


def read(
    table: NetworkTable, variables: Mapping[str, str], *, ca: str | None, shared: bool, name: str, root: Path | None
) -> Network:
    """What was said, with the addresses of proxies.

    Args:
        table: the operator's.
        variables: the environment.
        ca: what the environment names.
        shared: whether the environment's proxies are those of build steps, too, where the file names none.
        name: the operator's file, for errors.
        root: the source, which must not hold the certificates.

    Raises:
        ConfigError: a proxy's address is none or cannot be read, or the certificates lie in the source.
    """
    found = {kind: _address(kind, proxy, variables, name) for kind, proxy in table.proxies().items()}
    none = table.no_proxy
    if shared and not found:
        said = {kind: _of_environment(f"{kind}_proxy", variables) for kind in KINDS}
        found = {kind: _checked(address, f"${kind.upper()}_PROXY") for kind, address in said.items() if address}
        none = none or _of_environment("no_proxy", variables)
    if none is not None and not _NONE.fullmatch(none):
        raise ConfigError("the hosts that need no proxy cannot be told", hint="As in no_proxy = 'localhost,.example'.")
    file = Path(ca).absolute() if ca else Path(table.ca) if table.ca else None
    if root is not None and file is not None and file.resolve().is_relative_to(root):
        raise ConfigError(
            f"{'$FLEETPACKS_CA' if ca else f'{name}: network.ca'}: certificates inside the source {root} are not "
            "trusted",
            hint="Whoever changes the source could have anybody trusted: keep them elsewhere.",
        )
    return Network(ca=file, proxies=found, no_proxy=none if found else None)


def _address(kind: str, proxy: ProxyTable, variables: Mapping[str, str], name: str) -> str:
    where = f"{name}: network.{kind}_proxy"
    if proxy.file is not None:
        try:
            return _checked(Path(proxy.file).read_text(encoding="utf-8").strip(), where)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where}: {proxy.file} cannot be read", hint="Name a file that can be.") from error
    if proxy.url is not None:
        return _checked(proxy.url, where)
    said = variables.get(proxy.env or "")
    if not said:
        raise ConfigError(f"{where}: ${proxy.env} is not set", hint=f"Set {proxy.env}, or name another source.")
    return _checked(said, where)


def _of_environment(name: str, variables: Mapping[str, str]) -> str | None:
    return variables.get(name) or variables.get(name.upper()) or None


def _checked(address: str, where: str) -> str:
    # Never the address itself: it may hold a password.
    whole = address if "://" in address else f"http://{address}"
    if not _PROXY.fullmatch(whole) or not _is_place(whole):
        hint = "As in http://proxy.example:3128; of a password, / is written %2F, ? %3F and # %23."
        raise ConfigError(f"{where}: expected the URL of a proxy", hint=hint)
    return whole


def _is_place(url: str) -> bool:
    """Whether there are a host and a port, and nothing behind: a password that is not escaped would be the path."""
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return False
    return bool(split.hostname) and split.path in {"", "/"} and {"?", "#"}.isdisjoint(url)


def passwords(network: Network) -> tuple[str, ...]:
    """What must not be read in records: as it is written in addresses, and as it is meant."""
    said = (urlsplit(address).password for address in network.proxies.values())
    return tuple(form for password in said if password for form in dict.fromkeys((password, unquote(password))))


def has_login(address: str) -> bool:
    """Whether there is a user, or a password, in an address: proxies are asked for nothing that has an @ in it."""
    return "@" in address
