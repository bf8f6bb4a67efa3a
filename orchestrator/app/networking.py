"""What build steps get of the operator's network: certificates and proxies, as secrets or as build arguments.

Generated Dockerfiles read a script that is a secret. A user's own gets proxies by the build arguments that every
frontend knows for that: they are in no key of a step's and in no image's history (docs.docker.com/reference/dockerfile,
"Predefined ARGs"). Builders keep them in the records of builds, though, and attest them: none that holds a password is
given so. The certificates are secrets of both.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import anyio.lowlevel
import anyio.to_thread

from langs.facts import GENERATED
from langs.network import CA, KEY_STORE, SCRIPT, path
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config
from orchestrator.config.network import has_login
from orchestrator.errors import ConfigError
from orchestrator.model import AppPlan, Network
from orchestrator.registry import trust

_FILES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
    "BUNDLE_SSL_CA_CERT",
    "HEX_CACERTS_PATH",
    "AWS_CA_BUNDLE",
)
"""What tools read the name of a file of authorities from. All but those of Node.js and Deno trust nothing else then."""
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


async def readers(config: Config) -> Mapping[str, SecretReader]:
    """Readers of the secrets of `langs.network` that there are: made once, before a step can ask for them.

    Raises:
        ConfigError: certificates cannot be read, or are too many.
    """
    network, found = config.network, dict[str, bytes]()
    if network.ca is not None or network.proxies:
        found[SCRIPT] = script(network).encode()
    if network.ca is not None:
        found |= await anyio.to_thread.run_sync(_certificates, network.ca)
    return {name: _reader(value) for name, value in found.items()}


def seen_by(plan: AppPlan, known: Mapping[str, SecretReader]) -> Mapping[str, SecretReader]:
    """Those that an app's steps may read: of a user's own Dockerfile, no proxy's password."""
    return known if plan.build.language in GENERATED else {name: known[name] for name in known if name != SCRIPT}


def arguments(config: Config, plan: AppPlan) -> Mapping[str, str]:
    """The frontend's attributes that tell a user's own Dockerfile of proxies."""
    network = config.network
    if plan.build.language in GENERATED or withheld(network):
        return {}
    said = {f"{kind.upper()}_PROXY": address for kind, address in network.proxies.items()}
    said |= {"NO_PROXY": network.no_proxy} if network.no_proxy else {}
    return {f"build-arg:{name}": value for name, value in said.items()}


def withheld(network: Network) -> bool:
    """Whether users' own Dockerfiles are told of no proxy, because a password stands in one's address."""
    return any(map(has_login, network.proxies.values()))


def warnings(config: Config, plans: tuple[AppPlan, ...]) -> tuple[str, ...]:
    """What is to be said of a run's proxies."""
    if not withheld(config.network) or all(plan.build.language in GENERATED for plan in plans):
        return ()
    message = (
        "users' own Dockerfiles are built without the proxy: a password stands in its address, and builders keep build "
        "arguments; give the builder itself the proxy, or one without a password"
    )
    return (message,)


def script(network: Network) -> str:
    """What a step's shell reads."""
    lines: list[str] = []
    if network.ca is not None:
        lines += [f"export {name}={path(CA)}" for name in _FILES]
    for kind, address in network.proxies.items():
        lines += [f"export {name}={shlex.quote(address)}" for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY")]
    if network.no_proxy:
        lines += [f"export {name}={shlex.quote(network.no_proxy)}" for name in ("no_proxy", "NO_PROXY")]
    options = shlex.quote(" ".join(_java(network)))
    # Most steps have no Java, and no store for it: a JVM that was told of one that is not there trusts nobody.
    java = f"[ ! -f {path(KEY_STORE)} ] || " if network.ca is not None else ""
    return "\n".join((*lines, f'{java}export JAVA_TOOL_OPTIONS="$JAVA_TOOL_OPTIONS "{options}', ""))


def _java(network: Network) -> list[str]:
    """Options of every JVM. Its own client cannot say a password; Maven's asks for these when it is told to."""
    words: list[str] = []
    if network.ca is not None:
        words += [
            f"-Djavax.net.ssl.trustStore={path(KEY_STORE)}",
            "-Djavax.net.ssl.trustStoreType=JKS",
            f"-Djavax.net.ssl.trustStorePassword={trust.PASSWORD}",
        ]
    for kind, address in network.proxies.items():
        split = urlsplit(address)
        # Of socks there is one proxy for all that Java connects to.
        name = "socksProxy" if split.scheme.startswith("socks") else f"{kind}.proxy"
        words += [f"-D{name}Host={split.hostname}", f"-D{name}Port={split.port or _PORTS[split.scheme]}"]
    if network.proxies:
        words.append("-Daether.connector.http.useSystemProperties=true")
    # A blank would end the option, and no JVM starts with a word that is none.
    hosts = (network.no_proxy or "").replace(",", " ").split()
    if hosts:
        none = "|".join(f"*{each}" if each.startswith(".") else each for each in hosts)
        words += [f"-Dhttp.nonProxyHosts={none}", f"-DsocksNonProxyHosts={none}"]
    return words


def _certificates(ca: Path) -> Mapping[str, bytes]:
    found = trust.bundle(ca)
    made = {CA: trust.pem(found), KEY_STORE: trust.key_store(found)}
    largest = max(map(len, made.values()))
    if largest > trust.LARGEST:
        raise ConfigError(
            f"{ca}: with the usual authorities these are {largest} bytes, and builders take {trust.LARGEST}",
            hint="Keep in it only the authorities that build steps meet.",
        )
    return made


def _reader(value: bytes) -> SecretReader:
    async def read() -> bytes:
        await anyio.lowlevel.checkpoint()
        return value

    return read
