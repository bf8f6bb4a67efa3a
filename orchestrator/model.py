"""The values that pass between discovery, plan, engine and report. All frozen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from langs.model import AppBuild, Detection, Settings

HUB: Final = "docker.io"
"""Docker Hub, as images are named after it."""
HUB_HOSTS: Final = frozenset({HUB, "registry-1.docker.io", "index.docker.io", "registry.hub.docker.com"})
"""All its names."""


class App(msgspec.Struct, frozen=True, kw_only=True):
    """One app of the monorepo, found by discovery."""

    name: str
    """Unique in the monorepo: the directory's last part, the path with dashes, or what the configuration says."""
    path: str
    """POSIX path relative to the root; `.` is the root itself. A Compose file's services are `compose.yaml#api`."""
    directory: Path
    """Its files, and the context of its build."""
    detection: Detection
    settings: Settings
    depends_on: tuple[str, ...] = ()
    """Names of the apps that it uses: their sources or their images."""
    packages: tuple[str, ...] = ()
    """Directories outside of its own that it uses and that are no apps: POSIX paths relative to the root."""
    contexts: Mapping[str, str] = {}
    """Named contexts of its Dockerfile that are images of other apps: the name after FROM -> the app's path."""


class AppPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How one app will be built, and under which names it will be published."""

    app: App
    build: AppBuild
    repository: str
    """The image's name without tag: `registry.example/team/api`; registry host always explicit."""
    tags: tuple[str, ...]
    timeout: float | None = None
    """Seconds within which it must be built and published; None: it may take as long as it takes."""
    reason: str
    """Why this app is built: `requested`, `discovered`, `needed by web`."""
    secrets_version: str = ""
    """Changes with the values of its secrets that invalidate, and tells nothing of them; empty: it has none."""
    part: str = ""
    """The only platform of these that is built by this plan, as a part of the image; empty: the image as a whole."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All apps of a run, in the order in which they are started."""

    root: Path
    apps: tuple[AppPlan, ...]
    push: bool
    alone: bool = False
    """The source has this one app only, whatever was selected."""
    warnings: tuple[str, ...] = ()
    """What could not be looked at."""


class SecretSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the value of a declared secret is read, at the moment a build asks for it. Never holds the value."""

    name: str
    env: str | None = None
    file: Path | None = None


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """Where the address of a package index's mirror is read, at the moment a build asks for it: one of the three."""

    name: str
    """One of `langs.indexes.NAMES`."""
    url: str | None = None
    env: str | None = None
    file: Path | None = None


class LocalCache(msgspec.Struct, frozen=True, kw_only=True):
    """Layer caches in directories."""

    directory: Path | None = None
    """Where they are written."""
    sources: tuple[Path, ...] = ()
    """Where they are read."""
    size: int = 0
    """Bytes for all of them."""
    name: str | None = None
    """What they are filed under, instead of the app's name."""


MOUNTS_SECONDS: Final = 3600.0
"""How long filling or refreshing package caches may take at most: what is replaced meanwhile stays longer than this."""


class MountCache(msgspec.Struct, frozen=True, kw_only=True):
    """Package caches in a directory, which builders' cache mounts are filled from and which is refreshed from them."""

    directory: Path | None = None
    size: int = 0
    """Bytes for all of them."""
    seconds: float = 0.0
    """How long filling one may take, and refreshing all."""


class LayerCache(msgspec.Struct, frozen=True, kw_only=True):
    """Layer caches in registries, and in directories."""

    image: str | None = None
    """Where they are written; may hold `{app}`."""
    image_source: str = ""
    """Who said so."""
    sources: tuple[str, ...] = ()
    """More of them, which are read only; may hold `{app}`."""
    insecure: bool = False
    """Plain HTTP."""
    mode: Literal["min", "max"] = "min"
    export: Literal["after", "with", "off"] = "after"
    compression: Literal["gzip", "zstd"] = "gzip"
    local: LocalCache = LocalCache()
    mounts: MountCache = MountCache()
    """Not of layers: what package managers keep."""


class Attestations(msgspec.Struct, frozen=True, kw_only=True):
    """What the builder says about an image beside the image, and what is known of its source."""

    provenance: Literal["min", "max"] | None = None
    """How it was made: without or with the steps and their parameters."""
    sbom: bool = False
    """What it is made of."""
    scanner: str | None = None
    """The image that finds that out; None: the builder's own choice."""
    source: str | None = None
    """Where the source is, without credentials."""
    revision: str | None = None
    builder: str | None = None
    """Who builds: a URI."""


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's word on one registry host."""

    host: str
    insecure: bool = False
    """Plain HTTP. Loopback hosts are tried over plain HTTP too, as Docker does."""
    mirror: str | None = None
    """Where its images are looked for first: `host[:port][/path]`."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between the operator's machines and the world. Shows no secret."""

    ca: Path | None = None
    """A file of authorities, in PEM, that are trusted beside the usual ones."""
    proxies: Mapping[str, str] = {}
    """Addresses of build steps' proxies, by `http` and `https`; there may be passwords in them."""
    no_proxy: str | None = None
    """The hosts that need none."""

    def __repr__(self) -> str:
        return f"Network(ca={self.ca!r}, proxies={tuple(self.proxies)!r}, no_proxy={self.no_proxy!r})"


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """Where records of runs lie, and how many stay."""

    directory: Path
    keep: int
    """0: none is made."""
    days: int


Entitlement = Literal["network.host", "security.insecure"]
"""What a step of a build may be allowed besides, in BuildKit's words: the daemon's network, and all that root may."""
DaemonKind = Literal["buildkitd", "dockerd"]
StorageDriver = Literal["overlay2", "fuse-overlayfs", "vfs"]
"""How a daemon stacks layers, in Docker's words: the kernel's overlay, the same in user space, or copies."""


class Isolated(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of daemons that we start ourselves."""

    kind: DaemonKind
    storage: StorageDriver
    root: Path | None = None
    """The daemon's directory; None: one of its kind in our cache."""
    mtu: int | None = None
    """Of containers' interfaces; None: what the default route's interface has, less 50."""
    dns: tuple[str, ...] = ()
    """Addresses of name servers; empty: this machine's."""
    size: int
    """Bytes that its cache may hold."""
    free: int
    """Bytes that it leaves free on its disk."""
    free_said: bool = False
    """Whether that is another number than the usual one, so that it matters to somebody."""
