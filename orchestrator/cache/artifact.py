"""The artifact in which package caches travel through a registry. Pure.

A builder's exporters make images and no other artifact, so the packages of each tool are an image of one layer. What
says that they are packages is the index over them, which we write: it has a type of our own, and no entry has a
platform, so that nothing runs any of it. Which tools are wanted is decided before anything is pulled, and a tool that
is not pushed keeps the entry that it has.

Fields: OCI image specification 1.1, `image-index.md`.
"""

import re
from collections.abc import Mapping

import msgspec

from orchestrator.errors import FleetpacksError, UsageError

_TYPE = "application/vnd.fleetpacks.packages.v{}+json"
_ANY_TYPE = re.compile(re.escape(_TYPE).replace(r"\{\}", "([1-9][0-9]{0,5})"), re.ASCII)
_VERSION = 1
_TOOL = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_LONGEST_TOOL = 64
_MOST_TOOLS = 100
_LONGEST_SHOWN = 100
LONGEST_KEY = 100
"""Characters of a `CACHE_KEY` that are told."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_LARGEST_MANIFEST = 4 * 1024 * 1024

_TOOL_KEY = "dev.fleetpacks.tool"
_KEY_KEY = "dev.fleetpacks.cache-key"
_CREATED = "org.opencontainers.image.created"
_DESCRIPTION = "org.opencontainers.image.description"
_SAYS = "Package caches for `fleetpacks cache pull`; no image to run"


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """One tool's packages: the manifest of an image in the artifact's repository."""

    tool: str
    digest: str
    size: int
    """Bytes of the manifest, not of what it names."""
    media_type: str


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What the index says."""

    cache_key: str
    """The `CACHE_KEY` of the builds that filled the caches. Untrusted text."""
    packages: tuple[Packages, ...]
    """By tool, each once."""

    def of(self, tool: str) -> Packages | None:
        """A tool's packages, if there are any."""
        return next((each for each in self.packages if each.tool == tool), None)


class _Platform(msgspec.Struct, frozen=True, kw_only=True):
    architecture: str = "unknown"
    os: str = "unknown"


class _Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = {}
    platform: _Platform = _Platform()


class _Index(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    schema_version: int
    media_type: str
    artifact_type: str
    manifests: tuple[_Entry, ...] = ()
    annotations: Mapping[str, str] = {}


class _Kind(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    artifact_type: str = ""


def label(tool: str) -> Mapping[str, str]:
    """What the image of a tool's packages says of itself, to whoever finds it alone."""
    return {_DESCRIPTION: f"{tool}: {_SAYS}"}


def encode(artifact: Artifact, *, media_type: str, created: str) -> bytes:
    """The index: the same bytes for the same words.

    Args:
        artifact: what it says.
        media_type: of an OCI index.
        created: when, as RFC 3339 writes it.
    """
    index = _Index(
        schema_version=2,
        media_type=media_type,
        artifact_type=_TYPE.format(_VERSION),
        manifests=tuple(
            _Entry(
                media_type=each.media_type,
                digest=each.digest,
                size=each.size,
                annotations={_TOOL_KEY: each.tool},
                platform=_Platform(),
            )
            for each in artifact.packages
        ),
        annotations={_KEY_KEY: artifact.cache_key, _CREATED: created, _DESCRIPTION: _SAYS},
    )
    return msgspec.json.encode(index)


def decode(body: bytes, source: str) -> Artifact:
    """Read an index, which anybody may have written.

    Args:
        body: the bytes under a reference, verified by their digest.
        source: the reference, for messages.

    Raises:
        UsageError: it is an image or something else, of another format, or wrong.
    """
    try:
        kind = _ANY_TYPE.fullmatch(msgspec.json.decode(body, type=_Kind).artifact_type)
    except (msgspec.DecodeError, RecursionError):
        kind = None
    if kind is None:
        raise UsageError(
            f"{source}: expected packages that `fleetpacks cache push` has put there, found another kind of image",
            hint="Name a reference that holds nothing else, such as registry.example/team/packages:main.",
        )
    if int(kind[1]) != _VERSION:
        raise UsageError(
            f"{source}: its packages are of format {kind[1]}, and this fleetpacks knows format {_VERSION}",
            hint="Use the release of fleetpacks that has pushed them, or another tag for each of both.",
        )
    try:
        index = msgspec.json.decode(body, type=_Index)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(source, str(error)) from None
    if len(index.manifests) > _MOST_TOOLS:
        raise _wrong(source, f"it names {len(index.manifests)} tools, more than {_MOST_TOOLS}")
    packages = tuple(_packages(entry, source) for entry in index.manifests)
    if len({each.tool for each in packages}) < len(packages):
        raise _wrong(source, "it names a tool twice")
    return Artifact(cache_key=index.annotations.get(_KEY_KEY, "")[:LONGEST_KEY], packages=packages)


def _packages(entry: _Entry, source: str) -> Packages:
    tool = entry.annotations.get(_TOOL_KEY, "")
    if len(tool) > _LONGEST_TOOL or not _TOOL.fullmatch(tool):
        raise _wrong(source, f"{tool[:_LONGEST_SHOWN]!r} is no tool")
    if not _DIGEST.fullmatch(entry.digest):
        raise _wrong(source, f"{tool} has no digest that can be verified")
    if not 0 < entry.size <= _LARGEST_MANIFEST:
        raise _wrong(source, f"{tool} is named with {entry.size} bytes, which is the size of no manifest")
    return Packages(tool=tool, digest=entry.digest, size=entry.size, media_type=entry.media_type)


def _wrong(source: str, reason: str) -> FleetpacksError:
    return UsageError(
        f"{source}: its list of packages cannot be understood: {reason}",
        hint="Something else than `fleetpacks cache push` has written it: delete it, or use another tag.",
    )
