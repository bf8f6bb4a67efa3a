"""The hosts' network: one bridge, a link for each host, and the lab's registry under an address that all of them reach.

The registry is a second process on the same storage: it listens on the bridge's address, so that one name stands for
it on this machine and on every host, and a host's pulls and pushes go through its own link. One firewall rule lets the
hosts out to package registries, where iptables works; where it does not, they reach this machine and each other.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from tests.lab import tools
from tests.lab.daemons import answers, environment_of
from tests.lab.errors import LabError
from tests.lab.firewall import Verb, masquerade
from tests.lab.process import Daemon, end, spawn, strays
from tests.lab.state import Layout

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Mapping[str, str] = {"PATH": SYSTEM_PATH, "LC_ALL": "C"}
_CANDIDATES = 512
"""Networks of 254 hosts in the range of RFC 2544, which no real network uses."""
_IFF_UP = 1
"""Of an interface's flags (netdevice(7))."""
_CONFIGURATION = "hosts/registry.yml"
_REGISTRY = """\
version: 0.1
log: {{level: info, accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "{address}", secret: lab}}
"""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The hosts' network; written down in `hosts/network.json`."""

    prefix: str
    """The first three numbers of its addresses."""
    bridge: str
    port: int
    """The registry's."""

    @property
    def gateway(self) -> str:
        """This machine's address in it."""
        return f"{self.prefix}.1"

    @property
    def registry(self) -> str:
        """`ADDRESS:PORT`."""
        return f"{self.gateway}:{self.port}"

    def address(self, number: int) -> str:
        """A host's address."""
        return f"{self.prefix}.{number + 1}"

    def link(self, number: int) -> str:
        """The name of this machine's end of a host's link: 15 characters at most."""
        return f"{self.bridge[:10]}-{number}"


def bridge_of(place: Layout) -> str:
    """The bridge's name, which no other lab of this machine has."""
    return f"fph-{hashlib.sha256(bytes(place.root / 'hosts')).hexdigest()[:8]}"


async def ip(*lines: str, inside: Sequence[str] = ()) -> None:
    """Do some things with the program `ip`, in order.

    Args:
        lines: what it is told.
        inside: the command that runs another one on a host.

    Raises:
        LabError: one of them cannot be done.
    """
    for line in lines:
        await tools.run(
            [*inside, "ip", *line.split()],
            doing=f"the hosts' network: ip {line}",
            hint="install iproute2, and look whether the kernel has bridges and veth pairs",
            env=ENVIRONMENT,
        )


def exists(link: str) -> bool:
    """Whether this machine has a network link of a name."""
    return Path("/sys/class/net", link).exists()


async def delete(link: str) -> None:
    """Delete a network link, if it is there.

    Raises:
        LabError: it stays.
    """
    try:
        if exists(link):
            await ip(f"link delete {link}")
    except LabError:
        # The other end's namespace has ended, and the kernel was faster.
        if exists(link):
            raise


async def ensure(place: Layout, *, say: Callable[[str], None]) -> Network:
    """Make what of the network is not there. The caller holds the hosts' lock.

    Raises:
        LabError: the lab was never up, or something cannot be made.
    """
    record = place.read()
    if record is None:
        raise LabError("hosts need the lab's registry", hint="run `python -m tests.lab up` first")
    bridge = bridge_of(place)
    before = known(place)
    if before is not None and is_up(bridge):
        prefix = before.prefix
    else:
        await remove(place)  # half-made, or of a boot before this one
        prefix = await free_prefix(_file(place))
    network = Network(prefix=prefix, bridge=bridge, port=record.port)
    if network != before:
        _file(place).write_bytes(msgspec.json.encode(network))
    if not exists(bridge):
        say(f"making the hosts' network {prefix}.0/24")
        await ip(
            f"link add {bridge} type bridge",
            f"addr add {network.gateway}/24 dev {bridge}",
            f"link set {bridge} up",
        )
    if not await _rule(place, "--check", network) and await _rule(place, "--append", network):
        forward = anyio.Path("/proc/sys/net/ipv4/ip_forward")
        if (await forward.read_text()).strip() == "0":
            await forward.write_text("1")
    await _registry(place, network)
    return network


def known(place: Layout) -> Network | None:
    """The network as it was made, or None."""
    try:
        return msgspec.json.decode(_file(place).read_bytes(), type=Network)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def remove(place: Layout) -> None:
    """Remove bridge, rule and registry. The hosts are gone."""
    for stray in strays(place.root, files=[_CONFIGURATION]):
        await end(stray)
    network = known(place)
    while network is not None and await _rule(place, "--delete", network):
        pass
    await delete(bridge_of(place))


def _file(place: Layout) -> Path:
    return place.root / "hosts" / "network.json"


def is_up(link: str) -> bool:
    """Whether this machine has a network link of a name, and it was made to its end: this is done to it last."""
    flags = Path("/sys/class/net", link, "flags")
    return flags.exists() and bool(int(flags.read_text(encoding="ascii"), 16) & _IFF_UP)


async def free_prefix(of: Path) -> str:
    """A network in which this machine has no address: each file that it is for tries them in an order of its own.

    Raises:
        LabError: there is none.
    """
    said = await tools.run(
        ["ip", "-4", "-oneline", "addr"], doing="looking for a free network", hint="install iproute2", env=ENVIRONMENT
    )
    start = int.from_bytes(hashlib.sha256(bytes(of)).digest()[:2])
    for step in range(_CANDIDATES):
        high, low = divmod((start + step) % _CANDIDATES, 256)
        if f" 198.{18 + high}.{low}." not in said:
            return f"198.{18 + high}.{low}"
    raise LabError("all networks of 198.18.0.0/15 are taken", hint="remove bridges of labs that are gone")


async def _rule(place: Layout, verb: Verb, network: Network) -> bool:
    return await masquerade(place, verb, f"{network.prefix}.0/24", network.bridge)


async def _registry(place: Layout, network: Network) -> None:
    config = place.root / _CONFIGURATION
    text = _REGISTRY.format(data=place.root / "registry", address=network.registry)
    found = strays(place.root, files=[_CONFIGURATION])
    if found and config.read_text(encoding="utf-8") == text:
        return
    for outdated in found:  # the port has changed
        await end(outdated)
    config.write_text(text, encoding="utf-8")
    program = await tools.debian_program(place, "docker-registry", "usr/bin/docker-registry", installed=True)
    name = "registry-of-hosts"
    daemon: Daemon = spawn([str(program), "serve", str(config)], log=place.log(name), environment=environment_of(place))
    await answers(place, name, daemon, lambda: _listens(network))


async def _listens(network: Network) -> bool:
    try:
        stream = await anyio.connect_tcp(network.gateway, network.port)
    except OSError:
        return False
    await stream.aclose()
    return True
