"""Publication: the one place where a tag is written.

A builder has pushed an image by digest; here its manifest is fetched and put, byte for byte, under each tag. An engine
that cannot push so has the image itself: it is made to push it under the first tag, and the others follow as above.
That push moves whole layers, and is told of as one more step of the build. Of an image whose platforms several builders
have pushed, an index is made here.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import anyio
import msgspec

from orchestrator.buildkit import OnStatus, StatusUpdate, Vertex, VertexStatus
from orchestrator.engine.joining import joined
from orchestrator.engine.revision import with_revision
from orchestrator.errors import FleetpacksError
from orchestrator.registry.manifest import Manifest
from orchestrator.registry.reference import Reference, parse

if TYPE_CHECKING:  # the package brings aiohttp, which only a run with an engine needs
    from orchestrator.docker import OnProgress, Progress

_ENDED = ("Pushed", "Layer already exists", "Mounted from ")
"""What an engine says of a layer that needs nothing more (distribution/push_v2.go, v20.10.24)."""
_RECORD_SECONDS = 10.0
"""A record that takes longer than this is not worth it: it only saves a later build."""


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

    async def push(self, reference: str, *, progress: "OnProgress | None" = None) -> str:
        """Push what has that name; returns the digest of the manifest."""
        ...


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry has now."""

    digest: str
    """Of the manifest or index."""
    references: tuple[str, ...]
    """In the order of the tags."""
    unrecorded: str | None = None
    """Why there is no record of it, when one was asked for."""


async def put_all(store: ManifestStore, repository: str, manifest: Manifest, tags: Sequence[str]) -> tuple[str, ...]:
    """Put a manifest under tags; returns the full references, in their order.

    Raises:
        FleetpacksError: the registry's answer, translated.
    """
    references = tuple(parse(f"{repository}:{tag}") for tag in tags)
    for reference in references:
        await store.put_manifest(reference, manifest)
    return tuple(map(str, references))


class RegistryPublisher:
    """Puts manifests under tags in a registry.

    Args:
        store: the registry.
        revision: what images are built from, which their records say; None: nobody knows.
    """

    def __init__(self, store: ManifestStore, *, revision: str | None = None) -> None:
        self._store = store
        self._revision = revision

    async def publish(
        self,
        repository: str,
        digest: str,
        tags: Sequence[str],
        *,
        record: str | None = None,
        on_status: OnStatus | None = None,  # noqa: ARG002 -- the Protocol's
    ) -> Published:
        """Put what was pushed by digest under its tags.

        Args:
            repository: the image's name without a tag.
            digest: of the manifest or index, as the builder reported it.
            tags: at least one.
            record: one more tag, which may fail: it only saves a later build.
            on_status: hears nothing: there is nothing to move but a manifest.

        Raises:
            FleetpacksError: the registry's answer, translated.
        """
        manifest = await self._store.get_manifest(parse(f"{repository}@{digest}"))
        references = await put_all(self._store, repository, manifest, tags)
        unrecorded = None if record is None else await self.record(repository, digest, record, manifest)
        return Published(digest=digest, references=references, unrecorded=unrecorded)

    async def record(self, repository: str, digest: str, tag: str, manifest: Manifest | None = None) -> str | None:
        """Put what is published under the tag of its record. Whatever interrupts the run now, the app is published.

        Args:
            repository: the image's name without a tag.
            digest: of the manifest or index.
            tag: the record's.
            manifest: the manifest, where it is known.

        Returns:
            Why there is no record, or None.
        """
        with anyio.move_on_after(_RECORD_SECONDS, shield=True):
            try:
                known = manifest or await self._store.get_manifest(parse(f"{repository}@{digest}"))
                await self._store.put_manifest(parse(f"{repository}:{tag}"), with_revision(known, self._revision))
            except FleetpacksError as error:
                return error.message
            return None
        return f"it was not put within {_RECORD_SECONDS:.0f} s"

    async def join(
        self, repository: str, parts: Sequence[tuple[str, str]], tags: Sequence[str], *, record: str | None = None
    ) -> Published:
        """Put one index of what several builders have pushed by digest under tags.

        Args:
            repository: the image's name without a tag.
            parts: platforms, and the digests of what was pushed for each.
            tags: at least one.
            record: as for `publish`.

        Raises:
            ProtocolError: a part is no image.
            FleetpacksError: the registry's answer, translated.
        """
        pushed = [(each, await self._store.get_manifest(parse(f"{repository}@{digest}"))) for each, digest in parts]
        index = joined(pushed, source=repository)
        references = await put_all(self._store, repository, index, tags)
        unrecorded = None if record is None else await self.record(repository, index.digest, record, index)
        return Published(digest=index.digest, references=references, unrecorded=unrecorded)


class EnginePublisher:
    """Makes a Docker Engine push what it built.

    Args:
        engine: has the images.
        registry: puts the other tags there.
    """

    def __init__(self, engine: EngineImages, registry: RegistryPublisher) -> None:
        self._engine = engine
        self._registry = registry

    async def publish(
        self,
        repository: str,
        digest: str,
        tags: Sequence[str],
        *,
        record: str | None = None,
        on_status: OnStatus | None = None,
    ) -> Published:
        """Push an image, then put its manifest under the other tags; the engine keeps it under the first one.

        Args:
            repository: the image's name without a tag.
            digest: the image's id on the engine.
            tags: at least one.
            record: one more tag, which may fail.
            on_status: hears of the push as of a step of the build.

        Raises:
            FleetpacksError: the engine's or the registry's answer, translated.
        """
        first, *others = tags
        reference = str(parse(f"{repository}:{first}"))
        await self._engine.tag(digest, reference)
        pushed = await (self._engine.push(reference) if on_status is None else self._told(reference, on_status))
        if not others:
            unrecorded = None if record is None else await self._registry.record(repository, pushed, record)
            return Published(digest=pushed, references=(reference,), unrecorded=unrecorded)
        rest = await self._registry.publish(repository, pushed, others, record=record)
        return msgspec.structs.replace(rest, references=(reference, *rest.references))

    async def _told(self, reference: str, on_status: OnStatus) -> str:
        began = time.time()
        sizes: dict[str, int] = {}

        def step(**facts: object) -> StatusUpdate:
            vertex = Vertex(
                digest=f"push {reference}",
                name=f"pushing {reference}",
                inputs=(),
                started=began,
                completed=None,
                cached=False,
                error=None,
            )
            return StatusUpdate(vertexes=(msgspec.structs.replace(vertex, **facts),))

        async def moved(progress: "Progress") -> None:
            total = sizes[progress.layer] = progress.total or sizes.get(progress.layer, 0)
            ended = progress.status.startswith(_ENDED)
            status = VertexStatus(
                vertex=f"push {reference}",
                id=progress.layer,
                current=total if ended else progress.current or 0,
                total=total,
                completed=ended,
            )
            await on_status(StatusUpdate(statuses=(status,)))

        await on_status(step())
        try:
            digest = await self._engine.push(reference, progress=moved)
        except FleetpacksError as error:
            await on_status(step(completed=time.time(), error=error.message))
            raise
        await on_status(step(completed=time.time()))
        return digest
