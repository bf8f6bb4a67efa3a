"""The root of a container: an image over its base, which is unpacked once for all that start from it.

Images say what they are made from (`org.opencontainers.image.base.name`). The base's tree is kept by its digest and
mounted under an overlay, into which the image's own layers are unpacked; an image that names no base of the lab, or one
that it does not begin with, is unpacked whole, and so is every image where the kernel mounts no overlay.
"""

import os
import time
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.errors import FleetpacksError
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.manifest import RunConfig
from orchestrator.registry.pull import ResolvedImage, lay, pull, resolve
from orchestrator.registry.reference import Reference
from tests.lab.mounts import delete
from tests.lab.state import Lab

BASE_NAME = "org.opencontainers.image.base.name"
_KEPT = 24 * 60 * 60.0
"""Seconds after its last use in which a base's tree is kept."""


async def make(lab: Lab, client: RegistryClient, image: Reference, bundle: Path) -> RunConfig:
    """Make `bundle/root`; who deletes the bundle must unmount it first, as `mounts.delete` does.

    Raises:
        FleetpacksError: the image cannot be pulled.
        OSError: the disk.
    """
    resolved = await resolve(client, image)
    base = await _base(lab, client, resolved)
    root = bundle / "root"
    if base is None or not await _mounted(await _kept(lab, client, *base), bundle):
        await delete(root)
        return (await pull(client, image.with_digest(resolved.digest), root)).config
    fetched = bundle / "fetched"
    await anyio.Path(fetched).mkdir()
    await lay(client, image, resolved.layers[len(base[1].layers) :], root, fetched)
    return resolved.config


async def sweep(roots: Path) -> None:
    """Delete the trees that nothing was started from for a day."""
    if not await anyio.Path(roots).exists():
        return
    async for root in anyio.Path(roots).iterdir():
        if (await root.stat()).st_mtime < time.time() - _KEPT:
            await delete(Path(root))


async def _base(lab: Lab, client: RegistryClient, image: ResolvedImage) -> tuple[Reference, ResolvedImage] | None:
    """The base that an image names and begins with."""
    name = (image.config.labels or {}).get(BASE_NAME)
    if name is None:
        return None
    at = reference.parse(name)
    try:
        base = reference.parse(f"{lab.registry}/{at.path}:{at.identifier}")
        resolved = await resolve(client, base)
    except FleetpacksError:  # of another registry, or by digest
        return None
    begins = [layer.digest for layer in image.layers[: len(resolved.layers)]]
    return (base, resolved) if begins == [layer.digest for layer in resolved.layers] else None


async def _kept(lab: Lab, client: RegistryClient, base: Reference, resolved: ResolvedImage) -> Path:
    tree = anyio.Path(lab.roots / resolved.digest.partition(":")[2])
    await tree.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        await pull(client, base.with_digest(resolved.digest), Path(tree))
    except OSError:
        if not await tree.exists():  # else it was there, or came meanwhile
            raise
    await anyio.to_thread.run_sync(os.utime, tree)
    return Path(tree)


async def _mounted(lower: Path, bundle: Path) -> bool:
    for name in ("upper", "work", "root"):
        await anyio.Path(bundle / name).mkdir(exist_ok=True)
    options = f"lowerdir={lower},upperdir={bundle}/upper,workdir={bundle}/work"
    done = await anyio.run_process(
        ["mount", "-t", "overlay", "-o", options, "overlay", str(bundle / "root")], check=False
    )
    return done.returncode == 0
