"""Bun: everything is installed for the build, and what production needs a second time, for the runtime image.

Bun has no command that removes devDependencies. The second installation is a stage of its own, which no source touches.
"""

import posixpath
import re
from typing import TYPE_CHECKING, Final

import msgspec

from langs import (
    base,
    documents,
    frameworks,
    health,
    listening,
    locked,
    natives,
    nodeentry,
    nodelock,
    nodeworkspace,
    npmrc,
    packagejson,
    procfile,
    scripts,
    sites,
    versions,
    workspace,
)
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Settings, Version
from langs.packagejson import PackageJson

if TYPE_CHECKING:
    from langs.noderunners import Step

NAME: Final = "bun"
PROGRAMS: Final = frozenset({"bun", "bunx"})
VERSION_VARIABLES: Final = ("BUN_VERSION",)
MANIFESTS: Final = ("bun.lock", "bun.lockb", "bunfig.toml")
ENTRY_POINTS: Final = ("server.ts", "index.ts", "app.ts", "main.ts", "index.tsx", "server.tsx")
IMAGES: Final = ("oven/bun",)

_DEFAULT: Final = "1.3.4"
_LINE: Final = 2
_VERSION_FILE: Final = ".bun-version"
_CONFIGURATION: Final = "bunfig.toml"
_LOCKS: Final = ("bun.lock", "bun.lockb")
_OTHER_LOCKS: Final = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml")
_SCRIPTS: Final = (*ENTRY_POINTS, "server.js", "index.js", "app.js", "main.js")
_TYPES: Final = frozenset({"@types/bun", "bun-types"})
_SOURCE: Final = re.compile(r"\bBun\.serve\s*\(|\bfrom\s+[\"']bun(?::[a-z]+)?[\"']")
_DEFAULT_EXPORT: Final = re.compile(r"\bexport\s+default\b")


class _Configuration(msgspec.Struct):
    version: str | None = None


def detect(files: AppFiles) -> Detection | None:
    """A lockfile, a pin, a start script or sources of Bun's, where no other package manager's lockfile contradicts."""
    package = packagejson.read(files)
    member = nodeworkspace.member_of(files) if package else None
    evidence = _evidence(files, package) or (_evidence_of_workspace(member) if member else [])
    if not evidence:
        return None
    started = nodeentry.starts(files, package, entries=_SCRIPTS, programs=PROGRAMS, runtime="Bun") or _exports(
        files, package
    )
    if started is not None:
        evidence.append(started)
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager=NAME if package else None,
        packages=workspace.from_root(member.root, member.needed) if member else (),
        is_app=started is not None and not (package and package.workspaces),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with all dependencies, a slim runtime image with those of production.

    Raises:
        LangError: a dependency outside of the app and its workspace, a credential in a file, no start command.
    """
    said = packagejson.read(files)
    package = said or PackageJson()
    member = nodeworkspace.member_of(files) if said else None
    root = member.root if member else files
    npmrc.refuse_credentials(files, package)
    local = packagejson.local_dependencies(package, member.path if member else ".")
    if member is not None:
        npmrc.refuse_credentials(root, member.manifest)
        member.check()
    version, warnings = _version(files, root, settings, package)
    lock = root.first(*_LOCKS)
    if said and lock is None:
        warnings += (f"there is no {_LOCKS[0]}: the versions installed may differ from build to build",)
    damaged = nodelock.problem(root, lock)
    warnings += (damaged,) if damaged else ()
    main = nodeentry.main_file(files, package, _SCRIPTS)
    start = base.start(
        settings,
        procfile.read(files),
        nodeentry.default_start(files, package, manager="bun", run="bun", main=main),
        lacking=nodeentry.lacking(package),
    )
    processes = {process.name: scripts.expand(package, process.command) for process in start.processes}
    command = processes[base.WEB]
    heard = listening.of(command)
    settings, more = heard.settings(settings)
    warnings += more
    installing = (*package.install_scripts, *(member.scripts if member else ()))
    programs = member.programs if member else ()
    if programs:
        brought = f"{', '.join(programs)} brings programs, which are linked at installation"
        warnings += (f"every change of source installs again: {brought}",)
    sources_first = bool(package.workspaces or installing or programs or local)
    generated = nodeentry.generates(package)
    kept = _kept(package, command, sources_first=sources_first, generated=generated)
    if kept:
        warnings += (f"devDependencies stay in the image: {kept}",)
    warnings += sites.warnings(command)
    if installing:
        run = ", ".join(dict.fromkeys(installing))
        warnings += (f"every change of source installs again: package.json runs {run} at installation",)
    installed = locked.node(root, package, member)
    settings = natives.needing(settings, "npm", installed, image="oven/bun", builds=False)
    builder = base.image(settings, "oven/bun", version.value)
    runtime = base.image(settings, "oven/bun", f"{version.value}-slim")
    mount = base.cache(settings, "bun", "/root/.bun/install/cache")
    manifest = member.manifest if member else package
    names = (packagejson.FILE, lock, _CONFIGURATION, ".npmrc", *nodeentry.schemas(root, manifest), *manifest.patches)
    manifests = nodeentry.groups(root, names, ("patches",))
    if member is not None:
        # Every member's manifest is held against the lockfile.
        manifests += member.reads(files, package, everyone=True)
    step = _step(settings, package, member, builder)
    warnings += step.warnings if step else ()
    text = base.dockerfile(
        "bun.Dockerfile.j2",
        settings=settings,
        command=command,
        asks=("npm",),
        probe=health.BUN,
        values={
            "builder": builder,
            "runtime": runtime,
            "manifests": manifests,
            "member": member,
            "environment": member.environment if member else (),
            "tasks": step,
            "filters": tuple(f"./{path}" for path in (member.path, *member.needed)) if member else (),
            "frozen": lock is not None,
            "overrides_mode": "NODE_ENV" in settings.env,
            "has_manifest": said is not None,
            "script": None if step and step.whole else sites.script(files, package, site=settings.part),
            "told": (*frameworks.prepared(files, package, ()).variables, *heard.variables),
            "left_over": frameworks.left_over(package),
            "again": bool(package.dev_dependencies or member) and not kept,
            "hooks": manifest.hooks,
            "sources_first": sources_first,
            "in_place": sources_first or generated,
            "mount": mount,
            "title": base.title(package.name),
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
        cache=(mount, *(step.mounts if step else ())) if said else (),
        warnings=warnings,
        place=member.place(path for _, paths in manifests for path in paths) if member else None,
    )


def _step(settings: Settings, package: PackageJson, member: nodeworkspace.Member | None, builder: str) -> "Step | None":
    """The step of the tool that runs the workspace's tasks; None where it has none, or the tool is not installed."""
    if member is None or member.runner is None or member.unfit:
        return None
    from langs import noderunners  # noqa: PLC0415  (start-up counts: most workspaces have no such tool)

    app = (member.path, package)
    # Such tools are programs of Node.js, which is not there: Bun stands in for it, for all that they call, too.
    prefix = "bun run --bun "
    return noderunners.step(member.runner, settings, app=app, needed=member.needed, prefix=prefix, builder=builder)


def _evidence_of_workspace(member: nodeworkspace.Member) -> list[Evidence]:
    """What says that the workspace around the app is installed by Bun."""
    place = member.context
    if (member.manifest.package_manager or "").partition("@")[0] == NAME:
        return [Evidence(file=posixpath.join(place, packagejson.FILE), reason="packageManager is bun")]
    lock = member.root.first(*_LOCKS)
    if lock is None or member.manifest.package_manager or member.root.first(*_OTHER_LOCKS):
        return []
    return [Evidence(file=posixpath.join(place, lock), reason="a lockfile of Bun")]


def _evidence(files: AppFiles, package: PackageJson | None) -> list[Evidence]:
    """What speaks for Bun, and not for Node.js with Bun's name somewhere."""
    script = (package.scripts.get("start") or "") if package else ""
    if package and (package.package_manager or "").partition("@")[0] == NAME:
        return [Evidence(file=packagejson.FILE, reason="packageManager is bun")]
    if script.split()[:1] == ["bun"]:
        return [Evidence(file=packagejson.FILE, reason="scripts.start runs bun")]
    if package and package.package_manager:
        return []
    if files.first(*_OTHER_LOCKS):
        # Whoever installs with another manager runs its result with Node.js.
        return []
    found = [Evidence(file=file, reason="a lockfile of Bun") for file in _LOCKS if files.exists(file)][:1]
    if files.exists(_CONFIGURATION):
        found.append(Evidence(file=_CONFIGURATION, reason="configures Bun"))
    if files.exists(_VERSION_FILE) and (package or files.first(*_SCRIPTS)):
        found.append(Evidence(file=_VERSION_FILE, reason="pins Bun"))
    if package and ("bun" in package.engines or (_TYPES & package.everything.keys() and not script)):
        found.append(Evidence(file=packagejson.FILE, reason="a package for Bun"))
    main = None if package and script else nodeentry.main_file(files, package, _SCRIPTS)
    if main and _SOURCE.search(nodeentry.text_of(files, main)):
        found.append(Evidence(file=main, reason="it uses Bun's own functions"))
    return found


def _exports(files: AppFiles, package: PackageJson | None) -> Evidence | None:
    """A module whose default export Bun serves."""
    main = nodeentry.main_file(files, package, _SCRIPTS)
    text = nodeentry.text_of(files, main) if main else ""
    if main and _DEFAULT_EXPORT.search(text) and re.search(r"\bfetch\b", text):
        return Evidence(file=main, reason="its default export serves")
    return None


def _kept(package: PackageJson, command: str, *, sources_first: bool, generated: bool) -> str | None:
    """Why devDependencies are not left out."""
    if not package.dev_dependencies:
        return None
    needed = nodeentry.development_tool(package, command)
    if needed:
        return f"the start command runs {needed}, which is one of them"
    if package.patchers:
        return f"package.json runs {', '.join(package.patchers)} at installation"
    if sources_first or generated:
        return "what the build writes into node_modules would be lost with them"
    return None


def _version(
    files: AppFiles, root: AppFiles, settings: Settings, package: PackageJson
) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [versions.npm(forced.value, source=forced.source)] if forced else []
    stated += _stated(files, package)
    if not stated and root is not files:
        stated += _stated(root, packagejson.read(root) or PackageJson())
    return versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)


def _stated(files: AppFiles, package: PackageJson) -> list[versions.Statement]:
    stated: list[versions.Statement] = []
    text = files.read_text(_VERSION_FILE)
    if text and text.strip():
        stated.append(versions.npm(_number(text), source=_VERSION_FILE, file=_VERSION_FILE))
    name, _, pin = (package.package_manager or "").partition("@")
    if name == NAME and pin:
        pin = pin.partition("+")[0]
        stated.append(versions.npm(_number(pin), source=f"{packagejson.FILE} packageManager", file=packagejson.FILE))
    if NAME in package.engines:
        stated.append(
            versions.npm(package.engines[NAME], source=f"{packagejson.FILE} engines.bun", file=packagejson.FILE)
        )
    tools = next((tool.version for tool in (*package.runtimes, *package.managers) if tool.name == NAME), None)
    if tools:
        stated.append(versions.npm(tools, source=f"{packagejson.FILE} devEngines", file=packagejson.FILE))
    text = files.read_text(_CONFIGURATION)
    configured = documents.toml_as(text, _Configuration, _CONFIGURATION).version if text else None
    if configured:
        stated.append(versions.npm(configured, source=_CONFIGURATION, file=_CONFIGURATION))
    return [*stated, *versions.tool_files(files, ("bun",), versions.npm)]


def _number(text: str) -> str:
    """`1.3.4` of `bun-v1.3.4`, as Bun's releases are called."""
    return text.strip().removeprefix("bun-")
