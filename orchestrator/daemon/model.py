"""What a daemon of our own is started with, and what the machine is on which it has to run."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from orchestrator.model import DaemonKind, StorageDriver

Groups = Literal["v1", "v2", "read-only", "none"]
"""Control groups as they are mounted."""


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """What errors name for whoever wants a daemon: the command at hand has these, and another one others."""

    elsewhere: str = "name a builder with --host"
    """What can be done without a daemon of our own."""
    directory: str = "--data-root"
    """The option that says where its directory is."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a daemon can run here, and how."""

    capabilities: frozenset[str]
    """Of those that are needed, what this process has: `sys_admin`, `net_admin`."""
    programs: Mapping[str, str]
    """Name -> path of those that a daemon needs, as far as they are there."""
    version: tuple[int, int] | None
    """dockerd's; None: nobody asked, or it did not say."""
    groups: Groups
    fuse: bool
    """Whether /dev/fuse can be opened."""
    contained: bool
    """Whether this is a container, as far as that shows."""
    disk: str
    """The kind of the file system below the daemon's directory, as mounts name it: `ext4`, `overlay`; "": not known."""
    interface: str | None
    """That of the default route."""
    mtu: int | None
    """Its MTU."""


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """Where Docker Hub is mirrored."""

    place: str
    """A registry, perhaps with a path."""
    insecure: bool
    """Plain HTTP."""

    @property
    def host(self) -> str:
        """The registry alone."""
        return self.place.partition("/")[0]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a daemon is started with."""

    kind: DaemonKind
    root: Path
    """Its directory; what is in it stays, but for `run`."""
    storage: StorageDriver
    store: bool
    """Of dockerd: whether images are kept in containerd's image store."""
    mirrors: Mapping[str, str]
    """Registry -> where its images are looked for first: a registry, perhaps with a path."""
    insecure: tuple[str, ...]
    """Registries that are spoken to in plain HTTP, mirrors too."""
    ca: str
    """Authorities that are trusted beside the usual ones, in PEM; "": none."""
    mtu: int | None
    """Of containers' interfaces; None: the daemon's own choice."""
    dns: tuple[str, ...]
    size: int
    """Bytes that its cache may hold."""
    free: int
    """Bytes that it leaves free on its disk, as far as its cache is what fills it."""
    programs: Mapping[str, str]
    version: tuple[int, int] | None
    entitlements: tuple[str, ...] = ()
    """What builds may be allowed besides."""
    notes: tuple[str, ...] = ()
    """What was said and has no effect with this daemon."""

    @property
    def run(self) -> Path:
        """What goes away with the daemon: its sockets and its configuration."""
        return self.root / "run"

    @property
    def socket(self) -> Path:
        """Where its API is."""
        return self.run / f"{self.kind}.sock"

    @property
    def file(self) -> Path:
        """Its configuration's."""
        return self.run / ("buildkitd.toml" if self.kind == "buildkitd" else "daemon.json")

    @property
    def log(self) -> Path:
        """What it says; of the last daemon, until the next one is started."""
        return self.root / "log"

    @property
    def name(self) -> str:
        """Of its bridge and its control groups: no other directory has it."""
        return name_of(self.root)

    @property
    def network(self) -> str:
        """The first three numbers of its bridge's addresses, in the range of RFC 2544, which no real network uses."""
        digest = _digest(self.root)
        return f"198.{18 + digest[0] % 2}.{digest[1]}"

    @property
    def url(self) -> str:
        """Its address as `fleetpacks --host` takes it."""
        return f"{'unix' if self.kind == 'buildkitd' else 'docker'}://{self.socket}"

    @property
    def variables(self) -> Mapping[str, str]:
        """What leads other programs to it."""
        if self.kind == "buildkitd":
            return {"BUILDKIT_HOST": self.url}
        return {"DOCKER_HOST": f"unix://{self.socket}", "BUILDKIT_HOST": self.url}


def name_of(root: Path) -> str:
    """What is named after a daemon's directory, by which the next one finds what was left."""
    return f"fpd-{_digest(root).hex()[:8]}"


def _digest(root: Path) -> bytes:
    return hashlib.sha256(bytes(root)).digest()
