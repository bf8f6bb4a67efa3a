"""The cluster's network: a namespace with one link to this machine, whose rate can be limited in both directions.

The namespace is held by a file that it is mounted on, below the state directory: it is there or not, whatever was
killed, and goes with whatever unmounts what is below that directory.
"""

import hashlib
from pathlib import Path

import anyio

from tests.lab import tools
from tests.lab.ceph.record import Record, folder_of
from tests.lab.hosts.network import ENVIRONMENT, delete, exists, free_prefix, ip, is_up
from tests.lab.mounts import mount_points, unmount
from tests.lab.state import Layout

_BURST_SECONDS = 0.01
"""Seconds: what a limited link lets through at once, at its rate. The kernel's clock has no finer steps."""
_SMALLEST_BURST = 128_000
"""Bytes: two of the largest pieces that the kernel hands to a link."""
_INNER = "eth0"


def link_of(place: Layout) -> str:
    """The name of this machine's end of the link, which no other lab of this machine has."""
    return f"fpc-{hashlib.sha256(bytes(folder_of(place))).hexdigest()[:8]}"


def enter(place: Layout, *command: str) -> list[str]:
    """The command that runs another one in the cluster's network."""
    return ["nsenter", f"--net={_space(place)}", *command]


async def choose(place: Layout) -> str:
    """A network in which this machine has no address.

    Raises:
        LabError: there is none.
    """
    return await free_prefix(folder_of(place))


def is_whole(place: Layout) -> bool:
    """Whether it was made to its end, in this boot."""
    space = _space(place)
    return space in mount_points(space) and is_up(link_of(place))


async def make(place: Layout, record: Record) -> None:
    """Make it. What is left of another is removed before; nothing runs in it.

    Raises:
        LabError: it cannot be made.
    """
    await remove(place)
    space = _space(place)
    await anyio.Path(space).touch()
    await tools.run(
        ["unshare", f"--net={space}", "true"],
        doing="making a network for Ceph",
        hint="look whether this machine lets root make namespaces",
        env=ENVIRONMENT,
    )
    await ip(f"link add {link_of(place)} type veth peer name {_INNER} netns {space}")
    await ip(
        "link set lo up",
        f"addr add {record.address}/24 dev {_INNER}",
        f"link set {_INNER} up",
        inside=enter(place),
    )
    await ip(f"addr add {record.gateway}/24 dev {link_of(place)}", f"link set {link_of(place)} up")


async def limit(place: Layout, bits: int) -> None:
    """Let the link carry so many bits per second in each direction; 0 is as many as it can.

    Raises:
        LabError: the kernel knows no such limit.
    """
    burst = max(int(bits / 8 * _BURST_SECONDS), _SMALLEST_BURST)
    tbf = ["root", "tbf", "rate", f"{bits}bit", "burst", str(burst), "latency", "50ms"]
    for device, inside in ((link_of(place), []), (_INNER, enter(place))):
        if bits:
            await tools.run(
                [*inside, "tc", "qdisc", "replace", "dev", device, *tbf],
                doing="limiting the rate of Ceph's link",
                hint="install iproute2, and look whether the kernel has sch_tbf",
                env=ENVIRONMENT,
            )
        else:  # where there is no limit, there is nothing to delete
            words = [*inside, "tc", "qdisc", "delete", "dev", device, "root"]
            await anyio.run_process(words, check=False, env=ENVIRONMENT)


async def remove(place: Layout) -> None:
    """Remove it, if it is there, whole or not. Nothing runs in it.

    Raises:
        LabError: something of it stays.
    """
    if exists(link_of(place)):
        await delete(link_of(place))
    await unmount(_space(place))


def _space(place: Layout) -> Path:
    return folder_of(place) / "net"
