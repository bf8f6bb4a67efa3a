"""The index of an image whose platforms several hosts have built: flat, as one builder would have made it. Pure.

What a host pushes is an index when it was asked for one, or attests something: its entries are taken over as they are,
with what they say of themselves. Attestations stay beside their images, whose digests they name (an entry for
`unknown/unknown` with the annotations `vnd.docker.reference.*`; BuildKit's docs/attestations/attestation-storage.md).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from orchestrator.errors import ProtocolError
from orchestrator.registry.manifest import DOCKER_INDEX, DOCKER_MANIFEST, INDEXES, OCI_INDEX, Manifest, digest_of

_UNKNOWN = "unknown"
_Entry = Mapping[str, Any]


class _Platform(msgspec.Struct, frozen=True, kw_only=True):
    os: str
    architecture: str
    variant: str = ""


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    manifests: tuple[dict[str, Any], ...]


def joined(parts: Iterable[tuple[str, Manifest]], *, source: str) -> Manifest:
    """One index over the parts of an image: their images in the order of the parts, then what is attested of them.

    Args:
        parts: what each platform's host has pushed, by the platform.
        source: the image's name, for messages.

    Raises:
        ProtocolError: a part is no image, or two are for the same platform.
    """
    images: dict[_Platform, _Entry] = {}
    attested: list[_Entry] = []
    for platform, manifest in parts:
        for entry in _entries(platform, manifest, source):
            its = _platform(entry, source)
            if its.os == _UNKNOWN:
                attested.append(entry)
            elif its in images:
                raise ProtocolError(
                    f"{source}: two hosts have built {platform}", hint="Look at `platform` of the hosts' addresses."
                )
            else:
                images[its] = entry
    entries = (*images.values(), *attested)
    # An index of Docker's lists Docker's manifests only.
    docker = all(entry.get("mediaType") == DOCKER_MANIFEST for entry in entries)
    media_type = DOCKER_INDEX if docker else OCI_INDEX
    body = msgspec.json.encode({"schemaVersion": 2, "mediaType": media_type, "manifests": entries})
    return Manifest(media_type=media_type, body=body, digest=digest_of(body, "sha256:"))


def _entries(platform: str, manifest: Manifest, source: str) -> Iterator[_Entry]:
    if manifest.media_type in INDEXES:
        try:
            yield from msgspec.json.decode(manifest.body, type=_Index).manifests
        except (msgspec.DecodeError, RecursionError) as error:
            raise _wrong(source, platform, error) from None
        return
    os, architecture, *variant = platform.split("/")
    yield {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.body),
        "platform": {"architecture": architecture, "os": os, **({"variant": variant[0]} if variant else {})},
    }


def _platform(entry: _Entry, source: str) -> _Platform:
    try:
        return msgspec.convert(entry.get("platform"), type=_Platform)
    except msgspec.ValidationError as error:
        raise _wrong(source, "an image", error) from None


def _wrong(source: str, what: str, error: Exception) -> ProtocolError:
    return ProtocolError(
        f"{source}: what was pushed of it for {what} is no index: {error}",
        hint="Ask the registry's operator; a proxy between here and there may change answers, too.",
    )
