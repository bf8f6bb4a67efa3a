"""The recipes, read from the data file beside this module."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated

import msgspec

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Url = Annotated[str, msgspec.Meta(pattern="^https://[^\\s]+\\.(tgz|zip)$")]
_Directory = Annotated[str, msgspec.Meta(pattern="^/[A-Za-z0-9/_.-]*$")]
_Glob = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9*][A-Za-z0-9*/_.-]*$")]
_Tag = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]


class Archive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package of a language's registry, unpacked into the image."""

    url: _Url
    sha256: _Digest
    strip: int
    """Leading directories of the archive's paths to leave out."""
    into: _Directory
    executable: tuple[_Glob, ...] = ()
    """Shell patterns, relative to `into`, of files that must be executable and are not so in the archive."""


class Root(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file system that all images stand on: a minimal Debian."""

    suite: str
    mirror: str
    include: tuple[str, ...]
    """Debian packages beyond the minimal set."""
    exclude: tuple[str, ...]
    """Shell patterns of files, relative to the root, that the image does without."""
    env: Mapping[str, str]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One image."""

    name: str
    """The repository's last part, as on Docker Hub: `node`."""
    tags: tuple[_Tag, ...]
    packages: tuple[str, ...] = ()
    """Of Debian."""
    archives: tuple[Archive, ...] = ()
    run: tuple[str, ...] = ()
    """Shell lines that finish the image and try what is in it."""
    env: Mapping[str, str] = {}
    workdir: _Directory | None = None
    command: tuple[str, ...]


class Recipes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them. The first image is the bare root, which the others stand on."""

    root: Root
    images: tuple[Recipe, ...]


def load() -> Recipes:
    """The recipes that ship with the package."""
    data = files("orchestrator.bases").joinpath("recipes.toml").read_bytes()
    return msgspec.toml.decode(data, type=Recipes)
