"""File systems of a test's own, and what measurements could leave of theirs on this machine."""

import os
import subprocess  # noqa: TID251 -- fixtures without an event loop
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import mountinfo
from orchestrator.bench.ground import unmounting

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


@contextmanager
def memory(point: Path, *, size: str = "256m", options: str = "rw") -> Generator[Path]:
    """A file system in memory, which carries overlay."""
    point.mkdir()
    _do("mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(point))
    try:
        yield point
    finally:
        _do("umount", "--lazy", str(point))


@contextmanager
def stacked(point: Path, *, size: str = "256m") -> Generator[Path]:
    """An overlay, which carries no other one."""
    point.mkdir()
    with memory(point / "below", size=size) as below:
        for name in ("lower", "upper", "work", "merged"):
            (below / name).mkdir()
        options = ",".join(f"{name}dir={below / name}" for name in ("lower", "upper", "work"))
        _do("mount", "-t", "overlay", "-o", options, "overlay", str(below / "merged"))
        try:
            yield below / "merged"
        finally:
            _do("umount", "--lazy", str(below / "merged"))


def left(directory: Path) -> list[str]:
    """What there is of measurements in a directory: files, mounts in it, and loop devices of files in it.

    With the directories of ours in which nothing is mounted any more, and which are nobody's.
    """
    found = sorted(os.listdir(directory))  # noqa: PTH208 -- names alone
    found += [str(mount.point) for mount in mountinfo.read() if directory in mount.point.parents]
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            text = backing.read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if text.startswith(str(directory)):
            found.append(text)
            found += [str(mount.point) for mount in mountinfo.read() if unmounting.backing(mount) == Path(text)]
    mounted = {mount.point.parent for mount in mountinfo.read()}
    found += [str(point) for point in Path("/run").glob(".fpb-*") if point not in mounted]
    return found


def _do(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
