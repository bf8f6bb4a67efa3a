"""package.json: the parts of it that decide something, checked; and where it leads to."""

import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from langs import commands, documents
from langs.errors import LangError
from langs.files import AppFiles

FILE: Final = "package.json"

_LIFECYCLE: Final = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_NEEDS_NO_SOURCE: Final = frozenset({"husky", "husky install", "husky || true", "patch-package"})
_RUN: Final = re.compile(r"npm (?:(start)|run(?:-script)? ([A-Za-z0-9:._-]+))(?: --silent| -s)?", re.ASCII)
_DEPTH: Final = 8


class _Volta(msgspec.Struct):
    node: str | None = None


class _Runtime(msgspec.Struct):
    name: str
    version: str | None = None


class _DevEngines(msgspec.Struct):
    runtime: list[_Runtime] | _Runtime | None = None


class _Raw(msgspec.Struct, rename="camel"):
    """package.json as npm defines it; keys whose type npm does not insist on are objects."""

    name: object = None
    main: object = None
    package_manager: str | None = None
    scripts: dict[str, str] | None = None
    dependencies: dict[str, str] | None = None
    optional_dependencies: dict[str, str] | None = None
    dev_dependencies: dict[str, str] | None = None
    engines: dict[str, str] | list[str] | None = None
    volta: _Volta | None = None
    dev_engines: _DevEngines | None = None
    workspaces: object = None
    files: object = None
    publish_config: object = None
    peer_dependencies: object = None
    exports: object = None
    types: object = None


class PackageJson(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a package.json."""

    name: str | None = None
    main: str | None = None
    package_manager: str | None = None
    scripts: Mapping[str, str] = {}
    dependencies: Mapping[str, str] = {}
    """Those of production, optional ones included."""
    dev_dependencies: Mapping[str, str] = {}
    node_versions: tuple[tuple[str, str], ...] = ()
    """What it says of Node's version: key and text, in the order in which they count."""
    workspaces: tuple[str, ...] = ()
    """The patterns of the packages that are installed together with this one."""
    library: bool = False
    """Whether it says that it is published for others to import."""

    @property
    def install_scripts(self) -> tuple[str, ...]:
        """The scripts that npm runs at installation and that may read the app's sources."""
        return tuple(
            name for name in _LIFECYCLE if name in self.scripts and self.scripts[name].strip() not in _NEEDS_NO_SOURCE
        )


def read(files: AppFiles) -> PackageJson | None:
    """The app's package.json, or None without one.

    Raises:
        LangError: it is no JSON object, or a part of it has another type than npm gives it.
    """
    text = files.read_text(FILE)
    return None if text is None else parse(text)


def parse(text: str) -> PackageJson:
    """The contents of a package.json.

    Raises:
        LangError: as `read`.
    """
    raw = documents.json_as(text, _Raw, FILE)
    return PackageJson(
        name=raw.name if isinstance(raw.name, str) else None,
        main=raw.main if isinstance(raw.main, str) else None,
        package_manager=raw.package_manager,
        scripts=raw.scripts or {},
        dependencies=(raw.dependencies or {}) | (raw.optional_dependencies or {}),
        dev_dependencies=raw.dev_dependencies or {},
        node_versions=_node_versions(raw),
        workspaces=_workspaces(raw.workspaces),
        library=any((raw.files, raw.publish_config, raw.peer_dependencies, raw.exports, raw.types)),
    )


def _workspaces(said: object) -> tuple[str, ...]:
    patterns = cast("dict[str, object]", said).get("packages") if isinstance(said, dict) else said
    if isinstance(patterns, list):
        return tuple(pattern for pattern in cast("list[object]", patterns) if isinstance(pattern, str))
    return ("**",) if patterns else ()


def expand(package: PackageJson, command: str) -> str:
    """`command` with `npm start` and `npm run NAME` replaced by the scripts they stand for.

    npm as the first process would neither forward signals well nor run on a read-only root. A `pre` script goes
    first. `cross-env` becomes `env`, which does the same on Linux and is always there.

    Raises:
        LangError: a script is missing, or scripts call each other in a circle.
    """
    for _ in range(_DEPTH):
        match = _RUN.fullmatch(command.strip())
        if match is None:
            return re.sub(r"\Across-env(?= )", "env", command.strip())
        name = match[1] or match[2]
        if name == "start" and "start" not in package.scripts:
            return "node server.js"
        if name not in package.scripts:
            raise LangError(f"the script {name!r} is not there", file=FILE, hint="Add it to `scripts`.")
        body = commands.check(package.scripts[name], key=f"scripts.{name}", file=FILE)
        before = package.scripts.get(f"pre{name}")
        # The image is built when it starts: building again would only fail on a read-only root.
        if before is not None and before.strip() != "npm run build":
            body = f"{commands.check(before, key=f'scripts.pre{name}', file=FILE)} && {body}"
        command = body
    raise LangError(f"the script of {command!r} leads back to itself", file=FILE, hint="Let it start a program.")


def _node_versions(raw: _Raw) -> tuple[tuple[str, str], ...]:
    runtime = raw.dev_engines.runtime if raw.dev_engines else None
    runtimes = runtime if isinstance(runtime, list) else [runtime] if runtime else []
    stated = (
        ("volta.node", raw.volta.node if raw.volta else None),
        # Ancient packages state `engines` as a list, which npm passes over.
        ("engines.node", raw.engines.get("node") if isinstance(raw.engines, dict) else None),
        ("devEngines.runtime", next((entry.version for entry in runtimes if entry.name == "node"), None)),
    )
    return tuple((key, text) for key, text in stated if text)
