"""Where the lab's things lie, and what of it runs. Light: imported by every test session.

`state.json` is written whole and renamed into place; whoever reads it, at any moment, sees one consistent lab.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from orchestrator.config import environment
from tests.lab.process import Daemon

BUILDKIT = "v0.30.0"
BUILDKIT_OLDEST = "v0.13.2"
"""The oldest line that fleetpacks takes."""
NEWER = "forky"
"""The Debian release of buildx and of the current Docker Engine: Go programs, which ask little of a machine's libc."""
DAEMONS = ("registry", "buildkitd")
EngineKind = Literal["graph", "containerd"]
"""How a Docker Engine keeps images: by a graph driver, as all did before 29, or in containerd's image store."""


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    """A lab that is up: addresses and tools."""

    registry: str
    """`127.0.0.1:PORT`, plain HTTP."""
    buildkitd: Path
    """The daemon's unix socket."""
    buildctl: Path
    buildx: Path
    """Exists only after `up --peers`."""
    oldest_buildkitd: Path
    """A program; exists only after `up --engines`."""
    runc: Path
    state: Path

    @property
    def buildkit_host(self) -> str:
        """The daemon's address as `$BUILDKIT_HOST` wants it."""
        return f"unix://{self.buildkitd}"

    @property
    def roots(self) -> Path:
        """Unpacked base images, which containers are started over."""
        return self.state / "roots"


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """A Docker Engine that is up; it pulls from the lab's registry, and takes it for Docker Hub's mirror."""

    kind: EngineKind
    socket: Path
    version: str
    """As the engine says, e.g. `20.10.24+dfsg1`."""

    @property
    def docker_host(self) -> str:
        """The engine's address as `$DOCKER_HOST` wants it."""
        return f"unix://{self.socket}"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered between commands."""

    port: int
    """The registry's: chosen free once, kept."""
    runc: str
    daemons: Mapping[str, Daemon]
    """By name: `registry`, `buildkitd`, and those of the engines."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The state directory, and where in it things lie."""

    root: Path

    @property
    def record(self) -> Path:
        return self.root / "state.json"

    @property
    def work(self) -> Path:
        """Half-made things: emptied by every `up`; what is finished is renamed out of it."""
        return self.root / "work"

    @property
    def socket(self) -> Path:
        return self.root / "run" / "buildkitd.sock"

    @property
    def buildkit(self) -> Path:
        """The folder of buildkitd's and buildctl's binaries."""
        return self.root / "bin" / f"buildkit-{BUILDKIT}"

    @property
    def buildkit_oldest(self) -> Path:
        return self.root / "bin" / f"buildkit-{BUILDKIT_OLDEST}"

    def debian(self, package: str, *, suite: str = "") -> Path:
        """The root of an unpacked Debian package, of the machine's release or another."""
        return self.root / "bin" / (f"debian-{suite}" if suite else "debian") / package

    def engine(self, kind: EngineKind) -> Path:
        """Everything of a Docker Engine, but its socket."""
        return self.root / "engines" / kind

    def engine_socket(self, kind: EngineKind) -> Path:
        return self.root / "run" / f"engine-{kind}.sock"

    @property
    def steps(self) -> Path:
        """Where runc keeps the state of the builder's steps."""
        return self.root / "runc" / "steps"

    def log(self, daemon: str) -> Path:
        return self.root / "log" / f"{daemon}.log"

    def read(self) -> Record | None:
        """The record of the last `up`, or None before the first one."""
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=Record)
        except (FileNotFoundError, msgspec.DecodeError):  # written by another version: as if it were not there
            return None

    def write(self, record: Record) -> None:
        """Replace the record, whole."""
        temporary = self.record.with_suffix(".new")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
        temporary.replace(self.record)


def caller_environment() -> Mapping[str, str]:
    """The environment of whoever runs the lab."""
    return environment.read()


def layout() -> Layout:
    """The lab's place: `$FLEETPACKS_LAB`, else `~/.cache/fleetpacks/lab`."""
    named = caller_environment().get("FLEETPACKS_LAB")
    root = Path(named).absolute() if named else Path.home() / ".cache" / "fleetpacks" / "lab"
    return Layout(root=root)


def current() -> Lab | None:
    """The lab, when all of its daemons run; else None."""
    place = layout()
    record = place.read()
    if record is None or not all(name in record.daemons and record.daemons[name].alive() for name in DAEMONS):
        return None
    return lab_of(place, record)


def lab_of(place: Layout, record: Record) -> Lab:
    """The lab's addresses and tools, whether it runs or not."""
    return Lab(
        registry=f"127.0.0.1:{record.port}",
        buildkitd=place.socket,
        buildctl=place.buildkit / "buildctl",
        buildx=place.debian("docker-buildx", suite=NEWER) / "usr/libexec/docker/cli-plugins/docker-buildx",
        oldest_buildkitd=place.buildkit_oldest / "buildkitd",
        runc=Path(record.runc),
        state=place.root,
    )
