"""What a machine tells of itself: the script on this machine, and the reader of what any machine may print."""

import os
import platform
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote import probe
from remote.probe import Machine, parse

SHELLS = [[path, *more] for path, *more in (["/bin/sh"], ["/bin/bash"], ["/bin/busybox", "sh"]) if Path(path).exists()]
HEAD = "fleetpacks-probe 1\n"
RECORDED = """\
fleetpacks-probe 1
kernel Linux 6.1.0-18-amd64
machine x86_64
user deploy
cores 8
load 1.25
MemTotal: 16000000
MemAvailable: 12000000
SwapTotal: 1000
SwapFree: 400
emulator qemu-aarch64
socket open /run/buildkit/buildkitd.sock
socket shut /var/run/docker.sock
daemon 812 buildkitd
root /srv/buildkit
worker w5tgnwllihmq1nwjtwx070wob
disk ef53 4096 1000 250 64 16
device /sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2
rotational 0
model Samsung SSD 990
quota max 100000
quota 250000 100000
quota 150000 100000
daemon 900 dockerd
root /var/lib/docker
disk 6969 1048576 10 5 0 0
end
"""
KEYS = sorted({line.partition(" ")[0] for line in RECORDED.splitlines()} | {"backing"})

printed = st.lists(st.tuples(st.sampled_from(KEYS), st.text())).map(
    lambda lines: (HEAD + "".join(f"{key} {value}\n" for key, value in lines)).encode(errors="surrogatepass")
)


def read(text: str) -> Machine:
    machine = parse((HEAD + text).encode())
    assert machine is not None
    return machine


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        parts = cast("dict[str, object] | list[object] | tuple[object, ...]", value)
        for each in parts.values() if isinstance(parts, dict) else parts:
            yield from texts(each)


def test_what_is_printed_is_read() -> None:
    machine = parse(RECORDED.encode())

    assert machine == Machine(
        kernel="Linux 6.1.0-18-amd64",
        architecture="x86_64",
        user="deploy",
        cores=8,
        load=1.25,
        memory=16_384_000_000,
        memory_available=12_288_000_000,
        swap=1_024_000,
        swap_free=409_600,
        emulators=("qemu-aarch64",),
        sockets=(
            probe.Socket(path="/run/buildkit/buildkitd.sock", writable=True),
            probe.Socket(path="/var/run/docker.sock", writable=False),
        ),
        daemons=(
            probe.Daemon(
                pid=812,
                program="buildkitd",
                root="/srv/buildkit",
                workers=("w5tgnwllihmq1nwjtwx070wob",),
                disk=probe.Disk(
                    kind="nvme",
                    filesystem="ext",
                    device="nvme0n1p2",
                    backing=None,
                    size=4_096_000,
                    free=1_024_000,
                    inodes=64,
                    inodes_free=16,
                ),
                quota=1.5,
            ),
            probe.Daemon(
                pid=900,
                program="dockerd",
                root="/var/lib/docker",
                workers=(),
                disk=probe.Disk(
                    kind="network",
                    filesystem="nfs",
                    device=None,
                    backing=None,
                    size=10_485_760,
                    free=5_242_880,
                    inodes=0,
                    inodes_free=0,
                ),
                quota=None,
            ),
        ),
    )


@given(st.binary() | printed)
def test_nothing_that_a_host_prints_is_an_error_or_reaches_a_terminal(output: bytes) -> None:
    machine = parse(output)

    found = list(texts(msgspec.to_builtins(machine)))
    msgspec.json.encode(machine)
    assert all(text.isprintable() and len(text) <= 200 for text in found)


@given(st.integers(min_value=len(HEAD), max_value=len(RECORDED)))
def test_of_output_that_is_cut_no_fact_is_another_one(length: int) -> None:
    whole, cut = parse(RECORDED.encode()), parse(RECORDED.encode()[:length])

    assert whole is not None
    assert cut is not None
    for name in ("kernel", "architecture", "user", "cores", "load", "memory", "memory_available", "swap", "swap_free"):
        assert getattr(cut, name) in (None, getattr(whole, name))


def test_no_more_is_read_than_a_bound() -> None:
    endless = read("emulator x\n" * 100_000)
    many = parse((RECORDED + "daemon 1 buildkitd\nroot /r\n" * 1000).encode())

    assert many is not None
    assert (len(endless.emulators), len(many.daemons)) == (32, 32)


@pytest.mark.parametrize(
    "output", [b"", b"hello\n", b"This account is not available.\n", b"\xff\xfe", b"fleetpacks-probe 2\n"]
)
def test_a_host_that_has_not_run_the_script_tells_nothing(output: bytes) -> None:
    assert parse(output) is None


def test_what_a_shells_own_files_print_is_passed_over() -> None:
    machine = parse(b"Welcome!\nmachine z80\n" + RECORDED.encode())

    assert machine == parse(RECORDED.encode())


@pytest.mark.parametrize(
    ("lines", "kind", "backing"),
    [
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/pci0/0000:01:00.0/nvme/nvme0/nvme0n1", "nvme", None),
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "nvme", None),
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/virtual/nvme-fabrics/ctl/nvme0/nvme0n1", "network", None),
        (
            "disk ef53 1 1 1 1 1\ndevice /sys/devices/pci0/nvme/nvme1/nvme1n1\nmodel Amazon Elastic Block Store",
            "network",
            None,
        ),
        ("disk 58465342 1 1 1 1 1\ndevice /sys/devices/pci0/ata1/host0/block/sda/sda1\nrotational 0", "ssd", None),
        ("disk 58465342 1 1 1 1 1\ndevice /sys/devices/pci0/ata1/host0/block/sda/sda1\nrotational 1", "hdd", None),
        ("disk 58465342 1 1 1 1 1\ndevice /sys/devices/pci0/ata1/host0/block/sda/sda1", "unknown", None),
        (
            "disk ef53 1 1 1 1 1\ndevice /sys/devices/platform/host2/session1/target2/block/sdb\nrotational 1",
            "network",
            None,
        ),
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/pci0/virtio1/block/vda\nrotational 1", "virtual", None),
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/rbd/0/block/rbd0\nrotational 0", "network", None),
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/virtual/block/nbd0\nrotational 0", "network", None),
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/virtual/block/loop3\nbacking c36400 /mnt/a", "loop", "ceph"),
        ("disk ef53 1 1 1 1 1\ndevice /sys/devices/virtual/block/loop3\nbacking  /gone", "loop", None),
        ("disk c36400 1 1 1 1 1", "network", None),
        ("disk 1021994 1 1 1 1 1", "memory", None),
        ("disk 9123683e 1 1 1 1 1", "unknown", None),
        ("disk dead 1 1 1 1 1\nrotational 0", "unknown", None),
    ],
)
def test_a_disks_kind_is_told_by_its_file_system_and_its_place(lines: str, kind: str, backing: str | None) -> None:
    [daemon] = read(f"daemon 1 buildkitd\nroot /r\n{lines}\n").daemons

    assert daemon.disk is not None
    assert (daemon.disk.kind, daemon.disk.backing) == (kind, backing)


@pytest.mark.parametrize(
    "line", ["disk", "disk ef53 1 1", "disk ? 1 1 1 1 1", "disk EF53 1 1 1 1 1", "disc ef53 1 1 1 1 1"]
)
def test_a_disk_that_is_not_told_in_full_is_not_known(line: str) -> None:
    [daemon] = read(f"daemon 1 buildkitd\nroot /r\n{line}\n").daemons

    assert daemon.disk is None


def test_a_figure_beyond_all_disks_is_none() -> None:
    [daemon] = read(f"daemon 1 buildkitd\nroot /r\ndisk ef53 {'9' * 18} {'9' * 18} 1 -5 x\n").daemons

    assert daemon.disk is not None
    assert (daemon.disk.size, daemon.disk.inodes, daemon.disk.inodes_free) == (None, None, None)


@pytest.mark.parametrize(
    ("workers", "pid", "found"),
    [(["a"], None, 1), (["b"], None, 2), ([], None, 4), (["x"], 2, 2), (["x"], None, 4), (["a"], 9, 1)],
)
def test_the_daemon_is_the_one_that_listens_or_that_keeps_the_workers(
    workers: list[str], pid: int | None, found: int
) -> None:
    machine = read(
        "daemon 1 buildkitd\nroot /1\nworker a\ndaemon 2 buildkitd\nroot /2\nworker b\n"
        "daemon 3 dockerd\nroot /3\nworker a\ndaemon 4 buildkitd\nroot /4\n"
    )

    daemon = machine.daemon("buildkitd", workers=workers, pid=pid)

    assert daemon is not None
    assert daemon.pid == found


def test_of_two_daemons_that_may_be_it_neither_is() -> None:
    machine = read("daemon 1 buildkitd\nroot /1\ndaemon 2 buildkitd\nroot /2\n")

    assert machine.daemon("buildkitd", workers=["a"], pid=None) is None


# The script, on this machine.


@asynccontextmanager
async def process(folder: Path, name: str, *words: str) -> AsyncGenerator[int]:
    """A process of this name, which was started with these words."""
    program = folder / name
    program.write_text("#!/bin/sh\nread -r _\n")
    program.chmod(0o755)
    async with await anyio.open_process([str(program), *words], stdout=None, stderr=None) as started:
        yield started.pid
        started.kill()


async def told(shell: list[str] = SHELLS[0], *, user: int | None = None) -> Machine:
    with anyio.fail_after(60):
        done = await anyio.run_process([*shell, "-s"], input=probe.script(), check=False, user=user)
    machine = parse(done.stdout)
    assert machine is not None
    assert done.stdout.endswith(b"\nend\n")
    return machine


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
async def test_every_shell_tells_what_this_machine_is(shell: list[str]) -> None:
    machine = await told(shell)

    assert machine.architecture == platform.machine()
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine.load is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("buildkitd", ["--root", "{}"]),
        ("buildkitd", ["--debug", "--root={}"]),
        ("buildkitd", ["-root", "/elsewhere", "--root", "{}", "--addr", "x"]),
        ("buildkitd", ["--config", "{}/buildkitd.toml"]),
        ("dockerd", ["--data-root", "{}"]),
        ("dockerd", ["-g", "{}"]),
        ("dockerd", ["--config-file={}/daemon.json"]),
    ],
)
async def test_a_daemons_directory_and_its_disk_are_found(tmp_path: Path, name: str, words: list[str]) -> None:
    root = tmp_path / "it's $(a) %s root"
    (root / "runc-overlayfs").mkdir(parents=True)
    (root / "runc-overlayfs" / "workerid").write_text("abc123")
    (root / "buildkitd.toml").write_text(f'debug = true\n  root = "{root}"\n[worker.oci]\nenabled = true\n')
    (root / "daemon.json").write_text(f'{{"debug": true, "data-root": "{root}"}}')

    async with process(tmp_path, name, *(word.format(root) for word in words)) as pid:
        machine = await told()

    [daemon] = [each for each in machine.daemons if each.pid == pid]
    disk = os.statvfs(root)
    assert (daemon.program, daemon.root, daemon.workers) == (name, str(root), ("abc123",))
    assert daemon.disk is not None
    assert daemon.disk.size == disk.f_blocks * disk.f_frsize
    assert daemon.disk.inodes == disk.f_files


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
async def test_a_directory_that_only_root_may_know_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "buildkitd.toml").write_text(f'root = "{tmp_path}"\n')
    (tmp_path / "buildkitd.toml").chmod(0o600)

    async with process(tmp_path, "buildkitd", "--config", str(tmp_path / "buildkitd.toml")) as pid:
        by_root, by_nobody = await told(), await told(user=65534)

    assert [each.root for each in by_root.daemons if each.pid == pid] == [str(tmp_path)]
    assert [each.root for each in by_nobody.daemons if each.pid == pid] == []
