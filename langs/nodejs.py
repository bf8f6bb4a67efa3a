"""Node.js with npm: full install, build, then only what runs.

devDependencies are there for the build and gone afterwards; `NODE_ENV=production` is therefore set in the runtime
image only. Where nothing ties the installed tree to the sources, `node_modules` is pruned in a stage of its own, so
that a change of source neither prunes again nor pushes the tree again.
"""

import posixpath
import re
from typing import Final

from langs import base, commands, packagejson, procfile, versions
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.model import AppBuild, Detection, Evidence, Process, Settings, Version
from langs.packagejson import PackageJson

NAME: Final = "nodejs"
PROGRAMS: Final = frozenset({"node", "npm", "npx", "pnpm", "yarn", "next", "nest", "tsx", "ts-node"})
VERSION_VARIABLES: Final = ("NODE_VERSION",)
MANIFESTS: Final = (packagejson.FILE, "package.json5")
ENTRY_POINTS: Final = ("server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs", "app.mjs", "main.mjs")
IMAGES: Final = ("node",)

_DEFAULT: Final = "22.16.0"
_LINE: Final = 1
_SERVER_FRAMEWORKS: Final = frozenset(
    {"@hapi/hapi", "@hono/node-server", "@nestjs/core", "express", "fastify", "h3", "koa", "next", "nuxt", "polka"}
    | {"restify", "sails", "socket.io", "ws"}
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
_MANAGERS: Final = (
    ("yarn", ("yarn.lock", ".yarnrc.yml")),
    ("pnpm", ("pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json5")),
    ("bun", ("bun.lock", "bun.lockb")),
)
_NPM_LOCKS: Final = ("package-lock.json", "npm-shrinkwrap.json")
_MANAGER_PIN: Final = re.compile(r"(npm|yarn|pnpm|bun)@([0-9]+\.[0-9]+\.[0-9]+)(?:[+-].*)?", re.ASCII)
_CREDENTIAL: Final = re.compile(r"^[^#;\n]*(?:_authToken|_auth|_password)[ \t]*=[ \t]*+(?![\"']?\$\{)\S", re.MULTILINE)
"""A credential in .npmrc that no variable stands for; possessive, so that no file makes it slow."""


def detect(files: AppFiles) -> Detection | None:
    """package.json, or a bare file that serves; an app when something there starts a server."""
    package = packagejson.read(files)
    evidence: list[Evidence] = []
    manager: str | None = None
    if package is not None or files.exists("package.json5"):
        file, manager = _manager(files, package)
        evidence.append(Evidence(file=packagejson.FILE if package else "package.json5", reason="a Node.js package"))
        if file not in {packagejson.FILE, "package.json5"}:
            evidence.append(Evidence(file=file, reason=f"locked by {manager}"))
    started = _starts(files, package)
    if started is not None:
        evidence.append(started)
    if not evidence:
        return None
    root = (package is not None and bool(package.workspaces)) or files.exists("pnpm-workspace.yaml")
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager=manager,
        is_app=not root and (started is not None or (package is None and manager is not None)),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with all dependencies, a slim runtime image with those of production.

    Raises:
        LangError: another package manager than npm, a dependency outside of the app, no start command.
    """
    package = packagejson.read(files) or PackageJson()
    file, manager = _manager(files, package)
    if manager != "npm":
        raise base.unsupported(manager, file)
    _refuse_outside(package)
    version, warnings = _version(files, settings, package)
    declared = procfile.read(files)
    start = base.start(settings, declared, _default_start(files, package))
    command = packagejson.expand(package, start.command)
    lock = files.first(*_NPM_LOCKS)
    has_manifest = files.exists(packagejson.FILE)
    if has_manifest and lock is None:
        _refuse_member(files)
        warnings += ("there is no package-lock.json: the versions installed may differ from build to build",)
    kept = _dev_tool(package, command)
    if kept:
        warnings += (f"devDependencies stay in the image: the start command runs {kept}, which is one of them",)
    sources_first = bool(package.workspaces or package.install_scripts)
    if package.install_scripts:
        names = ", ".join(package.install_scripts)
        warnings += (f"every change of source installs again: package.json runs {names} at installation",)
    generated = "prisma" in {*package.dependencies, *package.dev_dependencies}
    builder = base.image(settings, "node", version.value)
    runtime = base.image(settings, "node", f"{version.value}-slim")
    npm = base.cache(settings, "npm", "/root/.npm")
    text = base.dockerfile(
        "nodejs.Dockerfile.j2",
        settings=settings,
        command=command,
        values={
            "builder": builder,
            "runtime": runtime,
            "manifests": _manifests(files, lock),
            "npm_version": _pinned_npm(package),
            "install_command": "ci" if lock else "install",
            "has_manifest": has_manifest,
            "has_build": "build" in package.scripts,
            "prune": bool(package.dev_dependencies) and not kept,
            "sources_first": sources_first,
            "in_place": sources_first or generated,
            "npm": npm,
            "title": base.title(package.name),
        },
    )
    return AppBuild(
        language=NAME,
        version=version,
        package_manager=manager if has_manifest else None,
        dockerfile=text,
        dockerfile_path=None,
        dockerignore=base.dockerignore(files),
        start_command=command,
        processes=tuple(_expanded(package, process) for process in start.processes),
        port=settings.port,
        cache=(npm,) if has_manifest else (),
        evidence=detection.evidence,
        considered=detection.considered,
        warnings=warnings,
    )


def _manager(files: AppFiles, package: PackageJson | None) -> tuple[str, str]:
    """The package manager and the file that says so: `packageManager`, then lockfiles, then npm."""
    pin = _MANAGER_PIN.fullmatch(package.package_manager) if package and package.package_manager else None
    if pin:
        return packagejson.FILE, pin[1]
    lock = files.first(*_NPM_LOCKS)
    if lock:
        return lock, "npm"
    for manager, names in _MANAGERS:
        file = files.first(*names)
        if file:
            return file, manager
    return packagejson.FILE, "npm"


def _starts(files: AppFiles, package: PackageJson | None) -> Evidence | None:
    """What shows that something here starts and serves."""
    script = package.scripts.get("start") if package else None
    if package and script and commands.program(script) not in _WATCHERS and _runs_something(files, package, script):
        return Evidence(file=packagejson.FILE, reason="scripts.start")
    web = [process for process in procfile.read(files) if process.name == base.WEB]
    if web and commands.program(web[0].command) in PROGRAMS:
        return Evidence(file=procfile.FILE, reason="web runs Node.js")
    main = _main_file(files, package)
    if main is None:
        return None
    if package and not package.library and _SERVER_FRAMEWORKS & package.dependencies.keys():
        return Evidence(file=main, reason="the entry of a package that depends on a server framework")
    if _SERVES.search(_text_of(files, main)):
        return Evidence(file=main, reason="it serves")
    return None


def _runs_something(files: AppFiles, package: PackageJson, script: str) -> bool:
    """False for a `start` whose only file neither imports nor serves anything, in a package without dependencies."""
    words = script.split()
    if package.dependencies or package.dev_dependencies or "build" in package.scripts or words[:1] != ["node"]:
        return True
    file = words[-1] if len(words) > 1 else ""
    text = _text_of(files, file) if _is_beneath(file) else ""
    return bool(_SERVES.search(text) or _IMPORTS.search(text))


def _is_beneath(path: str) -> bool:
    return bool(path) and not posixpath.isabs(path) and not posixpath.normpath(path).startswith("..")


def _text_of(files: AppFiles, file: str) -> str:
    """A source's text; a source that cannot be read is no evidence."""
    try:
        return files.read_text(file) or ""
    except LangError:
        return ""


def _main_file(files: AppFiles, package: PackageJson | None) -> str | None:
    named = posixpath.normpath(package.main) if package and package.main and _is_beneath(package.main) else None
    candidates = (named, f"{named}.js", posixpath.join(named, "index.js")) if named else ()
    return files.first(*candidates, *ENTRY_POINTS, "src/server.js", "src/index.js", "src/app.js", "src/main.js")


def _default_start(files: AppFiles, package: PackageJson) -> str | None:
    if "start:prod" in package.scripts and commands.program(package.scripts.get("start", "")) in _DEVELOPERS:
        return "npm run start:prod"
    if "start" in package.scripts:
        return "npm start"
    main = _main_file(files, package)
    return None if main is None else f"node {require_plain_name(main).replace(' ', chr(92) + ' ')}"


def _expanded(package: PackageJson, process: Process) -> Process:
    return Process(name=process.name, command=packagejson.expand(package, process.command))


def _dev_tool(package: PackageJson, command: str) -> str | None:
    """The devDependency without which the start command finds no program."""
    name = commands.program(command)
    alone = name in package.dev_dependencies and name not in package.dependencies
    return name if alone else None


def _pinned_npm(package: PackageJson) -> str | None:
    pin = _MANAGER_PIN.fullmatch(package.package_manager) if package.package_manager else None
    return pin[2] if pin else None


def _refuse_outside(package: PackageJson) -> None:
    for name, wanted in (*package.dependencies.items(), *package.dev_dependencies.items()):
        scheme, _, path = wanted.partition(":")
        local = path if scheme in {"file", "link", "portal"} else wanted if wanted.startswith(("../", "/")) else None
        if local is not None and not _is_beneath(local):
            raise LangError(
                f"the dependency {name[:80]!r} lies at {local[:80]!r}, outside of the app's directory",
                file=packagejson.FILE,
                hint="The build sees the app's directory only: publish that package, or build both with a Dockerfile.",
            )


def _refuse_member(files: AppFiles) -> None:
    """Installed alone and unlocked, a member would get whatever the index has under its neighbours' names."""
    for above in files.enclosing:
        package = packagejson.read(above)
        path = files.root.relative_to(above.root).as_posix()
        if above.exists("pnpm-workspace.yaml") or (package and _matches(package.workspaces, path)):
            raise LangError(
                "this is a member of the workspace that holds it, whose lockfile is not here: building it alone would "
                "fetch its neighbours from the package index",
                file=packagejson.FILE,
                hint="Workspaces cannot be built yet: give it a package-lock.json of its own, or write a Dockerfile.",
            )


def _matches(patterns: tuple[str, ...], path: str) -> bool:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  (few apps have a workspace above them)

    lines = [f"!/{each[1:].lstrip('./')}" if each.startswith("!") else f"/{each.lstrip('./')}" for each in patterns]
    try:
        return GitIgnoreSpec.from_lines(lines).match_file(f"{path}/")
    except ValueError:  # a pattern that nobody understands may mean this one
        return True


def _manifests(files: AppFiles, lock: str | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What `npm ci` reads, grouped by the directory it goes to."""
    npmrc = files.read_text(".npmrc")
    if npmrc and _CREDENTIAL.search(npmrc):
        raise LangError(
            "holds a credential in plain text",
            file=".npmrc",
            hint="Write `_authToken=${NPM_TOKEN}` and declare the secret NPM_TOKEN for this app.",
        )
    names = (packagejson.FILE, lock, ".npmrc")
    groups: list[tuple[str, tuple[str, ...]]] = []
    found = tuple(name for name in names if name and files.exists(name))
    if found:
        groups.append(("./", found))
    if files.has_directory("patches"):
        groups.append(("./patches/", ("patches",)))
    if files.exists("prisma/schema.prisma"):
        groups.append(("./prisma/", ("prisma/schema.prisma",)))
    return tuple(groups)


def _version(files: AppFiles, settings: Settings, package: PackageJson) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [versions.npm(forced.value, source=forced.source)] if forced else []
    for file in (".node-version", ".nvmrc"):
        lines = [line.partition("#")[0].strip() for line in (files.read_text(file) or "").split("\n")]
        text = next((line for line in lines if line), None)
        if text:
            stated.append(versions.npm(text, source=file, file=file))
    stated += [
        versions.npm(text, source=f"{packagejson.FILE} {key}", file=packagejson.FILE)
        for key, text in package.node_versions
    ]
    stated += versions.tool_files(files, ("nodejs", "node"), versions.npm)
    return versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)
