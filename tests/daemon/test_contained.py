"""A daemon of our own in a container: privileged, with a root that is an overlay already, as docker gives it."""

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest

from tests.conftest import RealCount
from tests.daemon.conftest import DAEMONS
from tests.daemon.real import fuse_variables, traces, variables
from tests.lab import Lab

pytestmark = [*DAEMONS, pytest.mark.full, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

_CAPABILITIES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
"""
"""By their bits: capabilities(7)."""
_SCRIPT = """\
set -e
mount -t tmpfs tmpfs "$1/t"
mkdir "$1/t/upper" "$1/t/work"
mount -t overlay -o "lowerdir=/,upperdir=$1/t/upper,workdir=$1/t/work" overlay "$1/root"
exec "$2" --root "$1/runc" run --bundle "$1" "$3"
"""


def allowed() -> int:
    """The capabilities that a container of ours can have, as bits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("CapBnd")), 16)


def bundle(home: Path, words: Sequence[str], environment: Mapping[str, str]) -> None:
    """A container with all of a machine's programs and privileges, and /dev, /run and /tmp of its own."""
    every = [f"CAP_{name}" for bit, name in enumerate(_CAPABILITIES.split()) if allowed() >> bit & 1]
    place = {"options": ["nosuid", "mode=755"], "source": "tmpfs", "type": "tmpfs"}
    spec = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(words),
            "env": [f"{name}={value}" for name, value in environment.items()],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), every),
        },
        "root": {"path": "root"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", **place},
            {"destination": "/dev/shm", **place},  # noqa: S108 -- the container's
            {"destination": "/run", **place},
            {"destination": "/tmp", **place},  # noqa: S108 -- the container's
            {"destination": "/sys", "type": "sysfs", "source": "sysfs"},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]},
            {"destination": str(home / "v"), "type": "bind", "source": str(home / "v"), "options": ["rbind", "rw"]},
        ],
        "linux": {
            "cgroupsPath": f"/fleetpacks-contained-{home.name}",
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "resources": {"devices": [{"allow": True, "access": "rwm"}]},
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438}],
        },
    }
    (home / "config.json").write_text(json.dumps(spec))


async def contained(lab: Lab, home: Path, words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command in such a container; returns its exit code and what it said."""
    for name in ("t", "root", "v"):
        (home / name).mkdir(exist_ok=True)
    bundle(home, words, environment)
    command = ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", str(home), str(lab.runc), f"own-{home.name}"]
    with anyio.fail_after(120):
        done = await anyio.run_process(command, check=False, env=environment)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize(
    ("driver", "place", "code"),
    [
        # The container's root, which is an overlay: the kernel stacks no second one onto that.
        ("overlay2", "/var/own", 1),
        ("fuse-overlayfs", "/var/own", 0),
        # A volume.
        ("overlay2", "v", 0),
    ],
)
async def test_it_builds_in_a_container_or_says_how_it_would(
    lab: Lab, home: Path, real_count: RealCount, *, driver: str, place: str, code: int
) -> None:
    before = traces(home)
    app = home / "v" / "app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN rm /etc/motd* ; echo nested > /nested\n")
    fleetpacks = str(Path(sys.executable).with_name("fleetpacks"))
    said = {**await fuse_variables(variables(lab, home / "v" / "home")), "STORAGE_DRIVER": driver}
    image = f"{lab.registry}/contained-{secrets.token_hex(6)}"
    build = [fleetpacks, "build", "-C", str(app), "--image", image, "--push"]

    data = str(home / place) if place == "v" else place
    got, output = await contained(
        lab, home, [fleetpacks, "daemon", "run", "--data-root", f"{data}/d", "--", *build], said
    )

    assert got == code, output
    if code:
        assert "overlay does not work" in output
        assert "STORAGE_DRIVER=fuse-overlayfs" in output
    else:
        real_count.record("build")
        assert "1 succeeded" in output
    assert traces(home) == before
