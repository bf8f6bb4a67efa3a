"""Go's modules beside an app: a workspace's, by `go.work`, or those that `replace` finds in a directory.

In a workspace, Go reads go.mod and go.sum of all modules, and the sources of those that are imported. So all of the
former come before the download, which the apps of one workspace have in common, and of the sources those of modules
that the app requires or imports, directly or not: a workspace's modules import each other without a word in go.mod. An
app that needs none of them is built alone.

A directory with one of a module's several programs may be an app, too, when it is asked for: then the module is what is
built, and of its other programs nothing is there that nobody imports.
"""

import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final

import msgspec

from langs import gomod, workspace
from langs.errors import LangError
from langs.files import AppFiles, is_plain_name, once

MODULE: Final = "go.mod"
WORK: Final = "go.work"
_SUMS: Final = (MODULE, "go.sum")
_WORK_FILES: Final = (WORK, "go.work.sum")


_IMPORTED: Final = re.compile(r'"([A-Za-z0-9][A-Za-z0-9._~/-]*)"', re.ASCII)
_IMPORTS: Final = 1 << 13
"""Bytes: imports stand at a source's beginning."""
_MAX_SOURCES: Final = 2000


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An app among modules. All paths are from `root`."""

    root: AppFiles
    path: str
    needed: tuple[str, ...]
    """The modules that it requires."""
    modules: tuple[str, ...]
    """All modules of which Go reads go.mod."""
    work: gomod.GoMod | None
    """go.work, where that is what binds them."""

    @property
    def manifests(self) -> tuple[str, ...]:
        """What a download reads."""
        if self.work is not None:
            return _manifests_of_workspace(self.root)
        return _manifests(self.root, (self.path, *self.needed))

    @property
    def place(self) -> workspace.Place:
        """Where the app stands.

        Raises:
            LangError: a directory's name cannot stand in a Dockerfile.
        """
        return workspace.place(self.path, self.needed, files=self.manifests, members=self.modules)


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """An app that is one of the programs of a module above it."""

    module: AppFiles
    path: str
    """Its directory, from the module's."""


@once
def program_of(files: AppFiles) -> Program | None:
    """The module that the app's directory belongs to; None where it has a manifest of its own, or there is none."""
    if files.first(MODULE, WORK):
        return None
    above = next((each for each in files.enclosing if each.exists(MODULE)), None)
    return Program(module=above, path=files.root.relative_to(above.root).as_posix()) if above else None


def place_of(
    program: Program, member: Member | None, manifests: Iterable[str], mains: Iterable[str]
) -> workspace.Place:
    """Where one of a module's programs stands.

    Args:
        program: the app.
        member: the module in its workspace.
        manifests: what a download reads.
        mains: the directories of all main packages, from the module's.

    Raises:
        LangError: a directory's name cannot stand in a Dockerfile.
    """
    home, needed, modules = (member.path, member.needed, member.modules) if member else (".", (), ())
    name = (_module(program.module) or gomod.GoMod()).module
    imported = _imports(program.module)
    aside = [each for each in mains if each not in {".", program.path} and not workspace.is_around(each, program.path)]
    aside = [each for each in aside if not any(workspace.is_around(f"{name}/{each}", path) for path in imported)]
    placed = workspace.place(
        posixpath.normpath(posixpath.join(home, program.path)),
        (home, *needed),
        files=manifests,
        members=(*modules, *(posixpath.normpath(posixpath.join(home, each)) for each in aside)),
    )
    return msgspec.structs.replace(placed, home=home)


def read(files: AppFiles, file: str) -> gomod.GoMod:
    """The app's go.mod or go.work; an empty one where there is none.

    Raises:
        LangError: it cannot be understood.
    """
    return (_module if file == MODULE else _work)(files) or gomod.GoMod()


@once
def _module(files: AppFiles) -> gomod.GoMod | None:
    text = files.read_text(MODULE)
    return None if text is None else gomod.parse(text, MODULE)


@once
def _work(files: AppFiles) -> gomod.GoMod | None:
    text = files.read_text(WORK)
    return None if text is None else gomod.parse(text, WORK)


@once
def member_of(files: AppFiles) -> Member | None:
    """The app among the modules around it that it requires; None when it requires none.

    Raises:
        LangError: a go.mod or go.work cannot be understood, or a module lies outside of the monorepo.
    """
    own = _module(files)
    if own is None or files.exists(WORK):
        return None
    for root in files.enclosing:
        work = _work(root)
        path = files.root.relative_to(root.root).as_posix()
        if work is not None and path in _used(root):
            return _of_workspace(root, path, work)
    return _of_replacements(files, own)


@once
def _used(root: AppFiles) -> frozenset[str]:
    work = _work(root)
    return frozenset(_paths(".", work.uses) if work else ())


def outside(files: AppFiles) -> Iterator[tuple[str, str]]:
    """Files and the directories in them which lead out of the app, as written."""
    for file, said in ((MODULE, _module(files)), (WORK, _work(files))):
        for path in (*said.replaces, *said.uses) if said else ():
            if not workspace.is_inside(posixpath.normpath(path)):
                yield file, path


@once
def _manifests_of_workspace(root: AppFiles) -> tuple[str, ...]:
    """The same for all apps of a workspace."""
    own = tuple(name for name in _WORK_FILES if root.exists(name))
    return (*own, *_manifests(root, _modules(root).directories))


def _manifests(root: AppFiles, directories: Iterable[str]) -> tuple[str, ...]:
    files = (posixpath.normpath(f"{path}/{name}") for path in sorted(directories) for name in _SUMS)
    return tuple(file for file in files if root.exists(file))


class _Modules(msgspec.Struct, frozen=True, kw_only=True):
    """All that a go.work binds together."""

    by_name: Mapping[str, str]
    """Module path -> directory."""
    directories: tuple[str, ...]
    replaced: tuple[str, ...]
    """Directories that stand in for modules of others, whoever asks for them."""


@once
def _modules(root: AppFiles) -> _Modules:
    work = _work(root) or gomod.GoMod()
    read = {each: found for each in _paths(".", work.uses) if (found := _module_at(root, each)) is not None}
    replaced = {
        place
        for each, module in ((".", work), *read.items())
        for place in _paths(each, module.replaces)
        if place not in read and _module_at(root, place) is not None
    }
    return _Modules(
        by_name={module.module: each for each, module in read.items() if module.module},
        directories=(*read, *sorted(replaced)),
        replaced=tuple(sorted(replaced)),
    )


def _of_workspace(root: AppFiles, path: str, work: gomod.GoMod) -> Member | None:
    modules = _modules(root)
    needed = tuple(_required(root, path, modules))
    if not needed:
        return None
    return Member(root=root, path=path, needed=needed, modules=modules.directories, work=work)


def _required(root: AppFiles, path: str, modules: _Modules) -> Iterator[str]:
    """What the app needs of the workspace, directly or not; and every replacement, whoever asks for it."""
    seen = {path, *modules.replaced}
    queue = [path, *modules.replaced]
    yield from modules.replaced
    while queue:
        files = root.at(queue.pop(0))
        own = _module(files)
        for name in sorted({*(own.requires if own else ()), *_imported(files, modules.by_name)}):
            place = modules.by_name.get(name)
            if place is not None and place not in seen:
                seen.add(place)
                queue.append(place)
                yield place


def _imported(files: AppFiles, modules: Container[str]) -> frozenset[str]:
    """Those of `modules` of which a module imports a package."""
    found: set[str] = set()
    for path in _imports(files):
        parts = path.split("/")
        found.update(
            next(((name,) for end in range(len(parts), 0, -1) if (name := "/".join(parts[:end])) in modules), ())
        )
    return frozenset(found)


@once
def _imports(files: AppFiles) -> frozenset[str]:
    """What may be an import in the module's sources: words in quotes at their beginning."""
    nested = tuple(f"{posixpath.dirname(file)}/" for file in files.listing if file.endswith(f"/{MODULE}"))
    sources = (file for file in files.listing if file.endswith(".go") and not file.endswith("_test.go"))
    found: set[str] = set()
    for file in islice((file for file in sources if not file.startswith(nested)), _MAX_SOURCES):
        # A source that cannot be read imports nothing, and the compiler will say why.
        with suppress(LangError):
            found.update(_IMPORTED.findall(files.read_head(file, _IMPORTS) or ""))
    return frozenset(found)


def _of_replacements(files: AppFiles, own: gomod.GoMod) -> Member | None:
    """Without a workspace: the context is the directory that holds the app and what its go.mod replaces modules by."""
    leading = [posixpath.normpath(path) for path in own.replaces]
    leading = [path for path in leading if not workspace.is_inside(path)]
    if not leading or any(path.startswith("/") for path in leading):
        return None
    up = max(path.split("/").count("..") for path in leading)
    if up > len(files.enclosing):
        return None
    root = files.enclosing[up - 1]
    path = files.root.relative_to(root.root).as_posix()
    needed = tuple(sorted(set(_paths(path, leading))))
    return Member(root=root, path=path, needed=needed, modules=needed, work=None)


def _paths(place: str, said: Iterable[str]) -> tuple[str, ...]:
    """Directories as paths from the root; what lies outside of it is nobody's."""
    paths = (posixpath.normpath(posixpath.join(place, each)) for each in said)
    return tuple(dict.fromkeys(path for path in paths if workspace.is_inside(path) and is_plain_name(path)))


def _module_at(root: AppFiles, path: str) -> gomod.GoMod | None:
    """The go.mod of a directory; None where there is none, or none that can be read."""
    try:
        return _module(root.at(path)) if root.has_directory(path) or path == "." else None
    except LangError:
        return None
