"""What this machine says of itself, in the files of its kernel. What is not there is None: no rule speaks of it."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from orchestrator.doctor.facts import Interface

_NUMBER = re.compile(r"[0-9]{1,19}")
_IOWAIT: Final = 4
"""Its column behind `cpu`, counted from 0; those up to `steal` add up to all (proc(5))."""
_ALL: Final = 8
_STALLED = re.compile(r"^some .*?\bavg60=([0-9]{1,3}(?:\.[0-9]{1,3})?)", re.MULTILINE)
_UP: Final = 1
_NOWHERE = "0" * 32
_BRIDGES = re.compile(r"docker0|br-[0-9a-f]{12}")
"""Those of a Docker Engine, whose packets have a size of their own."""
_LARGEST = 8 * 1024 * 1024
"""Bytes: a list of all modules is the longest."""


def times(root: Path = Path("/")) -> tuple[int, int] | None:
    """What processors have spent on waiting for disks until now, and on everything, in ticks."""
    return parse_times(_read(root / "proc/stat"))


def parse_times(text: str) -> tuple[int, int] | None:
    """Read /proc/stat."""
    lines = [line for line in text.splitlines() if line.startswith("cpu ")]
    words = lines[0].split()[1:] if lines else []
    if len(words) < _ALL or not all(_NUMBER.fullmatch(word) for word in words[:_ALL]):
        return None
    ticks = [int(word) for word in words[:_ALL]]
    return ticks[_IOWAIT], sum(ticks)


def share(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    """Which part of the time between two looks was waited for disks; None where that cannot be told."""
    if before is None or after is None or after[1] <= before[1]:
        return None
    # The kernel's count of it may go back a little (proc(5)).
    return min(1.0, max(0.0, (after[0] - before[0]) / (after[1] - before[1])))


def stalled(root: Path = Path("/")) -> float | None:
    """Of the last minute, the part in which some process stood still for a disk (Documentation/accounting/psi.rst)."""
    return parse_stalled(_read(root / "proc/pressure/io"))


def parse_stalled(text: str) -> float | None:
    """Read /proc/pressure/io."""
    found = _STALLED.search(text)
    return min(1.0, float(found[1]) / 100) if found else None


def overlay(root: Path = Path("/")) -> bool | None:
    """Whether the kernel has overlayfs, or a module of it that it loads when it is first needed."""
    known = _read(root / "proc/filesystems")
    if not known:
        return None
    if any(line.split()[-1:] == ["overlay"] for line in known.splitlines()):
        return True
    release = _read(root / "proc/sys/kernel/osrelease").strip()
    modules = _read(root / "lib/modules" / release / "modules.dep") if release and "/" not in release else ""
    # Within a container the host's modules are not to be seen.
    return "/overlay.ko" in modules if modules else None


def interfaces(root: Path = Path("/")) -> tuple[Interface, ...]:
    """The network devices that are there."""
    defaults = parse_routes(_read(root / "proc/net/route"), _read(root / "proc/net/ipv6_route"))
    found: list[Interface] = []
    with suppress(OSError):
        for name in sorted(os.listdir(root / "sys/class/net")):  # noqa: PTH208 -- names only
            text = _read(root / "sys/class/net" / name / "mtu").strip()
            if _NUMBER.fullmatch(text):
                is_bridge = _BRIDGES.fullmatch(name) is not None
                found.append(Interface(name=name, mtu=int(text), is_default=name in defaults, is_bridge=is_bridge))
    return tuple(found)


def parse_routes(four: str, six: str) -> frozenset[str]:
    """The devices of default routes.

    Args:
        four: /proc/net/route.
        six: /proc/net/ipv6_route.
    """
    found: set[str] = set()
    for line in four.splitlines()[1:]:
        words = line.split()
        # Name, destination, gateway, flags, ..., mask at 7.
        if len(words) > 7 and words[1] == words[7] == "00000000" and _flags(words[3]) & _UP:  # noqa: PLR2004 -- a column
            found.add(words[0])
    for line in six.splitlines():
        words = line.split()
        # Destination, its length, ..., flags, name. The kernel has one at `lo` that rejects.
        if len(words) == 10 and words[:2] == [_NOWHERE, "00"] and words[9] != "lo" and _flags(words[8]) & _UP:  # noqa: PLR2004 -- as above
            found.add(words[9])
    return frozenset(found)


def _flags(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _read(path: Path) -> str:
    """The beginning of a file; empty where there is none."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(_LARGEST).decode(errors="replace")
    return ""
