"""Publication: the one place where a tag is written.

A builder has pushed an image by digest; here its manifest is fetched and put, byte for byte, under each tag. An engine
that cannot push so has the image itself: it is made to push it under the first tag, and the others follow as above.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from orchestrator.registry.manifest import Manifest
from orchestrator.registry.reference import Reference, parse


class ManifestStore(Protocol):
    """The part of a registry client that publication needs."""

    async def get_manifest(self, reference: Reference) -> Manifest:
        """Fetch a manifest, its digest verified."""
        ...

    async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
        """Store a manifest under a tag."""
        ...


class EngineImages(Protocol):
    """The part of a Docker Engine's API that publication needs."""

    async def tag(self, image: str, reference: str) -> None:
        """Give an image, by its id, a name with a tag."""
        ...

    async def push(self, reference: str) -> str:
        """Push what has that name; returns the digest of the manifest."""
        ...


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry has now."""

    digest: str
    """Of the manifest or index."""
    references: tuple[str, ...]
    """In the order of the tags."""


class RegistryPublisher:
    """Puts manifests under tags in a registry."""

    def __init__(self, store: ManifestStore) -> None:
        self._store = store

    async def publish(self, repository: str, digest: str, tags: Sequence[str]) -> Published:
        """Put what was pushed by digest under its tags.

        Args:
            repository: the image's name without a tag.
            digest: of the manifest or index, as the builder reported it.
            tags: at least one.

        Raises:
            FleetpacksError: the registry's answer, translated.
        """
        manifest = await self._store.get_manifest(parse(f"{repository}@{digest}"))
        references = tuple(parse(f"{repository}:{tag}") for tag in tags)
        for reference in references:
            await self._store.put_manifest(reference, manifest)
        return Published(digest=digest, references=tuple(str(reference) for reference in references))


class EnginePublisher:
    """Makes a Docker Engine push what it built.

    Args:
        engine: has the images.
        registry: puts the other tags there.
    """

    def __init__(self, engine: EngineImages, registry: RegistryPublisher) -> None:
        self._engine = engine
        self._registry = registry

    async def publish(self, repository: str, digest: str, tags: Sequence[str]) -> Published:
        """Push an image, then put its manifest under the other tags; the engine keeps it under the first one.

        Args:
            repository: the image's name without a tag.
            digest: the image's id on the engine.
            tags: at least one.

        Raises:
            FleetpacksError: the engine's or the registry's answer, translated.
        """
        first, *others = tags
        reference = str(parse(f"{repository}:{first}"))
        await self._engine.tag(digest, reference)
        pushed = await self._engine.push(reference)
        rest = await self._registry.publish(repository, pushed, others) if others else None
        return Published(digest=pushed, references=(reference, *(rest.references if rest else ())))
