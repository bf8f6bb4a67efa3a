"""Deno: everything that may be imported is fetched when the image is built, and nothing when it starts.

npm packages are put into node_modules, whose source, Deno's own cache of them, is a cache mount; modules of JSR and of
addresses stay in `DENO_DIR`, which is a part of the image. Both are copied apart from the sources.
"""

import posixpath
import re
from typing import Final

from langs import base, denoconfig, denoworkspace, health, nodeentry, npmrc, packagejson, procfile, versions, workspace
from langs.denoconfig import DenoConfig
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.model import AppBuild, Detection, Evidence, Settings, Version
from langs.packagejson import PackageJson

NAME: Final = "deno"
PROGRAMS: Final = frozenset({"deno"})
VERSION_VARIABLES: Final = ("DENO_VERSION",)
MANIFESTS: Final = denoconfig.FILES
ENTRY_POINTS: Final = ("main.ts", "server.ts", "mod.ts", "app.ts", "index.ts", "main.tsx", "bot.ts")
IMAGES: Final = ("denoland/deno",)

_DEFAULT: Final = "2.6.1"
_LINE: Final = 2
_VERSION_FILES: Final = (".deno-version", ".dvmrc")
_SCRIPTS: Final = (*ENTRY_POINTS, "main.js", "server.js", "src/main.ts", "src/mod.ts", "src/server.ts", "src/index.ts")
_MOST: Final = 20
"""Bare sources that are looked at."""
_SOURCE: Final = re.compile(
    r"\bDeno\.[a-zA-Z]|\b(?:from|import)\s*\(?\s*[\"'](?:jsr:|npm:|https://(?:deno\.land|esm\.sh|jsr\.io)/)"
)
_SERVES: Final = re.compile(r"\bDeno\.(?:serve|listen)\b|\bserve\s*\(|\.listen\s*\(|\bcreateServer\b")
_EXPORTS: Final = re.compile(r"\bexport\s+default\b")
_LINE_VERSION: Final = re.compile(r"v?[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_NPM: Final = re.compile(r"[\"']npm:")
_LISTENS: Final = re.compile(r"\bDeno\.serve\s*\(")
_ADDRESS: Final = "DENO_SERVE_ADDRESS=tcp:0.0.0.0:$PORT"
_LOCK_HEAD: Final = 1 << 20


def detect(files: AppFiles) -> Detection | None:
    """deno.json, deno.lock, or sources that import as only Deno does; an app when something there serves."""
    package = packagejson.read(files)
    config = denoconfig.read(files)
    evidence: list[Evidence] = []
    if config is not None:
        reason = "configures Deno's tools" if config.tools_only else "a Deno project"
        evidence.append(Evidence(file=config.file, reason=reason))
    if files.exists(denoconfig.LOCK) and (config is not None or package is None):
        evidence.append(Evidence(file=denoconfig.LOCK, reason="a lockfile of Deno"))
    bare = _bare(files) if not evidence and package is None else None
    if bare is not None:
        evidence.append(Evidence(file=bare, reason="Deno source"))
    member = denoworkspace.member_of(files) if config is not None else None
    if member is not None:
        lock = member.config.lock
        file = lock if lock and member.root.exists(lock) else member.config.file
        evidence.append(Evidence(file=posixpath.join(member.context, file), reason="a workspace of Deno"))
    started = _starts(files, package, config, speaks=bool(evidence))
    if started is not None:
        evidence.append(started)
    if not evidence:
        return None
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager=NAME if config or files.exists(denoconfig.LOCK) else None,
        packages=workspace.from_root(member.root, member.needed) if member else (),
        is_app=started is not None and not (config and config.workspace),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image that fetches, a runtime image that has what was fetched.

    Raises:
        LangError: a file cannot be understood or lies outside of the app, or there is no start command.
    """
    config = denoconfig.read(files)
    package = packagejson.read(files)
    npmrc.refuse_credentials(files, package or PackageJson())
    member = denoworkspace.member_of(files) if config is not None else None
    root, shared = (member.root, member.config) if member else (files, config)
    if member is not None:
        npmrc.refuse_credentials(root, packagejson.read(root) or PackageJson())
    local = packagejson.local_dependencies(package, member.path if member else ".") if package else ()
    version, warnings = _version(files, root, settings)
    main = files.first(*_SCRIPTS) or _bare(files)
    start = base.start(settings, procfile.read(files), _default_start(config, package, main))
    lock = _inside(shared.lock, shared.file) if shared else denoconfig.LOCK
    lock = lock if lock and root.exists(lock) else None
    if lock is None:
        warnings += (f"there is no {denoconfig.LOCK}: the versions fetched may differ from build to build",)
    installed = packagejson.read(root)
    npm = _npm(root, shared, installed, lock, None) or _npm(files, config, package, None, main)
    modules = _modules(shared, installed) if npm else None
    expanded = {each.name: denoconfig.expand(config, package, each.command) for each in start.processes}
    entry = denoconfig.script(expanded[base.WEB]) or main
    processes = {name: denoconfig.offline(command, modules=modules) for name, command in expanded.items()}
    listens = entry is not None and _listens_anywhere(nodeentry.text_of(files, entry))
    if listens and not settings.hardened:
        processes[base.WEB] = denoconfig.with_variable(processes[base.WEB], _ADDRESS)
    command = processes[base.WEB]
    linked = npm and (shared is None or shared.node_modules != "none")
    image = base.image(settings, "denoland/deno", version.value)
    mount = base.cache(settings, "deno", "/deno-dir/npm")
    import_map = _inside(shared.import_map, shared.file) if shared else None
    names = (*denoconfig.FILES, lock, import_map, packagejson.FILE if installed else None, ".npmrc")
    builds = bool(config and "build" in config.tasks) or bool(package and "build" in package.scripts)
    sources_first = bool(local or (config and config.workspace))
    # Nothing is written among the sources: no task's output, nothing of another language, no lockfile, no vendor/, and
    # no node_modules of members. They come out of the context then, which costs no step.
    built = builds or settings.build_command or settings.assets or sources_first or member
    plain = not built and lock is not None and not (config and config.vendor)
    manifests = nodeentry.groups(root, (*names, *(member.manifests if member else ())), ())
    text = base.dockerfile(
        "deno.Dockerfile.j2",
        settings=settings,
        command=command,
        asks=("npm",),
        probe=health.DENO,
        values={
            "builder": image,
            "runtime": base.image(settings, "denoland/deno", version.value, runs=True),
            "manifests": manifests,
            "installs": config is not None or package is not None or lock is not None,
            "frozen": lock is not None,
            "lock": lock if config is None and package is None else None,
            # Without a shell, $PORT is what it was when the image was built.
            "address": f"tcp:0.0.0.0:{settings.port}" if listens and settings.hardened else None,
            "sources_first": sources_first,
            "modules": "auto" if modules else None,
            "linked": linked,
            "plain": plain,
            "has_build": builds,
            "entry": require_plain_name(entry) if entry and files.exists(entry) else None,
            "home": f"/app/{member.path}" if member else "/app",
            "mounts": (mount,) if linked else (),
            "title": base.title(package.name if package else None),
        },
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        package_manager=detection.package_manager,
        dockerfile=text,
        start=base.started(processes),
        cache=(mount,) if linked else (),
        warnings=warnings,
        place=_place(member, manifests) if member else None,
    )


def _place(member: denoworkspace.Member, manifests: nodeentry.Groups) -> workspace.Place:
    files = (path for _, paths in manifests for path in paths)
    return workspace.place(member.path, member.needed, files=files, members=member.members)


def _bare(files: AppFiles) -> str | None:
    """A source at the top that only Deno could run."""
    sources = dict.fromkeys((*(name for name in ENTRY_POINTS if files.exists(name)), *files.glob("*.ts")[:_MOST]))
    return next((file for file in sources if _SOURCE.search(nodeentry.text_of(files, file))), None)


def _starts(
    files: AppFiles, package: PackageJson | None, config: DenoConfig | None, *, speaks: bool
) -> Evidence | None:
    """What shows that something here starts and serves, and does so with Deno."""
    web = [process.command for process in procfile.read(files) if process.name == base.WEB]
    if web and web[0].split()[:1] == ["deno"]:
        return Evidence(file=procfile.FILE, reason="web runs Deno")
    task = denoconfig.start_task(config) if config else None
    if config and task:
        return Evidence(file=config.file, reason=f"tasks.{task}")
    script = package.scripts.get("start", "") if package else ""
    if script.split()[:1] == ["deno"]:
        return Evidence(file=packagejson.FILE, reason="scripts.start runs deno")
    if not speaks or script:
        # What package.json starts otherwise is Node.js's, or Bun's.
        return None
    main = files.first(*_SCRIPTS) or _bare(files)
    text = nodeentry.text_of(files, main) if main else ""
    if main and (_SERVES.search(text) or _serves_export(text)):
        return Evidence(file=main, reason="it serves")
    return None


def _serves_export(text: str) -> bool:
    return _EXPORTS.search(text) is not None and re.search(r"\bfetch\b", text) is not None


def _listens_anywhere(text: str) -> bool:
    """Whether a module listens where Deno does by default, or at a port of its own: it never asks for $PORT."""
    return len(_LISTENS.findall(text)) == 1 and "PORT" not in text


def _default_start(config: DenoConfig | None, package: PackageJson | None, main: str | None) -> str | None:
    task = denoconfig.start_task(config) if config else None
    if task or (package and "start" in package.scripts):
        return f"deno task {task or 'start'}"
    return None if main is None else f"deno run {'-P' if config and config.permissions else '-A'} {main}"


def _inside(path: str | None, file: str) -> str | None:
    """A path of the configuration, when it leads into the app; an address stays where it is."""
    if path is None or "://" in path:
        return None
    if not packagejson.beneath(path):
        raise LangError(
            f"{path[:80]!r} lies outside of the app's directory, which is all that its build sees",
            file=file,
            hint="Move it beside this file, or build from the directory that holds both with a Dockerfile.",
        )
    return path.removeprefix("./")


def _npm(
    files: AppFiles, config: DenoConfig | None, package: PackageJson | None, lock: str | None, main: str | None
) -> bool:
    """Whether packages of npm are asked for."""
    if package is not None and package.everything:
        return True
    if config and any(each.startswith("npm:") for each in config.imports):
        return True
    head = files.read_head(lock, _LOCK_HEAD) if lock else None
    if head is not None:
        return '"npm:' in head
    return main is not None and _NPM.search(nodeentry.text_of(files, main)) is not None


def _modules(config: DenoConfig | None, package: PackageJson | None) -> str | None:
    """How Deno is told of node_modules, where it would not look for it by itself."""
    return None if package is not None or (config and config.node_modules) else "manual"


def _version(files: AppFiles, root: AppFiles, settings: Settings) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [_statement(forced.value, source=forced.source)] if forced else []
    stated += _stated(files)
    if not stated and root is not files:
        stated += _stated(root)
    return versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)


def _stated(files: AppFiles) -> list[versions.Statement]:
    stated: list[versions.Statement] = []
    for file in _VERSION_FILES:
        text = files.read_text(file)
        if text and text.strip():
            stated.append(_statement(text, source=file, file=file))
    return [*stated, *versions.tool_files(files, ("deno",), _statement)]


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    text = text.strip()
    # Deno's images have no tags for lines: `2.1` is the newest release of it that is known.
    return versions.npm(f"{text}.x" if _LINE_VERSION.fullmatch(text) else text, source=source, file=file)
