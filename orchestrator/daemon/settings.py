"""From what was said and what the machine is to what a daemon is started with. Pure; refuses nothing (`refusal`)."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from orchestrator.daemon.model import Facts, Settings
from orchestrator.model import Isolated, Registry

HUB = "docker.io"
TUNNEL = 50
"""Bytes that an overlay network of a cluster (VXLAN over IPv4) takes of each packet."""
_SMALLEST_MTU = 576
"""What every host must take: RFC 791."""
_FREE_AND_PATHS_SINCE = (28, 0)
"""Of dockerd, whose garbage collector looks at the disk, too, and whose mirrors may have a path."""
_STORE_SINCE = (25, 0)
"""Of dockerd, whose images containerd keeps; it was an experiment before."""


def root_of(said: Isolated, cache: Path) -> Path:
    """The daemon's directory.

    Args:
        said: what was said.
        cache: where what can be made again is kept.
    """
    return said.root or cache / "daemon" / said.kind


def decide(
    said: Isolated,
    facts: Facts,
    *,
    root: Path,
    mirrors: Mapping[str, str],
    registries: Mapping[str, Registry],
    ca: str = "",
    entitlements: tuple[str, ...] = (),
) -> Settings:
    """Decide what a daemon is started with.

    Args:
        said: what was said of it.
        facts: what the machine is.
        root: its directory, absolute and without symlinks.
        mirrors: where images are looked for first, by registry.
        registries: the operator's word on registries, by host.
        ca: authorities that are trusted, too, in PEM.
        entitlements: what builds may be allowed besides.
    """
    insecure = {host for host, registry in registries.items() if registry.insecure}
    insecure |= {host for place in mirrors.values() if is_loopback(host := place.partition("/")[0])}
    mtu, notes = _mtu(said, facts)
    older = said.kind == "dockerd" and (facts.version is None or facts.version < _FREE_AND_PATHS_SINCE)
    if older and "/" in mirrors.get(HUB, ""):
        mirrors = {host: place for host, place in mirrors.items() if host != HUB}
        notes += ("a dockerd before 28 knows no mirror with a path: builds are given the names there instead",)
    if said.kind == "dockerd" and (others := sorted(mirrors.keys() - {HUB})):
        notes += (f"a dockerd knows mirrors of Docker Hub alone, and none of {', '.join(others)}",)
    if older and said.free_said:
        notes += ("daemon.free_space has no effect: a dockerd before 28 knows the size of its cache alone",)
    return Settings(
        kind=said.kind,
        root=root,
        storage=said.storage,
        store=_store(said, facts),
        mirrors=mirrors,
        insecure=tuple(sorted(insecure)),
        ca=ca,
        mtu=mtu,
        dns=said.dns,
        size=said.size,
        free=said.free,
        programs=facts.programs,
        version=facts.version,
        entitlements=entitlements,
        notes=notes,
    )


def is_loopback(host: str) -> bool:
    """Whether a registry is this machine's own: daemons speak plain HTTP to such ones."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def _store(said: Isolated, facts: Facts) -> bool:
    return (
        said.kind == "dockerd"
        # Of the other drivers containerd has none, or another one than is meant.
        and said.storage == "overlay2"
        and facts.version is not None
        and facts.version >= _STORE_SINCE
    )


def _mtu(said: Isolated, facts: Facts) -> tuple[int | None, tuple[str, ...]]:
    if said.kind == "buildkitd":
        if said.mtu is None:
            return None, ()
        return None, ("the MTU has no effect: steps of a buildkitd use this machine's own network interfaces",)
    if said.mtu is not None or facts.mtu is None:
        return said.mtu, ()
    return max(facts.mtu - TUNNEL, _SMALLEST_MTU), ()
