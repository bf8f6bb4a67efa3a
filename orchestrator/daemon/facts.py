"""What the machine is: read from /proc, /sys and the path of programs, and asked of dockerd for its version."""

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio

from orchestrator import mountinfo
from orchestrator.daemon.model import Facts, Groups
from orchestrator.model import DaemonKind

PROGRAMS: Mapping[DaemonKind, tuple[str, ...]] = {
    "buildkitd": ("buildkitd", "runc", "fuse-overlayfs", "mount.fuse3"),
    "dockerd": ("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "iptables", "fuse-overlayfs"),
}
"""What a daemon calls, itself first."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INSTEAD = {"runc": ("runc", "buildkit-runc", "crun")}
"""What serves in a program's place, the best first."""
_CAPABILITIES = {"net_admin": 12, "sys_admin": 21}
"""capabilities(7)."""
_VERSION = re.compile(rb"version v?(\d{1,4})\.(\d{1,4})")
_ANYWHERE = "00000000"
_VERSION_SECONDS = 10.0


async def gather(kind: DaemonKind, root: Path, variables: Mapping[str, str]) -> Facts:
    """Look at this machine.

    Args:
        kind: of the daemon that is wanted.
        root: its directory, which may not exist yet.
        variables: the environment.
    """
    path = search_path(variables)
    programs = find(kind, path)
    version = None
    if kind == "dockerd" and kind in programs:
        # One of another architecture, say, which is told of when it is to be started.
        with anyio.move_on_after(_VERSION_SECONDS), suppress(OSError):
            asked = await anyio.run_process([programs[kind], "--version"], check=False, env={**variables, "PATH": path})
            version = parse_version(asked.stdout)
    interface = default_interface(_text("/proc/net/route"), _text("/proc/net/ipv6_route"))
    mounts = _text("/proc/self/mountinfo")
    return Facts(
        capabilities=parse_capabilities(_text("/proc/self/status")),
        programs=programs,
        version=version,
        groups=parse_groups(mounts),
        fuse=_opens("/dev/fuse"),
        contained=any(os.path.exists(file) for file in ("/.dockerenv", "/run/.containerenv"))  # noqa: ASYNC240, PTH110 -- of memory
        or "KUBERNETES_SERVICE_HOST" in variables,
        disk=disk_of(root, mounts),
        interface=interface,
        mtu=_number(f"/sys/class/net/{interface}/mtu") if interface else None,
    )


def search_path(variables: Mapping[str, str]) -> str:
    """Where programs are looked for: daemons lie where a user's own path need not lead.

    What is relative leads into the current directory, which may be a source that nobody trusts.
    """
    folders = (*variables.get("PATH", "").split(":"), *SYSTEM_PATH.split(":"))
    return ":".join(dict.fromkeys(folder for folder in folders if folder.startswith("/")))


def find(kind: DaemonKind, path: str) -> Mapping[str, str]:
    """The programs of a daemon that are there, by the names in `PROGRAMS`."""
    found: dict[str, str] = {}
    for name in PROGRAMS[kind]:
        for each in _INSTEAD.get(name, (name,)):
            if name not in found and (program := shutil.which(each, path=path)):
                found[name] = str(Path(program).absolute())
    return found


def parse_version(said: bytes) -> tuple[int, int] | None:
    """What `dockerd --version` says: `Docker version 20.10.24+dfsg1, build 297e128`."""
    found = _VERSION.search(said)
    return (int(found[1]), int(found[2])) if found else None


def parse_capabilities(status: str) -> frozenset[str]:
    """The effective capabilities in the text of `/proc/PID/status`, of those that are asked for."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            bits = int(value.strip() or "0", 16)
            return frozenset(name for name, bit in _CAPABILITIES.items() if bits >> bit & 1)
    return frozenset()


def parse_groups(mounts: str) -> Groups:
    """How control groups are mounted. Any hierarchy of version 1 that can be written to is taken for all of them."""
    found: set[Groups] = set()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.partition(" ")[0]
        if kind in {"cgroup", "cgroup2"}:
            writable = "rw" in before.split()[5].split(",")
            found.add(("v2" if kind == "cgroup2" else "v1") if writable else "read-only")
    # Version 2 is also mounted beside version 1, without controllers.
    order: tuple[Groups, ...] = ("v1", "v2", "read-only")
    for each in order:
        if each in found:
            return each
    return "none"


def default_interface(route: str, route6: str) -> str | None:
    """The interface of the default route, by the texts of `/proc/net/route` and `/proc/net/ipv6_route`."""
    for line in route.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == _ANYWHERE:  # noqa: PLR2004 -- destination and mask
            return fields[0]
    for line in route6.splitlines():
        fields = line.split()
        if len(fields) == 10 and not fields[0].strip("0") and fields[1] == "00" and fields[9] != "lo":  # noqa: PLR2004 -- as above
            return fields[9]
    return None


def disk_of(root: Path, mounts: str) -> str:
    """The kind of the file system at a directory, which may not exist yet; "" where that does not show."""
    # `Path.exists` fails where it may not look.
    while not os.path.exists(root) and root != root.parent:  # noqa: PTH110 -- as it says
        root = root.parent
    mount = mountinfo.holding(mountinfo.parse(mounts), root.resolve())
    return mount.kind if mount is not None else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
