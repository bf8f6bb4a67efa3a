"""What the kernel counts, out of its text files. Pure.

`write_bytes` of a process is what it has made the kernel write to storage, in whole pages; pipes, sockets and memory
are not in it. When a process ends, its count goes to the one that waits for it: so a tree's sum never loses any.
"""

from collections.abc import Mapping

import msgspec

_SECTOR = 512
"""Bytes, whatever the device's own (Documentation/admin-guide/iostats.rst)."""
_WRITTEN = 9
"""The column of sectors written, from 0."""
_BUSY = (0, 1, 2, 5, 6)
"""user, nice, system, irq, softirq behind `cpu`; what a hypervisor took is nobody's work here (proc_stat(5))."""
_IOWAIT = 4
_ALL = 8
_PARENT = 1
"""Behind the name in /proc/PID/stat, from 0."""


class Ticks(msgspec.Struct, frozen=True):
    """What all processors have spent since the machine began, in ticks."""

    busy: int
    iowait: int
    all: int


def ticks(stat: str) -> Ticks | None:
    """Of the text of /proc/stat."""
    for line in stat.splitlines():
        words = line.split()
        if words[:1] == ["cpu"] and len(words) > _ALL and all(map(_is_number, words[1:])):
            numbers = [int(word) for word in words[1 : _ALL + 1]]
            return Ticks(sum(numbers[column] for column in _BUSY), numbers[_IOWAIT], sum(numbers))
    return None


def waited(before: Ticks, after: Ticks) -> float | None:
    """The share of all processors' time that was waited for disks; None for no time at all."""
    passed = after.all - before.all
    # The kernel's count of it may go back a little (proc_stat(5)).
    return min(1.0, max(0.0, (after.iowait - before.iowait) / passed)) if passed > 0 else None


def device_written(diskstats: str, device: str) -> int | None:
    """The bytes that a block device got since it was made, out of /proc/diskstats; None: no such one.

    Args:
        diskstats: the text; other lines may be among it.
        device: `major:minor`, or its name.
    """
    for line in diskstats.splitlines():
        words = line.split()
        if len(words) > _WRITTEN and device in (f"{words[0]}:{words[1]}", words[2]) and _is_number(words[_WRITTEN]):
            return int(words[_WRITTEN]) * _SECTOR
    return None


def written(io: str) -> int:
    """What a process, and those that it has waited for, have written to storage, out of /proc/PID/io."""
    for line in io.splitlines():
        name, _, value = line.partition(": ")
        if name == "write_bytes" and _is_number(value):
            return int(value)
    return 0


def parent(stat: str) -> int | None:
    """The parent of a process, out of /proc/PID/stat: its name, in parentheses, may hold anything."""
    words = stat.rpartition(")")[2].split()
    return int(words[_PARENT]) if len(words) > _PARENT and _is_number(words[_PARENT]) else None


def descendants(parents: Mapping[int, int], root: int) -> frozenset[int]:
    """A process and all below it.

    Args:
        parents: of all processes, by their numbers.
        root: it.
    """
    children: dict[int, list[int]] = {}
    for pid, above in parents.items():
        children.setdefault(above, []).append(pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return frozenset(found)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()
