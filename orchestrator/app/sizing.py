"""In which order several images are pulled: the largest first, as far as their registries tell how large they are.

A builder downloads a few layers of a registry at once (`util/resolver/limited`, BuildKit v0.30.0: 4; a Docker Engine's
`max-concurrent-downloads`: 3). When the largest image comes last, all other connections are idle until it is there.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import anyio

from orchestrator.errors import FleetpacksError
from orchestrator.plan.bases import Base
from orchestrator.registry import hosts
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.manifest import INDEXES, Manifest, content, platform_of, select
from orchestrator.registry.mirrors import Mirrors
from orchestrator.registry.reference import Reference, parse

Wanted = tuple[str, tuple[str, ...]]
"""An image's name, and the platforms for which it is wanted."""
_SECONDS = 5.0
"""What takes longer to tell is not worth it."""


def wanted(base: Base, own: str) -> Wanted:
    """What is asked for on a builder of some platform."""
    return base.name, base.platforms or (own,)


def largest_first(bases: Sequence[Base], sizes: Mapping[Wanted, int], *, own: str) -> tuple[Base, ...]:
    """Images in the order in which they are pulled; one that nobody knows the size of is taken for a largest.

    Args:
        bases: the images.
        sizes: bytes, as far as they are known.
        own: the builder's platform.
    """
    unknown = max(sizes.values(), default=0)
    return tuple(sorted(bases, key=lambda base: -sizes.get(wanted(base, own), unknown)))


async def sizes(asked: Collection[Wanted], registry: RegistryClient, mirrors: Mirrors) -> Mapping[Wanted, int]:
    """Ask how many bytes images are to download, each where it is going to be pulled from.

    Docker Hub is not asked: whoever reads a manifest there has used up one of the pulls that it allows.
    """
    found: dict[Wanted, int] = {}

    async def ask(image: Wanted) -> None:
        name, platforms = image
        # What cannot be told here is told by the builder.
        with suppress(FleetpacksError):
            mirrored = await mirrors.find(name)
            reference = parse(name) if mirrored is None else mirrored.at
            if not hosts.is_docker_hub(reference.host):
                with anyio.move_on_after(_SECONDS):
                    found[image] = await _size(registry, reference, platforms)

    async with anyio.create_task_group() as tasks:
        for image in asked:
            tasks.start_soon(ask, image)
    return found


async def _size(registry: RegistryClient, reference: Reference, platforms: Sequence[str]) -> int:
    manifest = await registry.get_manifest(reference)
    manifests: list[Manifest] = [manifest]
    if manifest.media_type in INDEXES:
        chosen = [select(manifest, platform_of(each), str(reference)) for each in platforms]
        manifests = [await registry.get_manifest(reference.with_digest(each.digest)) for each in chosen]
    layers = {layer.digest: layer.size for each in manifests for layer in content(each, str(reference)).layers}
    return sum(layers.values())
