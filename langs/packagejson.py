"""package.json: the parts of it that decide something, checked; and where it leads to."""

import posixpath
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from langs import documents, json5
from langs.errors import LangError
from langs.files import AppFiles, once

FILE: Final = "package.json"
JSON5: Final = "package.json5"
"""What pnpm alone reads, where the other is not there."""

_LIFECYCLE: Final = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_HOOKS: Final = frozenset(
    {"husky", "husky install", "husky || true", "nuxi prepare", "nuxt prepare"}
    | {"svelte-kit sync", "svelte-kit sync || echo ''", 'svelte-kit sync || echo ""'}
)
"""Scripts that set up the developer's clone, and nothing in an image: git's hooks, and types for an editor, which a
build makes again."""
_NEEDS_NO_SOURCE: Final = _HOOKS | {"patch-package"}


class Tools(msgspec.Struct, frozen=True):
    """Versions by the name of a tool; Volta's also knows `extends`, which is a path."""

    node: str | None = None
    npm: str | None = None
    yarn: str | None = None
    pnpm: str | None = None


class Tool(msgspec.Struct, frozen=True):
    """An entry of `devEngines`."""

    name: str
    version: str | None = None


class _DevEngines(msgspec.Struct, rename="camel"):
    runtime: list[Tool] | Tool | None = None
    package_manager: list[Tool] | Tool | None = None


class _Raw(msgspec.Struct, rename="camel"):
    """package.json as npm defines it; keys whose type npm does not insist on are objects."""

    name: object = None
    main: object = None
    module: object = None
    type: object = None
    package_manager: str | None = None
    scripts: dict[str, str] | None = None
    dependencies: dict[str, str] | None = None
    optional_dependencies: dict[str, str] | None = None
    dev_dependencies: dict[str, str] | None = None
    engines: dict[str, str] | list[str] | None = None
    volta: Tools | None = None
    dev_engines: _DevEngines | None = None
    workspaces: object = None
    files: object = None
    publish_config: object = None
    peer_dependencies: object = None
    exports: object = None
    types: object = None
    bin: object = None
    prisma: object = None
    pnpm: object = None
    patched_dependencies: object = None


class PackageJson(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a package.json."""

    name: str | None = None
    main: str | None = None
    module: str | None = None
    is_module: bool = False
    """Whether its `.js` files are ECMAScript modules."""
    package_manager: str | None = None
    scripts: Mapping[str, str] = {}
    dependencies: Mapping[str, str] = {}
    """Those of production, optional ones included."""
    dev_dependencies: Mapping[str, str] = {}
    peers: Mapping[str, str] = {}
    """Those that it expects of whoever depends on it."""
    engines: Mapping[str, str] = {}
    volta: Tools = Tools()
    runtimes: tuple[Tool, ...] = ()
    """What `devEngines` says of runtimes."""
    managers: tuple[Tool, ...] = ()
    """The same of package managers."""
    workspaces: tuple[str, ...] = ()
    """The patterns of the packages that are installed together with this one."""
    library: bool = False
    """Whether it says that it is published for others to import."""
    programs: bool = False
    """Whether it brings programs for others to run."""
    schema: str | None = None
    """Where it says that Prisma's schema is."""
    patches: tuple[str, ...] = ()
    """Files that it says are applied to dependencies."""

    @property
    def everything(self) -> Mapping[str, str]:
        """All dependencies."""
        return {**self.dev_dependencies, **self.dependencies}

    @property
    def links(self) -> Mapping[str, str]:
        """Whatever may be found beside it in a workspace."""
        return {**self.peers, **self.everything}

    @property
    def node_versions(self) -> tuple[tuple[str, str], ...]:
        """What it says of Node's version: key and text, in the order in which they count."""
        stated = (
            ("volta.node", self.volta.node),
            ("engines.node", self.engines.get("node")),
            ("devEngines.runtime", next((tool.version for tool in self.runtimes if tool.name == "node"), None)),
        )
        return tuple((key, text) for key, text in stated if text)

    @property
    def install_scripts(self) -> tuple[str, ...]:
        """The scripts that run at installation and may read the app's sources."""
        return tuple(name for name in self._lifecycle if self.scripts[name].strip() not in _NEEDS_NO_SOURCE)

    @property
    def patchers(self) -> tuple[str, ...]:
        """The scripts that change what is installed."""
        return tuple(name for name in self._lifecycle if self.scripts[name].strip() not in _HOOKS)

    @property
    def hooks(self) -> tuple[str, ...]:
        """The scripts that set up the developer's clone."""
        return tuple(name for name in self._lifecycle if self.scripts[name].strip() in _HOOKS)

    @property
    def _lifecycle(self) -> tuple[str, ...]:
        return tuple(name for name in _LIFECYCLE if name in self.scripts)


@once
def read(files: AppFiles) -> PackageJson | None:
    """The app's package.json, or None without one.

    Raises:
        LangError: it is no JSON object, or a part of it has another type than npm gives it.
    """
    text = files.read_text(FILE)
    return None if text is None else parse(text)


@once
def read_json5(files: AppFiles) -> PackageJson | None:
    """The app's package.json5, where there is no package.json; or None.

    Raises:
        LangError: as `read`.
    """
    text = None if files.exists(FILE) else files.read_text(JSON5)
    if text is None:
        return None
    # Node.js itself does not read it: its `.js` files are no ECMAScript modules, whatever is said there.
    return msgspec.structs.replace(_package(json5.parse(text, _Raw, JSON5)), is_module=False)


def parse(text: str) -> PackageJson:
    """The contents of a package.json.

    Raises:
        LangError: as `read`.
    """
    return _package(documents.json_as(text, _Raw, FILE))


def _package(raw: _Raw) -> PackageJson:
    patched = {**_table(_table(raw.pnpm).get("patchedDependencies")), **_table(raw.patched_dependencies)}
    return PackageJson(
        name=_text(raw.name),
        main=_text(raw.main),
        module=_text(raw.module),
        is_module=raw.type == "module",
        package_manager=raw.package_manager,
        scripts=raw.scripts or {},
        dependencies=(raw.dependencies or {}) | (raw.optional_dependencies or {}),
        dev_dependencies=raw.dev_dependencies or {},
        peers={name: wanted for name, wanted in _table(raw.peer_dependencies).items() if isinstance(wanted, str)},
        # Ancient packages state `engines` as a list, which npm passes over.
        engines=raw.engines if isinstance(raw.engines, dict) else {},
        volta=raw.volta or Tools(),
        runtimes=_tools(raw.dev_engines.runtime if raw.dev_engines else None),
        managers=_tools(raw.dev_engines.package_manager if raw.dev_engines else None),
        workspaces=_workspaces(raw.workspaces),
        library=any((raw.files, raw.publish_config, raw.peer_dependencies, raw.exports, raw.types)),
        programs=bool(raw.bin),
        schema=_text(_table(raw.prisma).get("schema")),
        patches=tuple(path for path in patched.values() if isinstance(path, str)),
    )


def beneath(path: str) -> bool:
    """Whether `path` stays in the directory that it starts from."""
    return bool(path) and not posixpath.isabs(path) and not posixpath.normpath(path).startswith("..")


def local_dependencies(package: PackageJson, place: str = ".") -> tuple[str, ...]:
    """The dependencies which stand beside the app, in the directory that its build sees.

    Args:
        package: the app's.
        place: the app's directory in that.

    Raises:
        LangError: one lies outside of it.
    """
    found: list[str] = []
    for name, wanted in (*package.dependencies.items(), *package.dev_dependencies.items()):
        scheme, _, path = wanted.partition(":")
        relative = wanted.startswith(("./", "../", "/"))
        local = path if scheme in {"file", "link", "portal"} else wanted if relative else None
        if local is None:
            continue
        if posixpath.isabs(local) or not beneath(posixpath.join(place, local)):
            raise LangError(
                f"the dependency {name[:80]!r} lies at {local[:80]!r}, outside of the app's directory",
                file=FILE,
                hint="The build sees the app's directory only, or its workspace's: make both members of one.",
            )
        found.append(name)
    return tuple(found)


def _text(said: object) -> str | None:
    return said if isinstance(said, str) else None


def _table(said: object) -> dict[str, object]:
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}


def _tools(said: list[Tool] | Tool | None) -> tuple[Tool, ...]:
    return tuple(said) if isinstance(said, list) else (said,) if said else ()


def _workspaces(said: object) -> tuple[str, ...]:
    patterns = cast("dict[str, object]", said).get("packages") if isinstance(said, dict) else said
    if isinstance(patterns, list):
        return tuple(pattern for pattern in cast("list[object]", patterns) if isinstance(pattern, str))
    return ("**",) if patterns else ()
