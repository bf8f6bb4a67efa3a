"""What in a package of JavaScript starts and serves: its scripts, its entry point, its dependencies.

Node.js and Bun read the same package.json and start the same things; they differ in the names of entry points.
"""

import functools
import posixpath
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from langs import base, commands, frameworks, packagejson, procfile, sites
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
_GENERATORS: Final = frozenset({"prisma", "@prisma/client"})
_PRODUCTION: Final = ("start:prod", "start:production")
_BUILT: Final = (".js", ".mjs", ".cjs")
_SOURCES: Final = ("server.ts", "index.ts", "app.ts", "main.ts")
"""Entry points that a loader runs."""
_ACTIONS: Final = ("action.yml", "action.yaml")
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
    said = _said(files, package) if package else None
    if said:
        return Evidence(file=packagejson.FILE, reason=said)
    web = [process for process in procfile.read(files) if process.name == base.WEB]
    if web and commands.program(web[0].command) in programs:
        return Evidence(file=procfile.FILE, reason=f"web runs {runtime}")
    main = main_file(files, package, entries)
    # The workflows of GitHub run such a package: what it bundles serves nothing.
    if main is None or files.first(*_ACTIONS):
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
    found = files.first(*candidates, *_places(tuple(entries)))
    if found is not None or package is None or package.library or not SERVER_FRAMEWORKS & package.dependencies.keys():
        return found
    if candidates and "build" in package.scripts and candidates[0].endswith(_BUILT):
        return candidates[0]
    return files.first(*_places(_SOURCES)) if _loader(package) else None


@functools.lru_cache(maxsize=8)  # as many as there are lists of entries
def _places(entries: tuple[str, ...]) -> tuple[str, ...]:
    endings = dict.fromkeys(posixpath.splitext(entry)[1] for entry in entries)
    return (*entries, *(f"src/{name}{ending}" for ending in endings for name in _BELOW))


def default_start(files: AppFiles, package: PackageJson, *, manager: str, run: str, main: str | None) -> str | None:
    """What starts the app where nobody said it: the `start` script, the server that a build makes, or the entry point.

    Args:
        files: the app's.
        package: the app's package.json.
        manager: the program that runs scripts; what it stands for is put in its place later.
        run: the program that runs the entry point.
        main: the entry point.
    """
    script = _script(package)
    if script is not None:
        shown = sites.shown_by(package, script)
        if shown and frameworks.unfit(package):
            return None
        return (sites.instead(files, package) if shown else None) or f"{manager} run {script}"
    server = sites.server(files, package)
    if server is not None or main is None:
        return server
    program = (_loader(package) or run) if run == "node" and main.endswith(".ts") else run
    return f"{program} {require_plain_name(main).replace(' ', chr(92) + ' ')}"


def lacking(package: PackageJson) -> LangError | None:
    """Why nothing starts the app, where that is known."""
    found = frameworks.unfit(package)
    if found is None:
        return None
    return LangError(
        f"{found.package} makes nothing that starts in an image",
        file=packagejson.FILE,
        hint=f"Install {found.choice} and name it in the configuration, or set {base.RUN_SETTING}.",
    )


def _script(package: PackageJson) -> str | None:
    """The name of the script that starts the app in production."""
    start = package.scripts.get("start", "")
    production = next((name for name in _PRODUCTION if name in package.scripts), None)
    if production and (not start or commands.program(start) in _DEVELOPERS):
        return production
    rendered = sites.server_script(package)
    if rendered and (not start or sites.development_server(start)):
        return rendered
    return "start" if start else None


def _loader(package: PackageJson) -> str | None:
    """The program that runs sources in TypeScript as they are."""
    return next((name for name in ("tsx", "ts-node") if name in package.everything), None)


def development_tool(package: PackageJson, command: str) -> str | None:
    """The devDependency without which the start command finds no program."""
    name = commands.program(command)
    alone = name in package.dev_dependencies and name not in package.dependencies
    return name if alone else None


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


def _said(files: AppFiles, package: PackageJson) -> str | None:
    """What of a package.json says that something is started."""
    name = _script(package)
    script = package.scripts.get(name or "", "")
    starts = script and commands.program(script) not in _WATCHERS and _runs_something(files, package, script)
    if starts and not sites.maker(files, package):
        return f"scripts.{name}"
    if not script and frameworks.unfit(package):
        return "its build makes what an adapter says"
    return "its build makes a server" if not script and sites.server(files, package) else None


def _runs_something(files: AppFiles, package: PackageJson, script: str) -> bool:
    """False for a `start` whose only file neither imports nor serves anything, in a package without dependencies."""
    words = script.split()
    if package.dependencies or package.dev_dependencies or "build" in package.scripts or words[:1] != ["node"]:
        return True
    file = words[-1] if len(words) > 1 else ""
    text = text_of(files, file) if packagejson.beneath(file) else ""
    return bool(_SERVES.search(text) or _IMPORTS.search(text))
