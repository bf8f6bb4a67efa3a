"""An app that is built with packages that lie beside it: where it stands, and what of all that surrounds it is sent.

Such a build's context is the directory that holds the app and its packages, most often the root of a workspace. The
ignore rules are an allow-list then: the app's directory, its packages, and single files such as the manifests of all
members, which the dependencies of the whole workspace are resolved from. With these the layer of dependencies is the
same for every app of a workspace, and is made once; of other members nothing but the manifest comes in.
"""

import posixpath
from collections.abc import Iterable
from typing import Final

import msgspec

from langs.errors import LangError
from langs.files import AppFiles, is_plain_name, require_plain_name

_ANYWHERE: Final = "**/"
_GLOB: Final = frozenset("*?[\\")
_MOST_NAMED: Final = 5


def is_around(directory: str, path: str) -> bool:
    """Whether a path is this directory, or lies in it; both from one place."""
    return path == directory or path.startswith(f"{directory}/")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an app stands in what is built together with it. All paths are POSIX paths from the context."""

    path: str
    """The app's directory."""
    packages: tuple[str, ...] = ()
    """The directories that its build reads besides."""
    files: tuple[str, ...] = ()
    """Single files, and patterns of them."""
    left_out: tuple[str, ...] = ()
    """Directories of others inside of those."""
    home: str | None = None
    """The directory whose .dockerignore holds, where that is not the app's own."""

    @property
    def context(self) -> str:
        """The way from the app's directory to the context."""
        return posixpath.relpath(".", self.path)

    @property
    def directories(self) -> tuple[str, ...]:
        """Whatever is sent whole."""
        return (self.path, *self.packages)


def place(path: str, packages: Iterable[str], *, files: Iterable[str] = (), members: Iterable[str] = ()) -> Place:
    """Where an app stands.

    Args:
        path: its directory, from the context, as all that follow.
        packages: the directories that its build reads besides.
        files: single files that it reads, and patterns of them.
        members: all directories that belong to somebody: those inside of the app or a package that are not asked for
            are left out.

    Raises:
        LangError: a directory's name cannot stand in a Dockerfile.
    """
    wanted = (require_plain_name(path), *map(require_plain_name, sorted(set(packages) - {path})))
    let_in = frozenset(wanted)
    left_out = tuple(each for each in members if each not in let_in and not let_in.isdisjoint((".", *ancestors(each))))
    return Place(path=path, packages=wanted[1:], files=tuple(dict.fromkeys(files)), left_out=left_out)


def from_root(root: AppFiles, paths: Iterable[str]) -> tuple[str, ...]:
    """Directories below `root` as `Detection.packages` names them: from the monorepo's root, sorted."""
    return tuple(sorted(posixpath.normpath(posixpath.join(root.path, path)) for path in paths))


def tables(root: AppFiles, paths: Iterable[str]) -> str:
    """How the root's fleetpacks.toml makes apps of directories below `root`, for a hint that can be copied."""
    found = dict.fromkeys(posixpath.normpath(posixpath.join(root.path, path)) for path in paths)
    named = [f'[apps."{path}"]' for path in found if is_plain_name(path)]
    more = ", ..." if len(named) > _MOST_NAMED else ""
    return (", ".join(named[:_MOST_NAMED]) or '[apps."PATH"]') + more


def ancestors(path: str) -> tuple[str, ...]:
    """The directories that hold one, but for the context itself."""
    parts = path.split("/")
    return tuple("/".join(parts[:depth]) for depth in range(1, len(parts)))


def is_inside(path: str) -> bool:
    """Whether a normalised path stays below the directory that it starts from."""
    return path != ".." and not path.startswith(("../", "/"))


def ignore_rules(place: Place, ignored: Iterable[str], own: str | None) -> tuple[str, ...]:
    """The lines of a .dockerignore that lets in what the build reads.

    Args:
        place: where the app stands.
        ignored: what is left out of the context of every app, for paths from its directory.
        own: the app's .dockerignore, or that of `place.home`.
    """
    # Of the context's own directory everything is let in, but for what is said behind.
    whole = "." in place.directories
    lines = [] if whole else ["*", *(f"!{_literal(directory)}" for directory in place.directories)]
    lines += [_literal(directory) for directory in place.left_out]
    lines += [f"!{file}" for file in place.files]
    for pattern in ignored:
        anywhere = pattern.startswith(_ANYWHERE)
        lines += [pattern] if anywhere else [f"{_literal(each)}/{pattern}" for each in place.directories]
    home = place.path if place.home is None else place.home
    lines += [_moved(line, _literal(home)) for line in (own or "").split("\n") if line.strip()]
    return tuple(lines)


def _literal(path: str) -> str:
    return "".join(f"\\{character}" if character in _GLOB else character for character in path)


def _moved(line: str, directory: str) -> str:
    """A line of the app's .dockerignore, as it reads from the context."""
    text = line.strip()
    if text.startswith("#"):
        return text
    exception = text.startswith("!")
    # What Docker reads: cleaned, and from the context's root whether a slash says so or not.
    path = posixpath.normpath(posixpath.join("/", text[exception:].strip())).lstrip("/")
    return f"{'!' if exception else ''}{posixpath.normpath(f'{directory}/{path}')}"


def no_neighbour(name: str, file: str) -> LangError:
    """The error for a package that is asked of the workspace, and that no member of it is."""
    return LangError(
        f"{name[:80]!r} is asked of the workspace, and no member of one around the app has that name",
        file=file,
        hint="Correct the name, or add the package's directory to the workspace.",
    )
