"""Workspaces: what pnpm-workspace.yaml says, which directory is the root of one, who is a member, and what it needs.

An app that is a member is built from the workspace's root. Its build gets the sources of the members that it depends on
and of nobody else, and all that an installation reads: the root's manifest and lockfile, and the manifests of all
members. So the lockfile is obeyed, a neighbour's name is never asked of a registry, and the apps of one workspace have
their installation in common. A member whose own scripts run at installation, and would miss the sources, is left out
of it where nobody needs it.

A tool that runs tasks (`noderunners`) may know of more that a member needs: other members, and files of the root.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from langs import nodeentry, packagejson, workspace, yamltext
from langs.errors import LangError
from langs.files import AppFiles, is_plain_name, once
from langs.packagejson import PackageJson

if TYPE_CHECKING:
    from langs.noderunners import Runner

FILE: Final = "pnpm-workspace.yaml"
LOCKS: Final = (
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
)
"""Whoever has one of its own is installed alone."""
CONFIGURATION: Final = (
    "*.config.[cm]js",
    "*.config.js",
    "*.config.json",
    "*.config.ts",
    ".babelrc*",
    ".browserslistrc",
    ".swcrc",
    "jsconfig*.json",
    "lerna.json",
    "nx.json",
    "tsconfig*.json",
    "turbo.json",
)
"""What members read of the root when they are built: the files that theirs extend."""

_OLD: Final = frozenset({"packages", "catalog", "catalogs"})
"""What pnpm 9 knows in pnpm-workspace.yaml; whoever writes more uses a later one."""


_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_MAX_PATTERNS: Final = 64
_LOCAL: Final = frozenset({"file", "link", "portal"})
_RUNNERS: Final = frozenset({"@moonrepo/cli", "nx", "turbo"})
"""The packages of the tools that run tasks."""


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """What pnpm-workspace.yaml says."""

    packages: tuple[str, ...] = ()
    """The members' patterns, but for the root itself."""
    patches: tuple[str, ...] = ()
    recent: bool = False
    """Whether it holds settings that only pnpm 10 and later read."""


@once
def read(files: AppFiles) -> Workspace | None:
    """pnpm-workspace.yaml, or None without one.

    Raises:
        LangError: it is no YAML.
    """
    text = files.read_text(FILE)
    if text is None:
        return None
    said = yamltext.load(text, FILE)
    if not isinstance(said, dict):
        return Workspace()
    packages, patched = said.get("packages"), said.get("patchedDependencies")
    return Workspace(
        packages=tuple(each for each in packages if isinstance(each, str) and each.strip("./"))
        if isinstance(packages, list)
        else (),
        patches=tuple(each for each in patched.values() if isinstance(each, str)) if isinstance(patched, dict) else (),
        recent=not said.keys() <= _OLD,
    )


def is_root(files: AppFiles, package: PackageJson | None) -> bool:
    """Whether this directory is the root of a workspace.

    Raises:
        LangError: as `read`.
    """
    if package is not None and package.workspaces:
        return True
    said = read(files)
    return said is not None and bool(said.packages)


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An app in a workspace."""

    root: AppFiles
    manifest: PackageJson
    """The root's."""
    path: str
    """The app's directory, from the root, as all paths here."""
    needed: Mapping[str, PackageJson]
    """The members that the app is made of, itself left out; each behind those that it depends on itself."""
    others: Mapping[str, PackageJson]
    """The rest."""
    wanted: tuple[str, ...]
    """What is asked of the workspace and is not in it."""
    runner: "Runner | None" = None
    """The tool that runs tasks in it."""

    @property
    def unfit(self) -> tuple[str, ...]:
        """Other members whose own scripts would run at installation, and miss their sources."""
        return tuple(path for path, package in self.others.items() if package.patchers)

    @property
    def gone(self) -> tuple[str, ...]:
        """What is there of other members, and has no place in the image."""
        around = {above for kept in (self.path, *self.needed) for above in workspace.ancestors(kept)}
        found: list[str] = []
        for path in self.others:
            found += [f"{path}/{packagejson.FILE}", f"{path}/node_modules"] if path in around else [path]
        return tuple(found)

    @property
    def scripts(self) -> tuple[str, ...]:
        """The scripts of those that the app is made of which run at installation."""
        return tuple(name for package in (self.manifest, *self.needed.values()) for name in package.install_scripts)

    @property
    def programs(self) -> tuple[str, ...]:
        """The members that the app is made of which bring programs: nobody links one that is not there yet."""
        return tuple(path for path, package in self.needed.items() if package.programs)

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """Variables of all steps, for the tool that runs tasks."""
        return self.runner.tool.ENVIRONMENT if self.runner else ()

    @property
    def context(self) -> str:
        """The way from the app's directory to the root."""
        return posixpath.relpath(".", self.path)

    @property
    def built(self) -> tuple[str, ...]:
        """The members that the app is made of which have something to build, in the order in which it is done."""
        return tuple(path for path, package in self.needed.items() if "build" in package.scripts)

    def check(self) -> None:
        """Whether all that is asked of the workspace is there.

        Raises:
            LangError: it is not.
        """
        for name in self.wanted:
            raise workspace.no_neighbour(name, packagejson.FILE)

    def reads(self, files: AppFiles, package: PackageJson, *, everyone: bool) -> nodeentry.Groups:
        """What an installation reads of members, grouped by the directory it goes to.

        Args:
            files: the app's.
            package: its manifest.
            everyone: whether it also reads the manifests of those that it could do without.
        """
        known = _manifests(self.root)
        without = frozenset(() if everyone else self.unfit)
        found = [group for path, group in known.items() if path not in without]
        # Those who are no members, and are depended on by their paths.
        found += [_group(path) for path in self.needed if path not in known]
        schemas = (posixpath.join(self.path, schema) for schema in nodeentry.schemas(files, package))
        patched = ((self.path, package), *self.needed.items())
        patches = (f"{path}/patches" for path, each in patched if each.patchers)
        return (*found, *nodeentry.groups(self.root, schemas, patches))

    def place(self, files: Iterable[str]) -> workspace.Place:
        """Where the app stands.

        Args:
            files: what an installation reads.

        Raises:
            LangError: a directory's name cannot stand in a Dockerfile.
        """
        return workspace.place(
            self.path,
            self.needed,
            files=(*files, *_configuration(self.root), *_run(self.root), *self._hidden()),
            members=(*self.needed, *self.others),
        )

    def _hidden(self) -> tuple[str, ...]:
        """What tasks read beside the members."""
        if self.runner is None:
            return ()
        places, graph = (self.path, *self.needed), self.runner.graph
        scripts = (self.manifest.scripts.get(name, "") for name in graph.of_root(places))
        return (*graph.hidden(self.root, places), *_named_in(self.root, scripts))


@once
def member_of(files: AppFiles) -> Member | None:
    """The nearest workspace around the app that it is a member of, unless it has a lockfile of its own.

    Raises:
        LangError: a manifest around the app cannot be understood.
    """
    if not files.enclosing or files.first(*LOCKS):
        return None
    for root in files.enclosing:
        members = _members(root)
        path = files.root.relative_to(root.root).as_posix()
        if path not in members:
            continue
        manifest = packagejson.read(root) or PackageJson()
        runner = _runner(root)
        needed, wanted = _needed(root, members, path, manifest, runner)
        return Member(
            root=root,
            manifest=manifest,
            path=path,
            needed=needed,
            others={each: package for each, package in members.items() if each not in needed and each != path},
            wanted=wanted,
            runner=runner,
        )
    return None


@once
def _runner(root: AppFiles) -> "Runner | None":
    """The tool that runs tasks in the workspace, for all its apps."""
    manifest = packagejson.read(root) or PackageJson()
    if _RUNNERS.isdisjoint(manifest.everything):
        return None
    from langs import noderunners  # noqa: PLC0415  (start-up counts: most workspaces have none)

    return noderunners.of(root, manifest, _members(root))


@once
def _members(root: AppFiles) -> Mapping[str, PackageJson]:
    """The members' directories, sorted, with their manifests; one that cannot be read is nobody's neighbour."""
    package, said = packagejson.read(root), read(root)
    patterns = (*(package.workspaces if package else ()), *(said.packages if said else ()))
    taken = [pattern for pattern in patterns if not pattern.startswith("!")]
    if not taken:
        return {}
    places = {path for pattern in taken for each in _expanded(pattern) for path in root.directories(each)}
    found: dict[str, PackageJson] = {}
    for path in sorted(places - _refused(patterns, places)):
        if not is_plain_name(path):
            continue
        try:
            manifest = packagejson.read(root.below_at(path))
        except LangError:
            continue
        if manifest is not None:
            found[path] = manifest
    return found


@once
def _manifests(root: AppFiles) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """The members' manifests, in an order that is the same for all apps."""
    return {path: _group(path) for path in _members(root)}


def _group(path: str) -> tuple[str, tuple[str, ...]]:
    return f"./{path}/", (f"{path}/{packagejson.FILE}",)


@once
def _configuration(root: AppFiles) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for pattern in CONFIGURATION for path in root.glob(pattern) if is_plain_name(path)))


@once
def _run(root: AppFiles) -> tuple[str, ...]:
    """The files that the root's scripts at installation run, each with what lies beside it."""
    package = packagejson.read(root)
    return _named_in(root, (package.scripts[name] for name in package.patchers)) if package else ()


def _named_in(root: AppFiles, scripts: Iterable[str]) -> tuple[str, ...]:
    """The files that scripts of the root name, each with what lies beside it."""
    words = [word for script in scripts for word in script.split()]
    paths = [posixpath.normpath(word) for word in words if "/" in word or "." in word]
    found = (posixpath.dirname(path) or path for path in paths if packagejson.beneath(path) and root.exists(path))
    return tuple(dict.fromkeys(path for path in found if is_plain_name(path)))


def _expanded(pattern: str) -> tuple[str, ...]:
    """A pattern for each choice in braces."""
    patterns = [pattern]
    while len(patterns) < _MAX_PATTERNS and (match := _BRACES.search(patterns[0])):
        first = patterns.pop(0)
        patterns += [f"{first[: match.start()]}{choice}{first[match.end() :]}" for choice in match[1].split(",")]
    return tuple(patterns)


def _refused(patterns: Iterable[str], paths: Iterable[str]) -> set[str]:
    refused = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    if not refused:
        return set()
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  (few workspaces leave something out)

    lines = [each if each.startswith("**/") else f"/{each.removeprefix('./').lstrip('/')}" for each in refused]
    try:
        matching = GitIgnoreSpec.from_lines(lines)
    except ValueError:  # a pattern that nobody understands
        return set()
    return {path for path in paths if matching.match_file(f"{path}/")}


def _needed(
    root: AppFiles,
    members: Mapping[str, PackageJson],
    path: str,
    manifest: PackageJson,
    runner: "Runner | None",
) -> tuple[Mapping[str, PackageJson], tuple[str, ...]]:
    """What the app at `path` is made of, dependencies first, and what is asked of the workspace in vain."""
    by_name = {package.name: each for each, package in members.items() if package.name}
    read: dict[str, PackageJson] = {".": manifest, path: members[path]}
    found: dict[str, PackageJson] = {}
    missing: list[str] = []

    def edges(place: str) -> Iterator[str]:
        beside = runner.graph.beside(place) if runner else ()
        for sibling in (*_siblings(by_name, place, read[place], missing), *beside):
            if sibling not in read and workspace.is_inside(sibling):
                package = members.get(sibling) or (_outsider(root, sibling) if root.has_directory(sibling) else None)
                if package is not None:
                    read[sibling] = package
                    yield sibling

    # Depth first and without recursion: a chain of a thousand packages is no reason to fail.
    stack = [(".", edges(".")), (path, edges(path))]
    while stack:
        place, following = stack[-1]
        edge = next(following, None)
        if edge is not None:
            stack.append((edge, edges(edge)))
            continue
        stack.pop()
        if place not in {".", path}:
            found[place] = read[place]
    return found, tuple(missing)


def _siblings(by_name: Mapping[str, str], place: str, package: PackageJson, missing: list[str]) -> Iterator[str]:
    """The directories that a manifest's dependencies mean; what is asked of the workspace in vain becomes `missing`."""
    for name, wanted in package.links.items():
        sibling = _sibling(by_name, place, name, wanted)
        if sibling is not None:
            yield sibling
        elif wanted.startswith("workspace:"):
            missing.append(name)


def _outsider(root: AppFiles, path: str) -> PackageJson | None:
    """A directory that somebody depends on by its path, and that is no member."""
    return packagejson.read(root.at(path))


def _sibling(by_name: Mapping[str, str], place: str, name: str, wanted: str) -> str | None:
    """The directory that a dependency means, when it means one of the workspace."""
    scheme, colon, rest = wanted.partition(":")
    if colon and scheme in _LOCAL:
        return posixpath.normpath(posixpath.join(place, rest.removeprefix("//")))
    if wanted.startswith(("./", "../")):
        return posixpath.normpath(posixpath.join(place, wanted))
    if scheme == "workspace" and colon:
        if rest.startswith(("./", "../")):
            return posixpath.normpath(posixpath.join(place, rest))
        alias = rest.rpartition("@")[0]
        # Yarn names members by their directories, too.
        return by_name.get(alias or name) or (rest if rest in by_name.values() else None)
    return None if colon or "/" in wanted else by_name.get(name)
