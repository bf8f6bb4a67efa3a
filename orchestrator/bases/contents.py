"""What base images are made of: the SPDX document that is attested of each, and the lock file. Pure.

A lock file says of each image which packages in which versions it has, as the document that is attested of it says.
With it, the packages that a recipe asks for are installed in these versions and no others, and an image that has become
another one all the same is told before it gets a tag.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from orchestrator.bases.recipes import Archive, Recipe, Recipes
from orchestrator.bases.sources import index_of
from orchestrator.errors import ConfigError, ProtocolError

PREDICATE = "https://spdx.dev/Document"
_FORMAT = 1
_MOST_SHOWN = 5


class _Reference(msgspec.Struct, frozen=True, rename="camel"):
    reference_type: str
    reference_locator: str


class _Package(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    version_info: str = ""
    external_refs: tuple[_Reference, ...] = ()


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    packages: tuple[_Package, ...]


class _Statement(msgspec.Struct, frozen=True, rename="camel"):
    predicate_type: str
    predicate: msgspec.Raw = msgspec.Raw(b"null")


class LockedImage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One image."""

    name: str
    """The repository below the prefix."""
    tags: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    digest: str
    on: str | None
    """The image that it stands on; None: it is the bare root."""
    packages: Mapping[str, str]
    """Debian's: name -> version."""
    archives: Mapping[str, str]
    """Of language registries: name with version -> SHA-256."""


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    format: Annotated[int, msgspec.Meta(ge=_FORMAT, le=_FORMAT)] = _FORMAT
    suite: str
    images: tuple[LockedImage, ...]

    def of(self, recipe: Recipe) -> LockedImage | None:
        """An image, by its first name."""
        return next((each for each in self.images if _name(each) == of_repository(recipe)), None)


def of_repository(recipe: Recipe) -> str:
    """What an image is called below the prefix."""
    return f"{recipe.repository}:{(*recipe.tags, *recipe.aliases)[0]}"


def document(statement: bytes, source: str) -> bytes | None:
    """The SPDX document of an attested statement; None when it states something else.

    Args:
        statement: an in-toto statement.
        source: the image, for messages.

    Raises:
        ProtocolError: it is none.
    """
    try:
        found = msgspec.json.decode(statement, type=_Statement)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(
            f"{source}: what is attested of it cannot be read: {error}", hint="Was it built by another program?"
        ) from None
    return bytes(found.predicate) if found.predicate_type == PREDICATE else None


def packages(spdx: bytes, source: str) -> Mapping[str, str]:
    """Debian's packages in an SPDX document: name -> version.

    Raises:
        ProtocolError: it is none.
    """
    try:
        found = msgspec.json.decode(spdx, type=_Document).packages
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(f"{source}: its SBOM cannot be read: {error}", hint="Build it again.") from None
    return {
        each.name: each.version_info
        for each in found
        if any(reference.reference_locator.startswith("pkg:deb/") for reference in each.external_refs)
    }


def listed(archives: tuple[Archive, ...]) -> bytes:
    """The list of an image's archives that the scanner reads: registry, name, version, nothing, digest."""
    lines = ["\t".join((index_of(archive), *_named(archive), "", archive.sha256)) for archive in archives]
    return "".join(f"{line}\n" for line in lines).encode()


def _named(archive: Archive) -> tuple[str, str]:
    if archive.pypi is not None:
        name, _, version = archive.pypi.partition("==")
    elif archive.maven is not None:
        group, artifact, version, *_ = archive.maven.split(":")
        name = f"{group}:{artifact}"
    else:
        name, _, version = archive.name.rpartition("@")
    return name, version


def pinned(recipe: Recipe, locked: LockedImage) -> Recipe:
    """The recipe with the versions of a lock file for the packages that it asks for."""
    said = locked.packages
    # A name that only others provide has no version.
    names = tuple(f"{name}={said[name]}" if name in said else name for name in recipe.packages)
    return msgspec.structs.replace(recipe, packages=names)


def decode(text: bytes, source: str) -> Lock:
    """Read a lock file.

    Raises:
        ConfigError: it is none.
    """
    try:
        return msgspec.json.decode(text, type=Lock)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{source}: {error}", hint="Name a file that `fleetpacks bases build` wrote.") from None


def encode(lock: Lock) -> bytes:
    """The file's text: the same for the same images."""
    return msgspec.json.format(msgspec.json.encode(lock, order="sorted"), indent=1) + b"\n"


def merged(earlier: Lock | None, made: Lock) -> Lock:
    """The lock file of all images, of which some were made just now; the others stay as they were.

    Args:
        earlier: what the file has said; None: there was none. Of another suite, it says nothing any more.
        made: what was made.
    """
    images = {_name(each): each for each in earlier.images} if earlier and earlier.suite == made.suite else {}
    images |= {_name(each): each for each in made.images}
    return msgspec.structs.replace(made, images=tuple(images[name] for name in sorted(images)))


def require(lock: Lock, recipes: Recipes) -> None:
    """See that a lock file says of each image what it is to be made of.

    Raises:
        ConfigError: it does not have one of them, or is of another suite.
    """
    hint = "Make these images without --locked: then the lock file gets them."
    if lock.suite != recipes.root.suite:
        raise ConfigError(f"the lock file is of {lock.suite}, and images are made of {recipes.root.suite}", hint=hint)
    lacking = [of_repository(recipe) for recipe in recipes.images if lock.of(recipe) is None]
    if lacking:
        raise ConfigError(f"the lock file does not have {', '.join(lacking)}", hint=hint)


def check(made: LockedImage, locked: LockedImage) -> None:
    """Hold an image against the lock file.

    Raises:
        ConfigError: it has other packages or archives, or stands on another image.
    """
    other = [*_other(made.packages, locked.packages), *_other(made.archives, locked.archives)]
    if made.on != locked.on:
        other.append(f"on {locked.on} -> {made.on}")
    if other:
        more = f" and {len(other) - _MOST_SHOWN} more" if len(other) > _MOST_SHOWN else ""
        raise ConfigError(
            f"{made.name}: other packages than the lock file has: {', '.join(other[:_MOST_SHOWN])}{more}",
            hint="Build from a mirror that still has these, or without --locked.",
        )


def _other(made: Mapping[str, str], locked: Mapping[str, str]) -> list[str]:
    return [
        f"{name} {locked.get(name, 'absent')} -> {made.get(name, 'absent')}"
        for name in sorted({*made, *locked})
        if made.get(name) != locked.get(name)
    ]


def _name(image: LockedImage) -> str:
    return f"{image.name}:{image.tags[0]}"
