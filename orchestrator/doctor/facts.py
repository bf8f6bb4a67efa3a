"""What was seen, as values. What was not seen is None or empty, and no rule speaks of it; `Facts.unseen` says why."""

from collections.abc import Mapping

import msgspec

from remote.probe import Disk


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong."""

    kind: str
    """A stable word."""
    about: str
    """What it is about: a builder, a registry, a device, an app."""
    message: str
    cure: str
    """A command, or what to write where."""


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be looked at."""

    what: str
    why: str


class Builder(msgspec.Struct, frozen=True, kw_only=True):
    """A builder that answers."""

    address: str
    is_here: bool
    """Whether it runs on this machine."""
    is_engine: bool
    snapshotter: str | None = None
    """None: not known, or a graph driver keeps the layers."""
    root: str | None = None
    disk: Disk | None = None
    platforms: tuple[str, ...] = ()


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the time something waited for disks."""

    iowait: float
    """Of all processors' time while it was looked, 0 to 1."""
    stalled: float | None = None
    """Of the last minute, in which some process stood still for it; None: the kernel does not count that."""


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """A network device."""

    name: str
    mtu: int
    is_default: bool = False
    """Whether what is not near goes through it."""
    is_bridge: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry said of itself beside what it was asked."""

    host: str
    seconds: float
    """Until it came."""
    ahead: float | None = None
    """Seconds by which this machine's clock is before the registry's; None: it does not say the time."""
    limit: int | None = None
    """Pulls that are allowed in the window; None: it tells of no limit."""
    remaining: int | None = None
    window: int | None = None
    """Seconds."""
    known: bool = False
    """Whether it was told who we are."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One build of an app, of a run's record."""

    app: str
    seconds: float
    cached: int
    steps: int
    pulled: int = 0
    """Bytes of base images."""
    pulling: float = 0.0
    """Seconds that their download took."""
    unpacking: float = 0.0
    """Seconds that it took to unpack them."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that was seen."""

    builders: tuple[Builder, ...] = ()
    pressure: Pressure | None = None
    interfaces: tuple[Interface, ...] = ()
    overlay: bool | None = None
    """Whether the kernel has overlayfs, or a module for it."""
    answers: tuple[Answer, ...] = ()
    builds: tuple[Built, ...] = ()
    """Of the same source, the oldest first."""
    wanted: Mapping[str, str] = {}
    """Platform -> an app that is built for it."""
    layers: bool = False
    """Whether layers are kept outside of builders."""
    packages: bool = False
    """Whether package caches are."""
    mirror: str | None = None
    """Of Docker Hub."""
    told: tuple[Problem, ...] = ()
    """What those who were asked have said to be wrong themselves."""
    unseen: tuple[Unseen, ...] = ()
