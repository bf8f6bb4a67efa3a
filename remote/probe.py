"""What a builder's machine tells of itself: `probe.sh`, which runs there, and the reader of what it prints.

What a host says is untrusted: no more than `MOST` bytes of it are read, figures are taken for figures only when they
are some, words are short and hold no character that a terminal would obey, and nothing of it is ever run or opened.
What it does not say, or not in this form, is not known.

A disk's kind is looked up, not measured. `rotational` comes last, for drivers of virtual machines say anything there.
"""

import re
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Final, Literal

import msgspec

MOST: Final = 65536
"""Bytes of output that are read."""
_FIRST = "fleetpacks-probe 1"
_LONGEST = 200
"""Characters of a word."""
_MANY = 32
"""Daemons, sockets, names: more are not looked at."""
_LARGEST = 1 << 62
_NUMBER = re.compile(r"[0-9]{1,18}")
_AVERAGE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_HEX = re.compile(r"[0-9a-f]{1,16}")
_WORKER = re.compile(r"[A-Za-z0-9:_-]{1,64}")

Kind = Literal["nvme", "ssd", "hdd", "virtual", "network", "loop", "memory", "unknown"]
Program = Literal["buildkitd", "dockerd"]

_FILE_SYSTEMS: Final[Mapping[str, str]] = {
    "ef53": "ext",
    "58465342": "xfs",
    "9123683e": "btrfs",
    "2fc12fc1": "zfs",
    "f2f52010": "f2fs",
    "794c7630": "overlay",
    "1021994": "tmpfs",
    "858458f6": "ramfs",
    "65735546": "fuse",
    "6969": "nfs",
    "c36400": "ceph",
    "ff534d42": "cifs",
    "fe534d42": "smb",
    "1021997": "9p",
    "bd00bd0": "lustre",
    "47504653": "gpfs",
    "19830326": "beegfs",
    "5346414f": "afs",
}
"""The kernel's numbers (include/uapi/linux/magic.h, statfs(2); of those outside of it, coreutils' `stat`)."""
NETWORK: Final = frozenset({"nfs", "ceph", "cifs", "smb", "9p", "lustre", "gpfs", "beegfs", "afs"})
"""File systems whose blocks are on another machine."""
_MEMORY = frozenset({"tmpfs", "ramfs"})
_FAR = re.compile(r"/nvme-fabrics/|/rbd/|/block/(rbd|nbd|drbd)\d|/session\d+/|^/sys/devices/rbd/")
"""Block devices whose blocks are on another machine: NVMe over Fabrics, Ceph's and Linux' own, iSCSI."""
_FAR_MODELS = ("Amazon Elastic Block Store", "nvme_card-pd")
"""Volumes of clouds that are shown as NVMe."""
_KINDS: Final[tuple[tuple[re.Pattern[str], Kind], ...]] = (
    (re.compile(r"/block/loop\d+(/|$)"), "loop"),
    (_FAR, "network"),
    (re.compile(r"/nvme\d+(c\d+)?n\d+"), "nvme"),
    (re.compile(r"/virtio\d+/|/vbd-\d+/|/block/(vd|xvd)[a-z]|/vmbus", re.IGNORECASE), "virtual"),
)
"""By a device's place in /sys; the first that fits."""
_SPINS: Final[Mapping[str, Kind]] = {"0": "ssd", "1": "hdd"}


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon's files lie on."""

    kind: Kind
    """`loop` is a file; of what kind its own file system is, `backing` tells."""
    filesystem: str | None
    device: str | None
    """The lowest one's name: `nvme0n1p2`."""
    backing: str | None
    """Of a loop device, its file's file system; None where that is not known."""
    size: int | None
    """Bytes."""
    free: int | None
    """Bytes, without those kept for root."""
    inodes: int | None
    """0 on a file system that does not count them."""
    inodes_free: int | None


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon that runs on the machine, or files of one that cannot be seen."""

    pid: int
    """0: it cannot be seen."""
    program: Program
    root: str
    """Its directory."""
    workers: tuple[str, ...]
    """Ids that it keeps there, where they may be read."""
    disk: Disk | None
    quota: float | None
    """Processors that its control group may use; None: all."""


class Socket(msgspec.Struct, frozen=True, kw_only=True):
    """A well-known socket that is there."""

    path: str
    writable: bool
    """Whether our user may connect to it."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine says of itself. All texts are printable and short."""

    kernel: str | None
    architecture: str | None
    """The kernel's word: `x86_64`."""
    user: str | None
    cores: int | None
    """Processors that our own processes there may use."""
    load: float | None
    """Of the last minute."""
    memory: int | None
    """Bytes, as the others."""
    memory_available: int | None
    swap: int | None
    swap_free: int | None
    emulators: tuple[str, ...]
    """Names of what runs programs of other architectures: `qemu-aarch64`."""
    sockets: tuple[Socket, ...]
    daemons: tuple[Daemon, ...]

    def daemon(self, program: Program, *, workers: Collection[str], pid: int | None) -> Daemon | None:
        """Which of its daemons it is that we speak with; None where that is not certain.

        Args:
            program: what it is.
            workers: its workers' ids, as it says them itself.
            pid: its process, where that is known.
        """
        found = [each for each in self.daemons if each.program == program]
        for sure in (
            [each for each in found if pid and each.pid == pid],
            [each for each in found if set(each.workers) & set(workers)],
        ):
            if len(sure) == 1:
                return sure[0]
        # One that has other workers is another one. Not all can be read, and engines with a graph driver have none.
        left = [each for each in found if not each.workers]
        return left[0] if len(left) == 1 else None


_Fields = dict[str, list[str]]


def script() -> bytes:
    """What a machine's `sh` is given on its standard input."""
    return (resources.files("remote") / "probe.sh").read_bytes()


def parse(output: bytes) -> Machine | None:
    """Read what the script has printed, as far as it goes.

    Args:
        output: anything.

    Returns:
        None when the script has not run.
    """
    # What ends without an end of its line was cut.
    *lines, _ = output[:MOST].decode("utf-8", "replace").split("\n")
    if _FIRST not in lines:
        return None
    sections: list[_Fields] = [{}]
    # Before it may stand what a shell's own files print.
    for line in lines[lines.index(_FIRST) + 1 :]:
        key, _, value = line.partition(" ")
        if key == "daemon":
            sections.append({})
        fields = sections[-1].setdefault(key, [])
        if len(fields) < _MANY:
            fields.append(value)
    of, *daemons = sections
    sockets = [each.partition(" ") for each in of.get("socket", ())]
    return Machine(
        kernel=_word(of, "kernel"),
        architecture=_word(of, "machine"),
        user=_word(of, "user"),
        cores=_number(_first(of, "cores")),
        load=_average(_first(of, "load")),
        memory=_kibibytes(of, "MemTotal:"),
        memory_available=_kibibytes(of, "MemAvailable:"),
        swap=_kibibytes(of, "SwapTotal:"),
        swap_free=_kibibytes(of, "SwapFree:"),
        emulators=tuple(filter(None, map(_shown, of.get("emulator", ())))),
        sockets=tuple(Socket(path=_shown(path), writable=may == "open") for may, _, path in sockets if path),
        daemons=tuple(filter(None, map(_daemon, daemons[:_MANY]))),
    )


def _daemon(of: _Fields) -> Daemon | None:
    number, _, program = _first(of, "daemon").partition(" ")
    pid, root = _number(number), _word(of, "root")
    if pid is None or root is None or not root.startswith("/"):
        return None
    quotas = [quota for each in of.get("quota", ()) if (quota := _quota(each)) is not None]
    return Daemon(
        pid=pid,
        program="buildkitd" if program == "buildkitd" else "dockerd",
        root=root,
        workers=tuple(each for each in of.get("worker", ()) if _WORKER.fullmatch(each)),
        disk=_disk(of),
        quota=min(quotas, default=None),
    )


def _disk(of: _Fields) -> Disk | None:
    words = _first(of, "disk").split(" ")
    if len(words) != len(("type", "block", "blocks", "free", "inodes", "free")) or not _HEX.fullmatch(words[0]):
        return None
    block, blocks, free, inodes, inodes_free = map(_number, words[1:])
    system = _FILE_SYSTEMS.get(words[0])
    link = _word(of, "device") or ""
    backing = _FILE_SYSTEMS.get(_first(of, "backing").partition(" ")[0])
    kind = _kind(system, link, model=_first(of, "model"), spins=_first(of, "rotational"))
    return Disk(
        kind=kind,
        filesystem=system,
        device=link.rpartition("/")[2] or None,
        backing=backing if kind == "loop" else None,
        size=_product(block, blocks),
        free=_product(block, free),
        inodes=inodes,
        inodes_free=inodes_free,
    )


def _kind(system: str | None, link: str, *, model: str, spins: str) -> Kind:
    """What a disk is.

    Args:
        system: its file system.
        link: the device's place in /sys.
        model: what it calls itself.
        spins: `rotational` of its queue.
    """
    if system in NETWORK or model.startswith(_FAR_MODELS):
        return "network"
    if system in _MEMORY:
        return "memory"
    for pattern, kind in _KINDS:
        if pattern.search(link):
            return kind
    return _SPINS.get(spins, "unknown") if link else "unknown"


def _quota(text: str) -> float | None:
    most, _, period = text.partition(" ")
    used, of = _number(most), _number(period)
    return used / of if used and of else None


def _first(of: _Fields, key: str) -> str:
    return of.get(key, [""])[0]


def _word(of: _Fields, key: str) -> str | None:
    return _shown(_first(of, key)) or None


def _shown(text: str) -> str:
    return "".join(character for character in text[:_LONGEST] if character.isprintable()).strip()


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _average(text: str) -> float | None:
    return float(text) if _AVERAGE.fullmatch(text) else None


def _kibibytes(of: _Fields, key: str) -> int | None:
    return _product(1024, _number(_first(of, key)))


def _product(one: int | None, other: int | None) -> int | None:
    if one is None or other is None or one * other > _LARGEST:
        return None
    return one * other
