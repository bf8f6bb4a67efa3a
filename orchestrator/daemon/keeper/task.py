"""What the process in between is told. For type checkers alone: at run time it is what JSON gives."""

from typing import TypedDict


class Bridge(TypedDict):
    """A network bridge for containers."""

    name: str
    address: str
    network: str
    mtu: int | None
    iptables: str


class Task(TypedDict):
    """What is to be done; `orchestrator.daemon.running` makes it."""

    commands: list[list[str]]
    """Words; the last one is the daemon."""
    sockets: list[str]
    """For each command what the next one waits for, or ""."""
    environment: dict[str, str]
    files: dict[str, str]
    """By path, below `run`: what the commands read."""
    root: str
    """The daemon's directory, which is locked."""
    run: str
    """The one below it that goes away."""
    overlay: bool
    """Whether overlay is tried first."""
    group: str
    """Name of its control groups."""
    bridge: Bridge | None
    patience: float
    """Seconds for which the directory of an earlier daemon is waited for."""
    grace: float
    """Seconds in which the daemon may end by itself."""
