"""What in a package of JavaScript starts and serves: its scripts, its entry point, its dependencies.

Node.js and Bun read the same package.json and start the same things; they differ in the names of entry points.
"""

import functools
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from langs import base, commands, packagejson, procfile
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.model import Evidence
from langs.packagejson import PackageJson

Groups: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Directories, each with what is copied to it."""

SERVER_FRAMEWORKS: Final = frozenset(
    {"@hapi/hapi", "@hono/node-server", "@nestjs/core", "elysia", "express", "fastify", "h3", "hono", "koa", "next"}
    | {"nuxt", "polka", "restify", "sails", "socket.io", "ws"}
)

_SERVES: Final = re.compile(r"\.listen\s*\(|\bcreateServer\b|\bserve\s*\(")
_IMPORTS: Final = re.compile(r"\brequire\s*\(|\bimport\b")
_WATCHERS: Final = frozenset(
    {"jest", "rollup", "start-storybook", "storybook", "tsc", "tsdx", "tsup", "vitest"}
    | {"electron", "electron-forge", "expo", "react-native"}
)
"""What a `start` script runs while somebody works on a library, or what starts on a desk or a phone."""
_DEVELOPERS: Final = frozenset({"nest", "nodemon", "ts-node-dev"})
"""Programs of a `start` script that compile and watch; `start:prod` beside them is what production runs."""
_DEVELOPMENT_SERVERS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("nodemon", "parcel", "react-scripts", "ts-node-dev", "vite", "webpack-dev-server"), frozenset()),
    **dict.fromkeys(("astro", "next", "nuxi", "nuxt"), frozenset({"dev"})),
    **dict.fromkeys(("ng", "webpack"), frozenset({"serve"})),
}
"""Servers for development, with the words of which one makes them that; none, where they are nothing else."""
_GENERATORS: Final = frozenset({"prisma", "@prisma/client"})
_BELOW: Final = ("server", "index", "app", "main")
"""Names of entry points in `src`, without what they end in."""


def starts(
    files: AppFiles, package: PackageJson | None, *, entries: Iterable[str], programs: Iterable[str], runtime: str
) -> Evidence | None:
    """What shows that something here starts and serves.

    Args:
        files: the app's.
        package: its package.json.
        entries: the names of entry points, the likeliest first.
        programs: what the Procfile's `web` runs when it speaks for the runtime.
        runtime: what it is called.
    """
    script = package.scripts.get("start") if package else None
    if package and script and commands.program(script) not in _WATCHERS and _runs_something(files, package, script):
        return Evidence(file=packagejson.FILE, reason="scripts.start")
    web = [process for process in procfile.read(files) if process.name == base.WEB]
    if web and commands.program(web[0].command) in programs:
        return Evidence(file=procfile.FILE, reason=f"web runs {runtime}")
    main = main_file(files, package, entries)
    if main is None:
        return None
    if package and not package.library and SERVER_FRAMEWORKS & package.dependencies.keys():
        return Evidence(file=main, reason="the entry of a package that depends on a server framework")
    if _SERVES.search(text_of(files, main)):
        return Evidence(file=main, reason="it serves")
    return None


def main_file(files: AppFiles, package: PackageJson | None, entries: Iterable[str]) -> str | None:
    """The entry point: what `main` or `module` names, or the first of `entries` that is there."""
    candidates: list[str] = []
    for said in (package.main, package.module) if package else ():
        if said and packagejson.beneath(said):
            named = posixpath.normpath(said)
            candidates += [named, f"{named}.js", posixpath.join(named, "index.js")]
    return files.first(*candidates, *_places(tuple(entries)))


@functools.lru_cache(maxsize=8)  # as many as there are lists of entries
def _places(entries: tuple[str, ...]) -> tuple[str, ...]:
    endings = dict.fromkeys(posixpath.splitext(entry)[1] for entry in entries)
    return (*entries, *(f"src/{name}{ending}" for ending in endings for name in _BELOW))


def default_start(package: PackageJson, *, manager: str, run: str, main: str | None) -> str | None:
    """What starts the app where nobody said it: the `start` script, or the entry point.

    Args:
        package: the app's package.json.
        manager: the program that runs scripts; what it stands for is put in its place later.
        run: the program that runs the entry point.
        main: the entry point.
    """
    if "start:prod" in package.scripts and commands.program(package.scripts.get("start", "")) in _DEVELOPERS:
        return f"{manager} run start:prod"
    if "start" in package.scripts:
        return f"{manager} run start"
    return None if main is None else f"{run} {require_plain_name(main).replace(' ', chr(92) + ' ')}"


def development_tool(package: PackageJson, command: str) -> str | None:
    """The devDependency without which the start command finds no program."""
    name = commands.program(command)
    alone = name in package.dev_dependencies and name not in package.dependencies
    return name if alone else None


def development_server(command: str) -> str | None:
    """The server for development that a command starts: one that compiles while it runs."""
    name = commands.program(command)
    words = _DEVELOPMENT_SERVERS.get(name)
    if words is None or (words and words.isdisjoint(command.split())):
        return None
    return None if name == "vite" and "preview" in command.split() else name


def generates(package: PackageJson) -> bool:
    """Whether the app's build writes into the installed tree."""
    return bool(_GENERATORS & package.everything.keys())


def schemas(files: AppFiles, package: PackageJson) -> tuple[str, ...]:
    """The files of Prisma that its client's installation reads."""
    if not generates(package):
        return ()
    said = package.schema if package.schema and packagejson.beneath(package.schema) else None
    schema = files.first(*((posixpath.normpath(said),) if said else ()), "prisma/schema.prisma", "schema.prisma")
    return tuple(file for file in (schema, files.first("prisma.config.ts", "prisma.config.js")) if file)


def text_of(files: AppFiles, file: str) -> str:
    """A source's text; a source that cannot be read is no evidence."""
    try:
        return files.read_text(file) or ""
    except LangError:
        return ""


def groups(files: AppFiles, names: Iterable[str | None], directories: Iterable[str]) -> Groups:
    """Those of the files and directories that are there, by the directory they are copied to.

    Raises:
        LangError: one has a name that cannot stand in a Dockerfile.
    """
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if name and packagejson.beneath(name) and files.exists(name):
            directory = posixpath.dirname(posixpath.normpath(name))
            found.setdefault(f"./{directory}/" if directory else "./", []).append(posixpath.normpath(name))
    for directory in dict.fromkeys(directories):
        if files.has_directory(directory):
            found[f"./{directory}/"] = [directory]
    return tuple((target, tuple(sources)) for target, sources in found.items())


def _runs_something(files: AppFiles, package: PackageJson, script: str) -> bool:
    """False for a `start` whose only file neither imports nor serves anything, in a package without dependencies."""
    words = script.split()
    if package.dependencies or package.dev_dependencies or "build" in package.scripts or words[:1] != ["node"]:
        return True
    file = words[-1] if len(words) > 1 else ""
    text = text_of(files, file) if packagejson.beneath(file) else ""
    return bool(_SERVES.search(text) or _IMPORTS.search(text))
