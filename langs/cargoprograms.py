"""Directories with one of a package's programs each: what Go has in cmd/NAME, Cargo has in src/bin/NAME/main.rs.

Such a directory is an app only when somebody asks for it. Then its package is what is built, with this program, and of
the directories of others nothing is there, unless a source seems to take something from one. A program of a single
file (src/bin/NAME.rs) has no directory of its own.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import msgspec

from langs import base, cargo, workspace
from langs.cargo import Binary, Crate, Workspace
from langs.errors import LangError
from langs.files import AppFiles, once

_USUAL: Final = ("", "src", "src/bin")
"""Directories of a package that hold all of it, or programs of a single file."""
_MAX_SOURCES: Final = 2000


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """An app that is one of the programs of a package above it."""

    package: AppFiles
    path: str
    """Its directory, from the package's."""
    binary: Binary


@once
def program_of(files: AppFiles) -> Program | None:
    """The package of whose programs the app's directory holds one; None where it has a manifest of its own.

    Raises:
        LangError: the manifest above cannot be understood.
    """
    if files.exists(cargo.FILE) or not files.glob("*.rs"):
        return None
    above = next((each for each in files.enclosing if each.exists(cargo.FILE)), None)
    read = cargo.read(above) if above else None
    if above is None or read is None:
        return None
    path = files.root.relative_to(above.root).as_posix()
    own = next((crate for crate in read.crates if not crate.directory), None)
    binary = directories(own).get(path) if own else None
    return Program(package=above, path=path, binary=binary) if binary else None


def directories(crate: Crate) -> dict[str, Binary]:
    """The directories with one of a package's programs and no other one's, from where the package's paths begin."""
    places = [(posixpath.dirname(binary.path), binary) for binary in crate.binaries]
    count = Counter(place for place, _ in places)
    usual = {posixpath.normpath(posixpath.join(crate.directory, each)) for each in _USUAL}
    return {
        place: binary
        for place, binary in places
        if count[place] == 1
        and posixpath.normpath(place) not in usual
        and not any(other != place and workspace.is_around(place, other) for other in count)
    }


def divided(read: Workspace, left_out: str) -> tuple[str, ...]:
    """The directories into which a workspace or a package of several programs can be taken apart.

    Args:
        read: its packages.
        left_out: the name of the package that is no app in any case.

    Returns:
        Those of members with programs, and those of programs that have one each; none where there is a program that can
        be had with the whole only.
    """
    found: list[str] = []
    count = 0
    for crate in read.crates:
        if crate.binaries and crate.certain and crate.name != left_out:
            own = directories(crate)
            parts = list(own) if len(own) == len(crate.binaries) else []
            if not parts and not crate.directory:
                return ()
            found += [crate.directory, *parts] if crate.directory else parts
            count += max(1, len(parts))
    return tuple(found) if count > 1 else ()


def several(root: AppFiles, read: Workspace, likely: Sequence[tuple[Crate, Binary]], left_out: str) -> LangError:
    """The error for programs of which nothing says which one is started.

    Args:
        root: where the paths of packages begin.
        read: the packages that were looked at.
        likely: the programs that could be meant, each with its package.
        left_out: as `divided` has it.
    """
    names = ", ".join(sorted({binary.name[:80] for _, binary in likely})[:20])
    places = divided(read, left_out)
    # What is taken apart itself is no app with one program.
    places = tuple(each for each in places if not any(other.startswith(f"{each}/") for other in places))
    put = ""
    if not places:
        crate = next((each for each, _ in likely if len(each.binaries) > 1), likely[0][0])
        places = (posixpath.join(crate.directory, "src/bin/NAME"),)
        put = "put the source of each into src/bin/NAME/main.rs of its package, and "
    return LangError(
        f"several programs were found: {names}",
        file=cargo.FILE,
        hint=f"Set {base.RUN_SETTING} to the name of the one to start, or add `web: NAME` to a Procfile. For an image "
        f"of each, {put}declare their directories in the root's fleetpacks.toml, by their paths from there: "
        f"{workspace.tables(root, places)}.",
    )


def place_of(
    program: Program,
    member: cargo.Member | None,
    needed: Iterable[str],
    *,
    files: Iterable[str],
    members: Iterable[str],
) -> workspace.Place:
    """Where one of a package's programs stands.

    Args:
        program: the app.
        member: the package in its workspace.
        needed: the directories of the packages that it depends on, from the context, as all that follow.
        files: single files that its build reads.
        members: the directories of all packages.

    Raises:
        LangError: a directory's name cannot stand in a Dockerfile.
    """
    home = member.path if member else "."
    aside = [posixpath.normpath(posixpath.join(home, each)) for each in _aside(program)]
    path = posixpath.normpath(posixpath.join(home, program.path))
    # Of the others, the empty sources of the step before are enough for Cargo to read the manifest.
    there = [file for file in files if not any(workspace.is_around(each, file) for each in aside)]
    placed = workspace.place(path, (home, *needed), files=there, members=(*members, *aside))
    return msgspec.structs.replace(placed, home=home)


def _aside(program: Program) -> Iterator[str]:
    """The directories of the package's other programs, of which no source elsewhere seems to take anything."""
    read = cargo.read(program.package)
    own = next((crate for crate in read.crates if not crate.directory), None) if read else None
    others = [each for each in directories(own) if not workspace.is_around(each, program.path)] if own else []
    taken = set(_mentioned(program.package, others))
    yield from (each for each in others if each not in taken)


def _mentioned(package: AppFiles, places: list[str]) -> Iterator[str]:
    """Those directories that a source outside of them speaks of, as `#[path = "../api/x.rs"]` and `include_str!` do."""
    sources = (file for file in package.listing if file.endswith(".rs"))
    for file in islice(sources, _MAX_SOURCES):
        text = ""
        # A source that cannot be read takes nothing, and the compiler will say why.
        with suppress(LangError):
            text = package.read_text(file) or ""
        yield from (
            each for each in places if f"{posixpath.basename(each)}/" in text and not file.startswith(f"{each}/")
        )
