"""The index over package caches, in the registry: read, checked, and put under its tag."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from orchestrator.cache import artifact
from orchestrator.cache.artifact import Artifact, Packages
from orchestrator.errors import ImageNotFoundError, UsageError
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.manifest import OCI_INDEX, OCI_MANIFEST, Manifest, content, digest_of
from orchestrator.registry.reference import Reference

_SHA256 = "sha256:"
_LONGEST_SHOWN = 100


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is under a reference."""

    digest: str
    says: Artifact


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What is under a tag now."""

    digest: str | None
    """None: nothing is."""
    others: tuple[str, ...] = ()
    """The tools whose packages were there, and stay."""
    lost: tuple[str, ...] = ()
    """Those whose packages the registry has deleted, although its index named them."""


async def find(registry: RegistryClient, reference: Reference) -> Found | None:
    """What is under a reference; None when nothing is.

    Raises:
        UsageError: it is something else than packages.
        FleetpacksError: the registry's answer.
    """
    try:
        manifest = await registry.get_manifest(reference)
    except ImageNotFoundError:
        return None
    return Found(digest=manifest.digest, says=artifact.decode(manifest.body, str(reference)))


async def find_own(registry: RegistryClient, reference: Reference, cache_key: str) -> Found | None:
    """The same for somebody who is going to add to it.

    Raises:
        UsageError: it was pushed for another `CACHE_KEY`.
        FleetpacksError: as for `find`.
    """
    found = await find(registry, reference)
    if found is not None and found.says.cache_key != cache_key:
        raise UsageError(
            f"{reference}: what is there was pushed for $CACHE_KEY {found.says.cache_key!r}, and this is {cache_key!r}",
            hint="Use one tag for each: who does not share package caches shall not get each other's packages.",
        )
    return found


async def publish(
    registry: RegistryClient, reference: Reference, cache_key: str, pushed: Sequence[Packages]
) -> Published:
    """Put an index of these packages, and of the others that are there now, under the tag, unless it is there.

    Raises:
        FleetpacksError: as for `find_own`.
    """
    # Looked up only now: somebody else may have pushed while our packages were on their way.
    before = await find_own(registry, reference, cache_key)
    ours = {each.tool for each in pushed}
    others = [each for each in before.says.packages if each.tool not in ours] if before else []
    there = [each for each in others if await registry.head(reference.with_digest(each.digest)) is not None]
    names = tuple(each.tool for each in there)
    after = Artifact(cache_key=cache_key, packages=tuple(sorted((*there, *pushed), key=lambda each: each.tool)))
    if before is not None and before.says == after:
        return Published(digest=before.digest, others=names)
    if not after.packages:
        return Published(digest=before.digest if before else None)
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    body = artifact.encode(after, media_type=OCI_INDEX, created=created)
    manifest = Manifest(media_type=OCI_INDEX, body=body, digest=digest_of(body, _SHA256))
    await registry.put_manifest(reference, manifest)
    return Published(
        digest=manifest.digest, others=names, lost=tuple(each.tool for each in others if each not in there)
    )


def size_of(manifest: Manifest, reference: Reference) -> int:
    """The bytes of the packages that an image holds, in the registry.

    Raises:
        UsageError: it is no such image.
        ProtocolError: it is none at all.
    """
    if manifest.media_type != OCI_MANIFEST:
        raise UsageError(
            f"{reference}: expected the image of a tool's packages, got {manifest.media_type[:_LONGEST_SHOWN]}",
            hint="Something else than `fleetpacks cache push` has written the index that names it.",
        )
    return sum(layer.size for layer in content(manifest, str(reference)).layers)
