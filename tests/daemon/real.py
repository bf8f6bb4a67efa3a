"""What real daemons of our own need of the lab, and what they could leave on this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec

from orchestrator.config import Config, environment, load
from orchestrator.daemon.model import name_of
from tests.lab import Lab, firewall, tools
from tests.lab.state import NEWER, layout


class Traces(msgspec.Struct, frozen=True):
    """What there is of daemons on a machine, beside files in a directory of theirs."""

    mounts: tuple[str, ...]
    processes: tuple[str, ...]
    interfaces: tuple[str, ...]
    groups: tuple[str, ...]
    places: tuple[str, ...]
    """Entries of /run, and of what daemons have at fixed places."""


def variables(lab: Lab, home: Path) -> dict[str, str]:
    """An environment in which buildkitd and runc are found, and everything that is kept lies in `home`."""
    path = f"{lab.buildctl.parent}:{lab.runc.parent}:{environment.read()['PATH']}"
    return {"PATH": path, "HOME": str(home), "REGISTRY_MIRROR": f"http://{lab.registry}"}


async def engine_variables(lab: Lab, home: Path, *, newer: bool = False) -> dict[str, str]:
    """The same for dockerd: Debian's, of its stable release or a current one, with its iptables where we have none."""
    place = layout()
    current = [await tools.debian_package(place, "docker.io", suite=NEWER) / "usr/sbin"] if newer else []
    docker, containerd, tini, mapper = [
        await tools.debian_package(place, name) for name in ("docker.io", "containerd", "tini", "libdevmapper1.02.1")
    ]
    rules = home / "bin"
    rules.mkdir(exist_ok=True)
    (rules / "iptables").symlink_to(await firewall.iptables(place))
    found = variables(lab, home)
    folders = [*current, docker / "usr/sbin", docker / "usr/bin", containerd / "usr/bin", tini / "usr/bin", rules]
    return {
        **found,
        "PATH": ":".join([*map(str, folders), found["PATH"]]),
        "LD_LIBRARY_PATH": ":".join(str(folder) for folder in mapper.glob("lib/*")),
    }


async def fuse_variables(said: Mapping[str, str]) -> dict[str, str]:
    """The same with Debian's fuse-overlayfs, which needs libfuse's helper."""
    found = [await tools.debian_closure(layout(), name) for name in ("fuse-overlayfs", "fuse3")]
    folders = [f"{root}/{folder}" for root in found for folder in ("usr/bin", "usr/sbin", "sbin", "bin")]
    libraries = [
        said.get("LD_LIBRARY_PATH", ""),
        *(str(each) for root in found for each in root.glob("**/lib/*-linux-gnu")),
    ]
    return {
        **said,
        "PATH": ":".join([*folders, said["PATH"]]),
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        "STORAGE_DRIVER": "fuse-overlayfs",
    }


def configured(variables: Mapping[str, str]) -> Config:
    """What is said in an environment."""
    return load(None, variables)


def traces(root: Path, *, places: bool = False) -> Traces:
    """What there is now.

    Args:
        root: of a test, which has daemons in a few directories of it; others may begin and end meanwhile.
        places: whether entries of /run and all interfaces count, where no other daemon begins meanwhile.
    """
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    groups = {
        f"{path}/{name}"
        for path in ("/sys/fs/cgroup", *map(str, Path("/sys/fs/cgroup").glob("*/")))
        for name in os.listdir(path)  # noqa: PTH208 -- names alone
        if name in names_of(root)
    }
    return Traces(
        mounts=tuple(line for line in mounts if str(root) in line),
        processes=_processes(root),
        interfaces=tuple(name for name in sorted(os.listdir("/sys/class/net")) if places or name in names_of(root)),  # noqa: PTH208 -- as above
        groups=tuple(sorted(groups)),
        places=tuple(sorted(entry.name for entry in Path("/run").iterdir())) if places else (),
    )


def _processes(root: Path) -> tuple[str, ...]:
    """Those that have anything of a directory in their words, their output or their open files."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                files = " ".join(open_files(entry.name))
            except OSError:
                continue
            if str(root) in words or str(root) in files:
                found.append(words)
    return tuple(found)


def open_files(pid: str | int) -> list[str]:
    """What a process has open.

    Raises:
        OSError: it has ended.
    """
    with os.scandir(f"/proc/{pid}/fd") as entries:
        return [os.readlink(each.path) for each in entries]  # noqa: PTH115 -- as it comes from scandir


def names_of(root: Path) -> frozenset[str]:
    """What the daemons of a test have named bridges and control groups."""
    kept = root / ".cache/fleetpacks/daemon"
    places = (root / "d", root / "v/d", kept / "buildkitd", kept / "dockerd", Path("/var/own/d"))
    return frozenset(map(name_of, places))


async def rules(root: Path, variables: Mapping[str, str]) -> tuple[str, ...]:
    """The rules of this machine's packet filter that are of these bridges."""
    found: list[str] = []
    for table in ("nat", "filter"):
        said = await anyio.run_process(["iptables", "-w", "-t", table, "-S"], env=variables)
        found += [line for line in said.stdout.decode().splitlines() if names_of(root) & set(line.split())]
    return tuple(found)
