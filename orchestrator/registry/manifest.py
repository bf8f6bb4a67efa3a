"""Manifests, indexes and descriptors: what is read of them, and the checks that make their bytes trustworthy.

Fields: OCI image specification 1.1 (`descriptor.md`, `manifest.md`, `image-index.md`, `config.md`) and Docker's image
manifest version 2, schema 2, which has the same shape under other media types.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from orchestrator.errors import ImageNotFoundError, ProtocolError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
ACCEPTED = (OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST)

_T = TypeVar("_T")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry of an index runs on."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pointer to content: its type, digest, and size in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or an index as the registry holds it: the digest is that of exactly these bytes."""

    media_type: str
    body: bytes
    digest: str


class ManifestContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest of one image says."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class IndexContent(msgspec.Struct, frozen=True, kw_only=True):
    """What an index says."""

    manifests: tuple[Descriptor, ...]


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How a container of the image is started, in the image's own words."""

    user: str = ""
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str = ""
    labels: Mapping[str, str] | None = None


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What an image's configuration says."""

    os: str
    architecture: str
    config: RunConfig | None = None


class _MediaTypeOnly(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    media_type: str | None = None


def digest_of(body: bytes, like: str) -> str:
    """The digest of some bytes, by the algorithm of another digest."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def checked(*, body: bytes, content_type: str, requested: str | None, declared: str | None, source: str) -> Manifest:
    """A manifest from a registry's answer, when everything about it agrees.

    The media type in the body and in the header must be the same: otherwise one digest would name two different
    images, depending on who reads it (CVE-2021-41190).

    Args:
        body: the answer's bytes.
        content_type: the `Content-Type` header.
        requested: the digest that was asked for, if it was one.
        declared: the `Docker-Content-Digest` header, when it is a digest.
        source: the reference, for messages.

    Raises:
        ProtocolError: something does not agree.
    """
    for expected, who in ((requested, "was asked for"), (declared, "the registry declares")):
        if expected is not None and (actual := digest_of(body, expected)) != expected:
            raise _wrong(source, f"its digest is {actual}, but {expected} {who}")
    media_type = content_type.partition(";")[0].strip()
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise _wrong(source, "it came without a media type")
    try:
        inner = msgspec.json.decode(body, type=_MediaTypeOnly).media_type
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(source, f"it is not a JSON object with a media type: {error}") from None
    if inner is not None and inner != media_type:
        raise _wrong(source, f"it came as {media_type}, but calls itself {inner[:255]!r}")
    return Manifest(media_type=media_type, body=body, digest=requested or declared or digest_of(body, "sha256"))


def content(manifest: Manifest, source: str) -> ManifestContent:
    """Read the manifest of one image.

    Raises:
        ProtocolError: it is none.
    """
    return _decode(manifest.body, ManifestContent, source)


def select(index: Manifest, platform: Platform, source: str) -> Descriptor:
    """The entry of an index for a platform; an entry without variant fits any, and so does a question without one.

    Raises:
        ImageNotFoundError: there is none; the message names those that are there.
        ProtocolError: this is not an index.
    """
    entries = _decode(index.body, IndexContent, source).manifests
    for entry in entries:
        if entry.platform is not None and fits(entry.platform, platform):
            return entry
    # Attestations hang in an index as entries for unknown/unknown.
    known = sorted({str(entry.platform) for entry in entries if entry.platform and entry.platform.os != "unknown"})
    raise ImageNotFoundError(
        f"{source} has no image for {platform}, only for {', '.join(known)[:200] or 'no platform at all'}",
        hint="ask for one of these platforms, or publish the image for the missing one",
    )


def platform_of(text: str) -> Platform:
    """Read `os/architecture` or `os/architecture/variant`."""
    os, architecture, *variant = text.split("/")
    return Platform(os=os, architecture=architecture, variant="/".join(variant))


def fits(offered: Platform, wanted: Platform) -> bool:
    """Whether something for one platform serves another."""
    same_variant = not offered.variant or not wanted.variant or offered.variant == wanted.variant
    return (offered.os, offered.architecture) == (wanted.os, wanted.architecture) and same_variant


def image_config(body: bytes, source: str) -> ImageConfig:
    """Read an image's configuration.

    Raises:
        ProtocolError: it is none.
    """
    return _decode(body, ImageConfig, source)


def _decode(body: bytes, kind: type[_T], source: str) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(source, str(error)) from None


def _wrong(source: str, reason: str) -> ProtocolError:
    return ProtocolError(
        f"{source}: the registry's answer cannot be trusted: {reason}",
        hint="ask the registry's operator; a proxy between here and there may change answers, too",
    )
