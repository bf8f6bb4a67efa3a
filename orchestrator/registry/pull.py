"""Pull an image into a directory, to start it where no daemon keeps images.

Layers are fetched a few at a time and unpacked in order in a worker thread. Everything happens in a private directory
beside the destination, which is renamed at the end: a failed or cancelled pull leaves nothing. Its parts are here, too,
for who has the lowest layers already: `resolve`, and `lay`.
"""

import shutil
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec

from orchestrator import temporary
from orchestrator.errors import FleetpacksError, ImageNotFoundError
from orchestrator.registry import failures
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.manifest import (
    INDEXES,
    Descriptor,
    Platform,
    RunConfig,
    content,
    fits,
    image_config,
    platform_of,
    select,
)
from orchestrator.registry.reference import Reference
from orchestrator.registry.unpack import Unpacker

_LARGEST_CONFIG = 8 * 1024 * 1024
_FETCHES = 3


class PulledImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image on this machine's disk."""

    root: Path
    digest: str
    """Of the platform's manifest."""
    config: RunConfig


class ResolvedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image of one platform as its registry describes it."""

    digest: str
    """Of the platform's manifest."""
    layers: tuple[Descriptor, ...]
    """The lowest first."""
    config: RunConfig


async def resolve(client: RegistryClient, reference: Reference, *, platform: str = "linux/amd64") -> ResolvedImage:
    """Ask for an image's manifest and configuration.

    Args:
        client: an open client.
        reference: the image; an index is resolved for the platform.
        platform: `os/architecture` or `os/architecture/variant`.

    Raises:
        ImageNotFoundError: there is no such image, or none for this platform.
        FleetpacksError: see `RegistryClient.get_manifest`.
    """
    wanted = platform_of(platform)
    manifest = await client.get_manifest(reference)
    if manifest.media_type in INDEXES:
        chosen = select(manifest, wanted, str(reference))
        manifest = await client.get_manifest(reference.with_digest(chosen.digest))
    image = content(manifest, str(reference))
    config = image_config(await _small_blob(client, reference, image.config), str(reference))
    if not fits(Platform(os=config.os, architecture=config.architecture), wanted):
        raise ImageNotFoundError(
            f"{reference} is for {failures.clean(f'{config.os}/{config.architecture}')}, not for {wanted}",
            hint="ask for that platform, or publish the image for this one",
        )
    return ResolvedImage(digest=manifest.digest, layers=image.layers, config=config.config or RunConfig())


async def pull(
    client: RegistryClient, reference: Reference, destination: Path, *, platform: str = "linux/amd64"
) -> PulledImage:
    """Fetch and unpack an image.

    Args:
        client: an open client.
        reference: the image; an index is resolved for the platform.
        destination: the directory to be made: the image's root. Its parent must exist; it must not.
        platform: `os/architecture` or `os/architecture/variant`.

    Raises:
        FileExistsError: the destination exists.
        ImageNotFoundError: there is no such image, or none for this platform.
        RegistryError: a layer cannot be unpacked.
        FleetpacksError: see `RegistryClient.get_manifest`.
        OSError: the disk.
    """
    if await anyio.Path(destination).is_symlink() or await anyio.Path(destination).exists():
        raise FileExistsError(f"{destination} exists")
    image = await resolve(client, reference, platform=platform)
    work = await anyio.to_thread.run_sync(_work_beside, destination)
    try:
        root = work / "root"
        await anyio.Path(root).mkdir(mode=0o755)
        await lay(client, reference, image.layers, root, work)
        await anyio.to_thread.run_sync(root.rename, destination)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(shutil.rmtree, work)
    return PulledImage(root=destination, digest=image.digest, config=image.config)


async def lay(
    client: RegistryClient, reference: Reference, layers: tuple[Descriptor, ...], root: Path, work: Path
) -> None:
    """Fetch layers and lay them over what a directory holds.

    Args:
        client: an open client.
        reference: the image they are of.
        layers: the lowest first.
        root: an existing directory, empty or with the layers below these.
        work: an existing private directory, for what is fetched.

    Raises:
        RegistryError: a layer cannot be unpacked.
        FleetpacksError: see `RegistryClient.get_blob`.
        OSError: the disk.
    """
    blobs = await _fetch_layers(client, reference, layers, work)
    await anyio.to_thread.run_sync(_unpack_all, blobs, root, str(reference))


def _work_beside(destination: Path) -> Path:
    temporary.sweep(destination.parent)
    work = temporary.beside(destination)
    work.mkdir(mode=0o700)
    return work


async def _fetch_layers(
    client: RegistryClient, reference: Reference, layers: tuple[Descriptor, ...], work: Path
) -> tuple[Path, ...]:
    blobs = tuple(work / f"layer-{number}" for number in range(len(layers)))
    limit = anyio.Semaphore(_FETCHES)

    async def fetch(layer: Descriptor, blob: Path) -> None:
        async with limit, await anyio.open_file(blob, "wb") as file:
            await client.get_blob(reference, layer, file.write)

    try:
        async with anyio.create_task_group() as group:
            for layer, blob in zip(layers, blobs, strict=True):
                group.start_soon(fetch, layer, blob)
    except* (FleetpacksError, OSError) as failed:
        # The first failure cancelled the others; it is the one to tell.
        raise _first(failed) from None
    return blobs


async def _small_blob(client: RegistryClient, reference: Reference, descriptor: Descriptor) -> bytes:
    if descriptor.size > _LARGEST_CONFIG:
        raise failures.broken(
            reference.host, f"the configuration of {reference} is larger than {_LARGEST_CONFIG} bytes"
        )
    body = bytearray()

    async def sink(chunk: bytes) -> None:
        body.extend(chunk)

    await client.get_blob(reference, descriptor, sink)
    return bytes(body)


def _unpack_all(blobs: tuple[Path, ...], root: Path, source: str) -> None:
    unpacker = Unpacker(root, checkpoint=anyio.from_thread.check_cancelled)
    for blob in blobs:
        unpacker.layer(blob, source)
    unpacker.finish()


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: Exception | BaseExceptionGroup[Exception] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
