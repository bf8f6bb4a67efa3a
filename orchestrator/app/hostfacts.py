"""What is known of a builder, and what is wrong with it: values, and rules without any input.

A fact that was not told is None, and no rule speaks of it.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from orchestrator.buildkit.capabilities import Kind, is_since
from orchestrator.text import size
from remote.probe import NETWORK, Disk, Machine

State = Literal["well", "unreachable", "unusable"]

OLDEST = (0, 13)
"""The oldest version of buildkitd that is tested."""
_NEARLY_FULL = 0.1
"""Of a disk's bytes, or of its files, left."""
_SWAPPED = 0.05
"""Of the memory: less of it are pages that nobody needs."""
_FAMILIES: Mapping[str, frozenset[str]] = {
    "x86_64": frozenset({"amd64", "386"}),
    "aarch64": frozenset({"arm64", "arm"}),
    "armv7l": frozenset({"arm"}),
    "i686": frozenset({"386"}),
    "loongarch64": frozenset({"loong64"}),
}
"""The kernel's word -> the architectures, in Go's words, that its processors run. Others have one word for both."""
_EMULATORS: Mapping[str, str] = {"386": "qemu-i386", "arm": "qemu-arm"}
"""Of those that a processor need not run by itself."""
_NATIVE = "native"
_GRAPH_DRIVER: Kind = "engine, graph driver"


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What a builder builds for."""

    platform: str
    """`linux/arm64`."""
    emulated: bool | None
    """Whether its machine only imitates the processor; None: nothing is known of its machine."""


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """What BuildKit's API tells."""

    kind: Kind
    version: str | None
    """Of BuildKit; engines before 23 do not say it."""
    worker: str
    """The id beside its cache: two addresses with one id are one builder."""
    snapshotter: str | None
    """None: a graph driver keeps the layers."""
    platforms: tuple[Platform, ...]
    latency_ms: float
    """Of the cheapest question on an open connection, the median of some."""
    running: int | None
    """Builds, everybody's; None: it has no history."""
    cache: int | None
    """Bytes of its cache; None: it did not count them in time."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a builder, and what to do."""

    kind: str
    """A stable word."""
    message: str
    hint: str


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A builder, as it was found."""

    address: str
    state: State
    slots: int
    """Builds that it runs at once."""
    slots_said: bool
    """Whether somebody said so; else it is the processors of the machine that this runs on."""
    daemon: Daemon | None
    """None unless it is well."""
    machine: Machine | None
    """None where its machine cannot be asked, or did not answer."""
    unknown: str | None
    """Why nothing is known of its machine."""
    root: str | None = None
    """The daemon's directory, which `disk` is about; None: it is not certain which one it is."""
    disk: Disk | None = None
    quota: float | None = None
    """Processors that the daemon's control group may use; None: all, or not known."""
    problems: tuple[Problem, ...] = ()


def platforms(names: Sequence[str], machine: Machine | None) -> tuple[Platform, ...]:
    """Tell which of a worker's platforms its machine runs by itself.

    Args:
        names: as the worker lists them.
        machine: where it runs; None: not known.
    """
    word = machine.architecture if machine is not None else None
    if machine is None or word is None:
        return tuple(Platform(platform=name, emulated=None) for name in names)
    own = _FAMILIES.get(word, frozenset({word}))
    return tuple(Platform(platform=name, emulated=_emulated(name, own, machine.emulators)) for name in names)


def _emulated(name: str, own: frozenset[str], emulators: Sequence[str]) -> bool:
    _, _, rest = name.partition("/")
    architecture = rest.partition("/")[0]
    return architecture not in own or _EMULATORS.get(architecture) in emulators


def locked(address: str, machine: Machine, tried: Collection[str]) -> tuple[Problem, ...]:
    """Why perhaps no daemon answered on a host behind sshd: which sockets lie there, and whether we may open them.

    Args:
        address: the host's.
        machine: what it tells.
        tried: the sockets at which nobody answered.
    """
    shut = tuple(
        Problem(
            kind="socket-permission",
            message=f"{machine.user or 'our user'} may not open {each.path} there",
            hint="put the user into the group that owns the socket; whoever is in it is as good as root there",
        )
        for each in machine.sockets
        if not each.writable
    )
    plain, _, words = address.partition("?")
    others = "".join(f"&{word}" for word in words.split("&") if word and not word.startswith("socket="))
    return shut + tuple(
        Problem(
            kind="socket-elsewhere",
            message=f"there is a socket at {each.path}",
            hint=f"name it, if a daemon listens there: {plain}?socket={each.path}{others}",
        )
        for each in machine.sockets
        if each.writable and each.path not in tried
    )


def problems(host: Host) -> tuple[Problem, ...]:
    """What is wrong with a builder that answers."""
    return tuple(each for rule in (_of_daemon, _of_disk, _of_machine) for each in rule(host))


def same(hosts: Sequence[Host]) -> Mapping[str, Problem]:
    """The addresses that lead to a daemon which another one before them leads to, too."""
    first: dict[str, str] = {}
    found: dict[str, Problem] = {}
    for host in hosts:
        daemon = host.daemon
        # Engines with a graph driver all have one id.
        if daemon is None or not daemon.worker or daemon.kind == _GRAPH_DRIVER:
            continue
        if (other := first.setdefault(daemon.worker, host.address)) != host.address:
            found[host.address] = Problem(
                kind="same-daemon",
                message=f"this is the daemon of {other}",
                hint="name it once: it has one cache and one set of processors, whatever leads there",
            )
    return found


def _of_daemon(host: Host) -> Sequence[Problem]:
    daemon = host.daemon
    found: list[Problem] = []
    if daemon is None:
        return found
    if daemon.kind == "buildkitd" and not is_since(daemon.version, OLDEST):
        found.append(
            Problem(
                kind="daemon-old",
                message=f"BuildKit {daemon.version or 'of a version that it does not say'} is older than v0.13",
                hint="update the daemon: not all that builds use is there, and no test runs on it",
            )
        )
    if daemon.snapshotter == _NATIVE:
        found.append(
            Problem(
                kind="snapshotter-native",
                message="its snapshotter, native, copies every layer in full: slow, and many times the disk",
                hint="put its root on a file system that overlayfs works on (ext4, xfs), or use fuse-overlayfs",
            )
        )
    return found


def _of_disk(host: Host) -> Sequence[Problem]:
    disk, found = host.disk, list[Problem]()
    if disk is None:
        return found
    if disk.size and disk.free is not None and disk.free < disk.size * _NEARLY_FULL:
        found.append(
            Problem(
                kind="disk-full",
                message=f"{size(disk.free)} of {size(disk.size)} are free at {host.root}",
                hint="fleetpacks cache prune, a bound for its cache (gc in its configuration), or a larger disk",
            )
        )
    if disk.inodes and disk.inodes_free is not None and disk.inodes_free < disk.inodes * _NEARLY_FULL:
        found.append(
            Problem(
                kind="disk-inodes",
                message=f"{disk.inodes_free} of {disk.inodes} files may still be made at {host.root}",
                hint="fleetpacks cache prune, or a file system that was made for more files, or without a limit (xfs)",
            )
        )
    if disk.kind == "network" or disk.backing in NETWORK:
        what = f"a file on {disk.backing}" if disk.kind == "loop" else disk.filesystem or disk.device
        found.append(
            Problem(
                kind="disk-network",
                message=f"{host.root} lies across a network: {what}",
                hint="put the daemon's root on a disk of its machine: builds wait for every small file",
            )
        )
    return found


def _of_machine(host: Host) -> Sequence[Problem]:
    machine, found = host.machine, list[Problem]()
    if machine is None:
        return found
    if host.quota is not None and host.quota < host.slots:
        whole = max(1, math.floor(host.quota))
        found.append(
            Problem(
                kind="quota",
                message=f"its control group has {host.quota:.2f} processors for {host.slots} builds at once",
                hint=f"say slots = {whole}, or give it more",
            )
        )
    used = (machine.swap or 0) - (machine.swap_free or 0)
    if machine.swap_free is not None and machine.memory and used > machine.memory * _SWAPPED:
        found.append(
            Problem(
                kind="swap",
                message=f"{size(used)} of its memory are swapped out",
                hint="say fewer slots, or give it more memory: builds that swap take many times as long",
            )
        )
    return found


def summary(names: Sequence[Platform]) -> str:
    """Platforms as a few words: `linux/amd64, linux/arm64 emulated`."""
    found: dict[str, bool | None] = {}
    for each in names:
        found.setdefault(re.sub(r"^([^/]*/[^/]*)/.*", r"\1", each.platform), each.emulated)
    return ", ".join(f"{name} emulated" if emulated else name for name, emulated in found.items())
