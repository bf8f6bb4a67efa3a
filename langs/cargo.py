"""Cargo.toml: packages, their targets and where they lead to; and `.cargo/config.toml` as far as it moves a build.

Targets are found as Cargo finds them (https://doc.rust-lang.org/cargo/reference/cargo-targets.html): those that the
manifest names, and beside them, unless it says otherwise, the files of the usual layout.
"""

import fnmatch
import posixpath
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, TypeVar, cast

import msgspec

from langs import documents
from langs.errors import LangError
from langs.files import AppFiles, once

_T = TypeVar("_T")
FILE: Final = "Cargo.toml"
CONFIGS: Final = (".cargo/config.toml", ".cargo/config")

_MAX_CRATES: Final = 300
_OTHERS: Final = (("test", "tests"), ("bench", "benches"), ("example", "examples"))
"""The kinds of targets that a release does not have, with their directories."""


class _Inherited(msgspec.Struct):
    workspace: bool = False


class _Target(msgspec.Struct, rename="kebab"):
    name: str | None = None
    path: str | None = None
    required_features: list[str] = []


class _Package(msgspec.Struct, rename="kebab"):
    name: str | None = None
    rust_version: str | _Inherited | None = None
    default_run: str | None = None
    build: bool | str | list[str] | None = None
    autobins: bool = True
    autolib: bool = True


class _WorkspacePackage(msgspec.Struct, rename="kebab"):
    rust_version: str | None = None


class _Workspace(msgspec.Struct, rename="kebab"):
    members: list[str] = []
    exclude: list[str] = []
    default_members: list[str] = []
    package: _WorkspacePackage = msgspec.field(default_factory=_WorkspacePackage)
    dependencies: dict[str, object] = {}


class _Raw(msgspec.Struct, rename="kebab"):
    package: _Package | None = None
    project: _Package | None = None
    """The name that `package` had before Cargo 1.0, and that editions before 2024 still know."""
    workspace: _Workspace | None = None
    lib: _Target | None = None
    bin: list[_Target] = []
    test: list[_Target] = []
    bench: list[_Target] = []
    example: list[_Target] = []
    dependencies: dict[str, object] = {}
    dev_dependencies: dict[str, object] = {}
    build_dependencies: dict[str, object] = {}
    target: dict[str, object] = {}
    patch: dict[str, dict[str, object]] = {}
    replace: dict[str, object] = {}


class _Source(msgspec.Struct, rename="kebab"):
    directory: str | None = None
    local_registry: str | None = None


class _Build(msgspec.Struct, rename="kebab"):
    target: str | list[str] | None = None


class _Config(msgspec.Struct):
    build: _Build = msgspec.field(default_factory=_Build)
    source: dict[str, _Source] = {}


class Binary(msgspec.Struct, frozen=True, kw_only=True):
    """A program that a package makes."""

    name: str
    package: str
    path: str
    """The source file, from the app's directory."""
    features: tuple[str, ...] = ()
    """The features without which Cargo does not make it."""


class Crate(msgspec.Struct, frozen=True, kw_only=True):
    """One package of the app."""

    directory: str
    """From the app's directory; empty for the root."""
    name: str
    binaries: tuple[Binary, ...] = ()
    library: str | None = None
    """The library's source file, from the app's directory."""
    programs: tuple[str, ...] = ()
    """The other sources without which Cargo does not read the manifest, each with a `main`: build script, tests, ..."""
    rust_version: str | None = None
    default_run: str | None = None
    dependencies: frozenset[str] = frozenset()
    certain: bool = True
    """Whether it is surely a part of what is built; a package that only may stand in for another one is not."""
    leads: tuple[str, ...] = ()
    """The directories of the packages that it depends on by path."""

    @property
    def mains(self) -> tuple[str, ...]:
        """All sources that have a `main`."""
        return (*self.programs, *(binary.path for binary in self.binaries))

    @property
    def manifest(self) -> str:
        """Its Cargo.toml, from the app's directory."""
        return posixpath.join(self.directory, FILE)


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """The app's packages, the root's first: all that Cargo reads to build any of them."""

    crates: tuple[Crate, ...]
    virtual: bool
    """Whether the root holds no package of its own."""
    defaults: frozenset[str]
    """The directories of the packages whose programs count when nothing else is said."""
    broken: LangError | None = None
    """Why Cargo could not build it here: a package that is not there, or lies outside of the app."""

    def needed(self, directory: str) -> tuple[Crate, ...]:
        """What the package in `directory` is made of, itself left out, and those that may stand in for some."""
        by_directory = {crate.directory: crate for crate in self.crates}
        queue = [directory, *(crate.directory for crate in self.crates if not crate.certain)]
        seen = dict.fromkeys(queue)
        while queue:
            crate = by_directory.get(queue.pop())
            following = [each for each in (crate.leads if crate else ()) if each not in seen]
            seen.update(dict.fromkeys(following))
            queue += following
        return tuple(crate for crate in self.crates if crate.directory in seen and crate.directory != directory)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What `.cargo/config.toml` says that a build must know."""

    file: str | None = None
    target: str | None = None
    """The triple that is compiled for, where it is not the machine's own."""
    vendored: tuple[str, ...] = ()
    """Directories that stand in for registries."""


class _Lead(msgspec.Struct, frozen=True, kw_only=True):
    """A directory in which there must be a package."""

    path: str
    said_in: str
    base: str = ""
    """The directory that the path is relative to."""
    certain: bool = True
    member: bool = False


class _NotHereError(LangError):
    """A package is not where a manifest says that it is; which is no reason not to say what the app is."""


@once
def read(files: AppFiles) -> Workspace | None:
    """The app's packages, or None without a Cargo.toml.

    Raises:
        LangError: a manifest cannot be understood.
    """
    root = _parse(files, "")
    if root is None:
        return None
    workspace = root.workspace or _Workspace()
    crates: dict[str, Crate] = {}
    broken: LangError | None = None
    pending = [_Lead(path="", said_in=FILE), *_members(files, workspace)]
    paths: list[str] = []
    while pending:
        # What is certain goes first, so that whatever leads to a package surely has been seen.
        lead = pending.pop(next((index for index, each in enumerate(pending) if each.certain), 0))
        try:
            directory = _beneath(lead.base, lead.path, lead.said_in)
            raw = _there(files, directory, root, lead)
        except _NotHereError as error:
            broken = broken or error
            continue
        if lead.member:
            paths.append(directory)
        if directory in crates:
            continue
        crate = _crate(files, raw, directory, workspace, certain=lead.certain)
        leads = tuple(_leads(raw, directory, workspace, certain=lead.certain))
        if crate is not None:
            crates[directory] = msgspec.structs.replace(crate, leads=tuple(_places(leads)))
        if len(crates) > _MAX_CRATES:
            raise LangError(f"more than {_MAX_CRATES} packages", file=FILE, hint="Build them in parts.")
        pending += leads
    virtual = "" not in crates
    said = {_plain(path) for path in workspace.default_members}
    defaults = [path for path in paths if any(_matches(path, pattern) for pattern in said)]
    return Workspace(
        crates=tuple(crates.values()),
        virtual=virtual,
        defaults=frozenset(defaults or (paths if virtual else [""])),
        broken=broken,
    )


def _places(leads: Iterable[_Lead]) -> Iterable[str]:
    for lead in leads:
        with suppress(_NotHereError):
            yield _beneath(lead.base, lead.path, lead.said_in)


def _there(files: AppFiles, directory: str, root: _Raw, lead: _Lead) -> _Raw:
    raw = root if not directory else _parse(files, directory)
    if raw is None:
        raise _NotHereError(
            f"leads to {directory[:80]!r}, where there is no {FILE}",
            file=lead.said_in,
            hint="Correct the path, or take it out.",
        )
    return raw


def read_config(files: AppFiles) -> Config:
    """What the app says to Cargo itself.

    Raises:
        LangError: the file cannot be understood, or compiles for several targets.
    """
    file = files.first(*CONFIGS)
    if file is None:
        return Config()
    raw = documents.toml_as(files.read_text(file) or "", _Config, file)
    targets = [raw.build.target] if isinstance(raw.build.target, str) else raw.build.target or []
    if len(targets) > 1:
        raise LangError("build.target names several targets", file=file, hint="Name the one that the image needs.")
    stated = [path for source in raw.source.values() for path in (source.directory, source.local_registry) if path]
    # Paths of the configuration are read from the directory that holds `.cargo`.
    vendored = tuple(dict.fromkeys(_beneath("", path, file) for path in stated))
    return Config(file=file, target=next(iter(targets), None), vendored=vendored)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A package in a workspace above it."""

    root: AppFiles
    path: str
    """Its directory, from the root."""

    @property
    def manifest(self) -> str:
        """The root's Cargo.toml, from the package's directory."""
        return posixpath.join(posixpath.relpath(".", self.path), FILE)


@once
def member_of(files: AppFiles) -> Member | None:
    """The workspace above the app that has it as a member.

    Raises:
        LangError: a manifest above cannot be understood.
    """
    for above in files.enclosing:
        workspace = _workspace(above)
        if workspace is None:
            continue
        path = files.root.relative_to(above.root).as_posix()
        excluded = any(path == _plain(each) or path.startswith(f"{_plain(each)}/") for each in workspace.exclude)
        if not excluded:
            # A package below a workspace's root that is no member of it is refused by Cargo itself.
            return Member(root=above, path=path)
    return None


@once
def _workspace(files: AppFiles) -> _Workspace | None:
    raw = _parse(files, "") if files.exists(FILE) else None
    return raw.workspace if raw else None


def _parse(files: AppFiles, directory: str) -> _Raw | None:
    file = posixpath.join(directory, FILE)
    text = files.read_text(file)
    return None if text is None else documents.toml_as(text, _Raw, file)


def _members(files: AppFiles, workspace: _Workspace) -> list[_Lead]:
    """The members' directories, patterns resolved."""
    found: dict[str, None] = {}
    for member in workspace.members:
        if not _is_pattern(member):
            found[_plain(member)] = None
            continue
        for manifest in files.listing:
            directory, _, name = manifest.rpartition("/")
            if name == FILE and directory and _matches(directory, member):
                found[directory] = None
    excluded = {".", *map(_plain, workspace.exclude)}
    return [_Lead(path=path, said_in=FILE, member=True) for path in found if path not in excluded]


def _is_pattern(path: str) -> bool:
    return any(character in path for character in "*?[")


def _matches(directory: str, pattern: str) -> bool:
    parts = _plain(pattern)
    return fnmatch.fnmatchcase(directory, parts) and ("**" in parts or directory.count("/") == parts.count("/"))


def _plain(path: str) -> str:
    return posixpath.normpath(path)


def _leads(raw: _Raw, directory: str, workspace: _Workspace, *, certain: bool) -> Iterable[_Lead]:
    """Where a manifest leads to by path."""
    sure: list[Mapping[str, object]] = [raw.dependencies, raw.build_dependencies]
    doubtful: list[Mapping[str, object]] = [raw.replace, *raw.patch.values()]
    (sure if certain else doubtful).append(raw.dev_dependencies)
    for conditional in raw.target.values():
        if isinstance(conditional, dict):
            values = cast("dict[str, object]", conditional).values()
            sure += [cast("dict[str, object]", table) for table in values if isinstance(table, dict)]
    file = posixpath.join(directory, FILE)
    for tables, surely in ((sure, certain), (doubtful, False)):
        for name, entry in ((name, entry) for table in tables for name, entry in table.items()):
            path = _key(entry, "path", str)
            if path is not None:
                yield _Lead(path=path, base=directory, said_in=file, certain=surely)
            elif _key(entry, "workspace", bool):
                shared = _key(workspace.dependencies.get(name), "path", str)
                if shared is not None:
                    yield _Lead(path=shared, said_in=FILE, certain=surely)


def _key(entry: object, name: str, expected: type[_T]) -> _T | None:
    found = cast("dict[str, object]", entry).get(name) if isinstance(entry, dict) else None
    return found if isinstance(found, expected) else None


def _beneath(directory: str, path: str, file: str) -> str:
    """A path that a file of `directory` states, from the app's directory."""
    joined = posixpath.normpath(posixpath.join(directory, path))
    if posixpath.isabs(path) or joined == ".." or joined.startswith("../"):
        raise _NotHereError(
            f"{path[:80]!r} lies outside of the app's directory, which is all that its build sees",
            file=file,
            hint="Build from the directory that holds both: it is the app then.",
        )
    return "" if joined == "." else joined


def _crate(files: AppFiles, raw: _Raw, directory: str, workspace: _Workspace, *, certain: bool) -> Crate | None:
    package = raw.package or raw.project
    file = posixpath.join(directory, FILE)
    if package is None:
        if raw.workspace is None:
            raise LangError("has neither [package] nor [workspace]", file=file, hint="Run `cargo init`.")
        return None
    if not package.name:
        raise LangError("package.name is missing", file=file, hint="Give the package a name.")
    stated = package.rust_version
    inherited = workspace.package.rust_version if isinstance(stated, _Inherited) else stated
    return Crate(
        directory=directory,
        name=package.name,
        binaries=tuple(_binaries(files, raw, package, directory)),
        library=_library(files, raw, package, directory),
        programs=tuple(_programs(files, raw, package, directory)),
        rust_version=inherited,
        default_run=package.default_run,
        dependencies=frozenset(raw.dependencies),
        certain=certain,
    )


def _library(files: AppFiles, raw: _Raw, package: _Package, directory: str) -> str | None:
    if raw.lib is not None:
        return _source(directory, raw.lib.path or "src/lib.rs")
    usual = posixpath.join(directory, "src/lib.rs")
    return usual if package.autolib and files.exists(usual) else None


def _binaries(files: AppFiles, raw: _Raw, package: _Package, directory: str) -> Iterable[Binary]:
    owner = package.name or ""
    named = {target.name: target for target in raw.bin if target.name}
    usual = dict(_usual_binaries(files, directory, owner)) if package.autobins or named else {}
    for name, target in named.items():
        path = _source(directory, target.path) if target.path else usual.get(name)
        # `[[bin]]` without a path may also mean src/main.rs, where it is the only one.
        path = path or _source(directory, "src/main.rs")
        yield Binary(name=name, package=owner, path=path, features=tuple(target.required_features))
    taken = {_source(directory, target.path) for target in named.values() if target.path}
    if package.autobins:
        for name, path in usual.items():
            if name not in named and path not in taken:
                yield Binary(name=name, package=owner, path=path)


def _usual_binaries(files: AppFiles, directory: str, owner: str) -> Iterable[tuple[str, str]]:
    main = posixpath.join(directory, "src/main.rs")
    if files.exists(main):
        yield owner, main
    below = posixpath.join(directory, "src/bin")
    if not files.has_directory(below):
        return
    prefix = f"{below}/"
    for file in files.listing:
        if file.startswith(prefix):
            rest = file[len(prefix) :]
            if rest.endswith(".rs") and "/" not in rest:
                yield rest.removesuffix(".rs"), file
            elif rest.count("/") == 1 and rest.endswith("/main.rs"):
                yield rest.partition("/")[0], file


def _programs(files: AppFiles, raw: _Raw, package: _Package, directory: str) -> Iterable[str]:
    scripts = [package.build] if isinstance(package.build, str) else package.build
    if isinstance(scripts, list):
        yield from (_source(directory, path) for path in scripts)
    elif package.build is not False and files.exists(posixpath.join(directory, "build.rs")):
        yield _source(directory, "build.rs")
    for kind, folder in _OTHERS:
        for target in cast("list[_Target]", getattr(raw, kind)):
            if target.path:
                yield _source(directory, target.path)
            elif target.name:
                nested = f"{folder}/{target.name}/main.rs"
                single = f"{folder}/{target.name}.rs"
                yield _source(directory, nested if files.exists(posixpath.join(directory, nested)) else single)


def _source(directory: str, path: str) -> str:
    """A target's source file, from the app's directory; Cargo lets it lie anywhere in the app."""
    return _beneath(directory, path, posixpath.join(directory, FILE))
