"""Publication: the one place where a tag is written.

A builder has pushed an image by digest; here its manifest is fetched and put, byte for byte, under each tag.
"""

from collections.abc import Sequence
from typing import Protocol

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


class RegistryPublisher:
    """Puts manifests under tags in a registry."""

    def __init__(self, store: ManifestStore) -> None:
        self._store = store

    async def publish(self, repository: str, digest: str, tags: Sequence[str]) -> tuple[str, ...]:
        """Put what was pushed by digest under its tags.

        Args:
            repository: the image's name without a tag.
            digest: of the manifest or index, as the builder reported it.
            tags: at least one.

        Returns:
            The full references, in the order of `tags`.

        Raises:
            FleetpacksError: the registry's answer, translated.
        """
        manifest = await self._store.get_manifest(parse(f"{repository}@{digest}"))
        references = tuple(parse(f"{repository}:{tag}") for tag in tags)
        for reference in references:
            await self._store.put_manifest(reference, manifest)
        return tuple(str(reference) for reference in references)
