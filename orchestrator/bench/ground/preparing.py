"""A storage made ready to be measured, for as long as a block lasts."""

import os
import shlex
import stat
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator import mountinfo
from orchestrator.bench.ground import image, overlay, place
from orchestrator.bench.model import Ground, Need, Target
from orchestrator.errors import StorageError, UsageError
from orchestrator.text import size as bytes_of

_SMALLEST = 64 * 1024 * 1024
"""Bytes of an image: its journal has to fit, too."""
_TRIAL = "trial"


def _nobody(_said: str) -> None:
    pass


@asynccontextmanager
async def prepared(
    target: Target, *, size: int, need: Need, told: Callable[[str], object] = _nobody
) -> AsyncGenerator[Ground]:
    """Make a storage ready; nothing of it is left behind the block, and what killed runs have left is swept before.

    Args:
        target: what was named.
        size: bytes that are going to be written at most at a time: that much has to be free.
        need: what it is to carry.
        told: told what stays behind the block all the same, and how it is removed: no reason to lose what was measured.

    Raises:
        UsageError: the target is no directory, or may not be written to.
        StorageError: it cannot be measured here.
    """
    directory = await _directory(target)
    await to_thread.run_sync(place.sweep, directory)
    _suffices(target, directory, size)
    try:
        # Nobody is cancelled between this and the block that removes it.
        ours = place.make(directory)
    except OSError as error:
        raise UsageError(
            f"{target.name}: {directory}: {error.strerror}", hint="Name a directory that may be written to."
        ) from error
    try:
        yield await _ground(target, ours, size, need)
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await to_thread.run_sync(place.remove, ours)
            except OSError as error:
                told(_stays(target, ours, error))


def _stays(target: Target, ours: Path, error: OSError) -> str:
    """What an operator has to know, and to do where the next measurement there is not to do it."""
    mounts = mountinfo.read()
    points = [point for point in (place.layers(ours), ours / place.LAYERS) if mountinfo.below(mounts, point)]
    unmount = "".join(f"umount {shlex.quote(str(point))}; " for point in points)
    return (
        f"{target.name}: {ours} could not be deleted ({error.strerror}); the next measurement there tries again, or: "
        f"{unmount}rm -rf {shlex.quote(str(ours))}"
    )


def renew(ground: Ground) -> None:
    """Say on a storage that it is still being measured: for those on other machines that look for what was left."""
    place.renew(ground.files.parent)


async def _directory(target: Target) -> Path:
    directory = await anyio.Path(target.path).resolve()
    if not await directory.is_dir():
        what = "is no directory" if await directory.exists() else "is not there"
        raise UsageError(
            f"{target.name}: {target.path} {what}",
            hint=f"Make it: mkdir -p {shlex.quote(str(target.path))}; or name another one.",
        )
    told = await directory.stat()
    others = told.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not told.st_mode & stat.S_ISVTX
    if others or told.st_uid not in {0, os.geteuid()}:
        raise UsageError(
            f"{target.name}: others may put what they like in the place of what is in {directory}",
            hint="Name a directory of root's own: mkdir -m 700 in it.",
        )
    return Path(directory)


def _suffices(target: Target, directory: Path, size: int) -> None:
    told = os.statvfs(directory)
    free = told.f_bavail * told.f_frsize
    if free < size:
        raise StorageError(
            f"{target.name}: {bytes_of(free)} are free at {directory}, and {bytes_of(size)} are needed",
            hint="Make room there, name another directory, or measure with less: --quick.",
        )


async def _ground(target: Target, ours: Path, size: int, need: Need) -> Ground:
    """Everything in our directory, which is empty; half of it is there when this fails."""
    files, layers = ours / place.FILES, ours / place.LAYERS
    try:
        files.mkdir()
        kind, device = _lies(ours)
        if need == "files":
            return Ground(target=target, path=files, files=files, kind=kind, device=device)
        looped = await _refusal(ours)
        file = ours / place.IMAGE if looped else None
        if file is None:
            layers.mkdir()
        else:
            layers = place.make_layers(ours)
            # A file system needs a part of it for itself.
            await image.mounted(file, layers, size=max(size + size // 8, _SMALLEST))
            _, device = _lies(layers)
    except OSError as error:
        raise StorageError(
            f"{target.name}: {error.filename or ours}: {error.strerror}",
            hint="See whether the storage is full (df), read-only, or gone.",
        ) from error
    return Ground(target=target, path=layers, files=files, kind=kind, looped=looped, image=file, device=device)


async def _refusal(ours: Path) -> str:
    trial = ours / _TRIAL
    trial.mkdir()
    return await overlay.refusal(trial)


def _lies(directory: Path) -> tuple[str, str]:
    """The kind of file system on which a directory lies, and its block device, "" where there is none."""
    mount = mountinfo.holding(mountinfo.read(), directory)
    if mount is None:
        return "", ""
    if Path(f"/sys/dev/block/{mount.device}").exists():
        return mount.kind, mount.device
    # btrfs, say, has one number for all its devices; its mount names one of them.
    with suppress(OSError):
        told = os.stat(mount.source) if mount.source.startswith("/dev/") else None  # noqa: PTH116 -- a text, "" too
        if told is not None and told.st_rdev:
            return mount.kind, f"{os.major(told.st_rdev)}:{os.minor(told.st_rdev)}"
    return mount.kind, ""
