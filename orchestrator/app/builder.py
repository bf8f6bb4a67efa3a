"""From what was said to a builder that has answered: which one, how it is spoken to, what it can do.

Nothing was said: the first of the well-known sockets is taken, those of a buildkitd before those of a Docker Engine,
the system's before the user's own.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import msgspec

import remote.address
import remote.connect
from orchestrator.buildkit import Client
from orchestrator.buildkit.border import dial_error
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.config.settings import DOCKER_HOST, Host
from orchestrator.errors import BuilderUnreachableError, UsageError
from remote.address import Address, EngineAddress, SshAddress, TcpAddress, Tls, UnixAddress
from remote.errors import AddressError, RemoteError

_GREETING_SECONDS = 30.0
ENGINE_SOCKET = "/var/run/docker.sock"


class WellKnown(msgspec.Struct, frozen=True):
    """A socket that a daemon has unless it was told another."""

    path: str
    """Below `$XDG_RUNTIME_DIR` when it is relative."""
    address: Callable[[UnixAddress], Address]


SOCKETS = (
    WellKnown("/run/buildkit/buildkitd.sock", lambda socket: socket),
    WellKnown("buildkit/buildkitd.sock", lambda socket: socket),
    # nerdctl's rootless one has containerd's namespace in its name.
    WellKnown("buildkit-default/buildkitd.sock", lambda socket: socket),
    WellKnown(ENGINE_SOCKET, lambda socket: EngineAddress(at=socket)),
    WellKnown("docker.sock", lambda socket: EngineAddress(at=socket)),
)


def addresses(config: Config) -> tuple[Address, ...]:
    """The builders' addresses, at least one.

    Raises:
        UsageError: one is wrong or named twice, or nothing was said and no well-known socket is there.
    """
    if not config.hosts:
        return (_well_known(config),)
    found = tuple(_said(config, host) for host in config.hosts)
    for host, (index, one) in zip(config.hosts, enumerate(found), strict=True):
        if one in found[:index]:
            raise UsageError(
                f"{host.source}: {one} is named twice", hint="Name it once, with slots = ... for more builds."
            )
    return found


def _well_known(config: Config) -> Address:
    runtime = config.environment.variables.get("XDG_RUNTIME_DIR")
    looked: list[str] = []
    for known in SOCKETS:
        if not known.path.startswith("/") and not runtime:
            continue
        path = str(Path(runtime or "", known.path))
        if Path(path).is_socket():
            return known.address(UnixAddress(path=path))
        looked.append(path)
    raise UsageError(
        f"no builder was named, and there is no socket at {' or '.join(looked)}",
        hint="Start buildkitd, or name a builder: --host unix:///path/to/buildkitd.sock, docker:///path/to/its.sock or "
        "ssh://user@host. `fleetpacks build --isolated` starts one of its own.",
    )


def _said(config: Config, host: Host) -> Address:
    try:
        found = _docker_host(host.url) if host.source == DOCKER_HOST else remote.address.parse(host.url)
    except AddressError as error:
        raise UsageError(f"{host.source}: {error.message}", hint=error.hint) from error
    return _certified(config, found) if isinstance(found, EngineAddress) else found


def slots(host: Host | None, at: Address) -> int | None:
    """How many builds a builder runs at once; None: nobody said.

    Raises:
        UsageError: its address says one number, and the file that names it says another.
    """
    told = at.slots if isinstance(at, SshAddress) else None
    if host is None or host.slots is None:
        return told
    if told not in (None, host.slots):
        raise UsageError(f"{host.source}: {at}: slots is {host.slots} besides", hint="Say it once.")
    return host.slots


def own_api_hint(at: Address) -> str:
    """What to do about an engine of which more is needed than its BuildKit."""
    if isinstance(at, SshAddress):
        return "Run a buildkitd on the host, or let its engine keep images in containerd's image store."
    return "Name it with docker:// instead."


def engine_address(config: Config) -> EngineAddress:
    """The Docker Engine of this machine: `$DOCKER_HOST`, else its well-known socket.

    Raises:
        UsageError: the variable names none.
    """
    said = config.environment.docker_host
    if said is None:
        return EngineAddress(at=UnixAddress(path=ENGINE_SOCKET))
    try:
        return _certified(config, _docker_host(said))
    except AddressError as error:
        raise UsageError(f"{DOCKER_HOST}: {error.message}", hint=error.hint) from error


@asynccontextmanager
async def opened(at: Address) -> AsyncGenerator[tuple[Client, Capabilities]]:
    """Speak to a builder, which has answered before the block begins: its absence is one error, not one for each app.

    Raises:
        UsageError: what answers can be no builder, or a certificate is wrong.
        BuilderUnreachableError: nothing answers, or not within 30 seconds.
    """
    async with remote.connect.reaching(at) as ready:
        with _patience(at):
            try:
                dial = await ready()
            except RemoteError as error:
                raise dial_error(error, address=str(at)) from error
        async with Client(dial, address=str(at)) as client:
            with _patience(at):
                can = await client.capabilities()
            yield client, can


@contextmanager
def _patience(at: Address) -> Generator[None]:
    try:
        with anyio.fail_after(_GREETING_SECONDS):
            yield
    except TimeoutError as error:
        raise BuilderUnreachableError(
            f"{at}: something listens there, but gives no answer within {_GREETING_SECONDS:.0f} s",
            hint="is it a builder, and is it well? Its log may say what it waits for.",
        ) from error


def _docker_host(text: str) -> EngineAddress:
    """Read an engine's address as docker writes it."""
    scheme, separator, rest = text.partition("://")
    found = remote.address.parse(f"docker://{rest}" if separator and scheme in {"unix", "tcp"} else text)
    if not isinstance(found, EngineAddress):
        raise AddressError(f"{text!r} names no Docker Engine", hint="as in unix:///var/run/docker.sock")
    return found


def _certified(config: Config, found: EngineAddress) -> EngineAddress:
    """An engine elsewhere is shown docker's own certificates, where docker would show them."""
    folder = config.environment.docker_certificates
    if folder is None or not isinstance(found.at, TcpAddress) or found.at.tls:
        return found
    tls = Tls(cacert=folder / "ca.pem", cert=folder / "cert.pem", key=folder / "key.pem")
    return EngineAddress(at=msgspec.structs.replace(found.at, tls=tls))
