"""Node.js with npm, Yarn or pnpm: full install, build, then only what runs.

devDependencies are there for the build and gone afterwards; `NODE_ENV=production` is therefore set in the runtime
image only. Where nothing ties the installed tree to the sources, `node_modules` is pruned in a stage of its own, so
that a change of source neither prunes again nor pushes the tree again.
"""

import posixpath
from typing import TYPE_CHECKING, Final

import msgspec

from langs import (
    base,
    frameworks,
    health,
    listening,
    locked,
    natives,
    nodeentry,
    nodelock,
    nodemanagers,
    nodeversion,
    nodeworkspace,
    npmrc,
    packagejson,
    procfile,
    scripts,
    sites,
    workspace,
    yarnrc,
)
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, CacheMount, Detection, Evidence, Process, Settings
from langs.nodemanagers import NPM, PLUG_AND_PLAY, Chosen, Manager
from langs.nodeworkspace import Member
from langs.packagejson import PackageJson

if TYPE_CHECKING:
    from langs.noderunners import Step
    from langs.nxproject import Project

NAME: Final = "nodejs"
PROGRAMS: Final = frozenset({"node", "npm", "npx", "pnpm", "yarn", "next", "nest", "tsx", "ts-node"})
VERSION_VARIABLES: Final = ("NODE_VERSION",)
MANIFESTS: Final = (packagejson.FILE, packagejson.JSON5, "project.json")
ENTRY_POINTS: Final = ("server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs", "app.mjs", "main.mjs")
IMAGES: Final = ("node",)


def detect(files: AppFiles) -> Detection | None:
    """package.json, or a bare file that serves; an app when something there starts a server."""
    if project := _project(files):
        chosen = nodemanagers.choose_for(project.root, _read(project.root)[0] or PackageJson(), None)
        return project.found(chosen.manager.name if chosen else "bun")
    package, manifest = _read(files)
    evidence: list[Evidence] = []
    manager: str | None = None
    member = nodeworkspace.member_of(files) if package is not None else None
    if package is not None:
        chosen = nodemanagers.choose_for(files, package, member)
        if manifest == packagejson.JSON5:
            chosen = nodemanagers.reading_json5(files, chosen)
        manager = chosen.manager.name if chosen else "bun"
        evidence.append(Evidence(file=manifest, reason="a Node.js package"))
        if chosen and chosen.file != manifest:
            file = posixpath.join(member.context, chosen.file) if member else chosen.file
            evidence.append(Evidence(file=file, reason=f"locked by {manager}"))
    started = nodeentry.starts(files, package, entries=ENTRY_POINTS, programs=PROGRAMS, runtime="Node.js")
    if started is not None:
        said_there = started.file == packagejson.FILE
        evidence.append(Evidence(file=manifest, reason=started.reason) if said_there else started)
    if not evidence:
        return None
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager=manager,
        packages=workspace.from_root(member.root, member.needed) if member else (),
        is_app=started is not None and not nodeworkspace.is_root(files, package),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with all dependencies, a slim runtime image with those of production.

    Raises:
        LangError: a package manager that is not built, a dependency outside of the app and its workspace, a credential
            in a file, no start command.
    """
    project, declared = _project(files), procfile.read(files)
    # What is installed is the workspace's, wherever in it Nx has the app.
    files = project.root if project else files
    said, file = _read(files)
    package = said or PackageJson()
    member = nodeworkspace.member_of(files) if said else None
    root = member.root if member else files
    chosen = _chosen(files, said, member, file)
    manager = chosen.manager
    npmrc.refuse_credentials(files, package)
    local = packagejson.local_dependencies(package, member.path if member else ".")
    if member is not None:
        npmrc.refuse_credentials(root, member.manifest)
        member.check()
    version, warnings = nodeversion.resolve(files, settings, package, member, lock=chosen.lock)
    manifest = member.manifest if member else package
    tool, more = nodemanagers.version(root, settings, manifest, chosen) if said else (None, ())
    processes = _processes(files, settings, package, manager, (project, declared))
    heard = listening.of(processes[base.WEB])
    plug_and_play = manager is PLUG_AND_PLAY
    if plug_and_play:
        place = member.context if member else "."
        processes = {name: yarnrc.with_loader(package, command, place) for name, command in processes.items()}
    # Of several apps, the manifest of all does not say whose framework it is.
    prepared = frameworks.prepared(
        files, PackageJson() if project else package, () if plug_and_play else processes.values()
    )
    processes = {base.WEB: prepared.output.start} if prepared.output else processes
    command = processes[base.WEB]
    settings, stated = (settings, ()) if prepared.output else heard.settings(settings)
    warnings += (*more, *_of_locks(root, chosen, said), *stated)
    kept = None if prepared.output else _kept(root, package, chosen, tool, command)
    warnings += (f"devDependencies stay in the image: {kept}",) if kept else ()
    warnings += sites.warnings(command)
    installing = (*package.install_scripts, *(member.scripts if member else ()))
    programs = member.programs if member else ()
    warnings += _again(installing, programs)
    sources_first = bool(package.workspaces or installing or programs or local)
    manifests = _manifests(files, package, chosen, member, file)
    settings = natives.needing(settings, "npm", locked.node(root, package, member), image="node")
    builder = base.image(settings, "node", version.value)
    runtime = base.image(settings, "node", f"{version.value}-slim")
    npm = base.cache(settings, NPM.mount, NPM.cache)
    mount = _mount(settings, manager)
    settings = project.building(settings, manager.programs) if project else settings
    in_place = sources_first or plug_and_play or nodeentry.generates(package)
    only = project.only(processes.values(), installed=in_place) if project and not plug_and_play else ()
    step = _step(settings, package, member, manager, builder)
    warnings += step.warnings if step else ()
    text = base.dockerfile(
        "nodejs.Dockerfile.j2",
        settings=settings,
        command=command,
        asks=("npm",),
        probe=health.NODE,
        values={
            "builder": builder,
            "runtime": runtime,
            "manifests": manifests,
            "manager": manager,
            "environment": (*manager.environment, *(member.environment if member else ())),
            "tasks": step,
            "tool": tool,
            "tool_hash": chosen.hash,
            "tool_runs": manager is not NPM and manager.name in scripts.runs_managers(*processes.values()),
            "tool_mount": npm,
            "install_command": nodemanagers.install(manager, member, locked=chosen.lock is not None),
            "overrides_mode": "NODE_ENV" in settings.env,
            "has_manifest": said is not None,
            "script": None if step and step.whole else sites.script(files, package, site=settings.part),
            "told": (*prepared.variables, *heard.variables),
            "output": frameworks.gather(prepared.output, member.path if member else ".") if prepared.output else None,
            "left_over": frameworks.left_over(package),
            "prune": nodemanagers.prune(manager, member, keeps=bool(kept) or not (member or package.dev_dependencies)),
            "sources_first": sources_first,
            "in_place": in_place,
            "only": only,
            "member": member,
            "mount": mount,
            "title": base.title(project.name if project else package.name),
        },
    )
    mounts = ((npm,) if tool and manager is not NPM else ()) + (mount, *(step.mounts if step else ()))
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        package_manager=manager.name if said else None,
        dockerfile=text,
        start=base.started(processes),
        cache=mounts if said or settings.build_command else (),
        warnings=warnings,
        place=project.place if project else _place(member, manifests),
    )


def _place(member: Member | None, manifests: nodeentry.Groups) -> workspace.Place | None:
    return member.place(path for _, paths in manifests for path in paths) if member else None


def _default(files: AppFiles, package: PackageJson, manager: Manager) -> str | None:
    main = nodeentry.main_file(files, package, ENTRY_POINTS)
    return nodeentry.default_start(files, package, manager=manager.name, run="node", main=main)


def _project(files: AppFiles) -> "Project | None":
    """The app as a project of Nx that has no package.json."""
    if not files.exists(MANIFESTS[-1]):
        return None
    from langs import nxproject  # noqa: PLC0415  (start-up counts: most directories are none)

    return nxproject.of(files)


def _read(files: AppFiles) -> tuple[PackageJson | None, str]:
    """The manifest, and what it is called."""
    package = packagejson.read(files)
    other = packagejson.read_json5(files) if package is None else None
    return package or other, packagejson.JSON5 if other else packagejson.FILE


def _chosen(files: AppFiles, package: PackageJson | None, member: Member | None, file: str) -> Chosen:
    chosen = nodemanagers.choose_for(files, package, member)
    if file == packagejson.JSON5:
        chosen = nodemanagers.reading_json5(files, chosen)
        if chosen is None or chosen.manager.name != "pnpm":
            raise LangError(
                f"pnpm alone reads it, and {chosen.file if chosen else 'a lockfile'} is another's",
                file=file,
                hint="Lock the dependencies with pnpm, or write package.json.",
            )
    if chosen is None:
        raise LangError(
            "the dependencies are locked or pinned for Bun, which is a runtime of its own",
            file=packagejson.FILE,
            hint='`language = "bun"` builds the app with it; a lockfile of npm, Yarn or pnpm makes it one of Node.js.',
        )
    return chosen


def _of_locks(root: AppFiles, chosen: Chosen, package: PackageJson | None) -> tuple[str, ...]:
    """What there is to warn of the lockfile."""
    if package is not None and chosen.lock is None:
        return (f"there is no {chosen.manager.locks[0]}: the versions installed may differ from build to build",)
    said = (nodemanagers.rivals(root, chosen), nodelock.problem(root, chosen.lock))
    return tuple(each for each in said if each)


def _processes(
    files: AppFiles,
    settings: Settings,
    package: PackageJson,
    manager: Manager,
    said: "tuple[Project | None, tuple[Process, ...]]",
) -> dict[str, str]:
    """The commands of all processes, the app itself among them; `said` are Nx's project and the Procfile's."""
    project, declared = said
    default = project.start if project else _default(files, package, manager)
    lacking = project.problem if project else nodeentry.lacking(package)
    start = base.start(settings, declared, default, lacking=lacking)
    return {process.name: scripts.expand(package, process.command) for process in start.processes}


def _step(
    settings: Settings, package: PackageJson, member: Member | None, manager: Manager, builder: str
) -> "Step | None":
    """The step of the tool that runs the workspace's tasks; None where it has none, or the tool is not installed."""
    if member is None or member.runner is None or (manager.focus and member.unfit):
        return None
    from langs import noderunners  # noqa: PLC0415  (start-up counts: most workspaces have no such tool)

    return noderunners.step(
        member.runner,
        settings,
        app=(member.path, package),
        needed=member.needed,
        prefix=manager.programs,
        builder=builder,
    )


def _again(installing: tuple[str, ...], programs: tuple[str, ...]) -> tuple[str, ...]:
    """Why a change of source installs again."""
    reasons = [f"{', '.join(programs)} brings programs, which are linked at installation"] if programs else []
    names = ", ".join(dict.fromkeys(installing))
    reasons += [f"package.json runs {names} at installation"] if installing else []
    return tuple(f"every change of source installs again: {reason}" for reason in reasons)


def _mount(settings: Settings, manager: Manager) -> CacheMount:
    mount = base.cache(settings, manager.mount, manager.cache)
    return msgspec.structs.replace(mount, sharing=manager.sharing)


def _kept(files: AppFiles, package: PackageJson, chosen: Chosen, tool: str | None, command: str) -> str | None:
    """Why devDependencies are not removed."""
    if not package.dev_dependencies:
        return None
    needed = nodeentry.development_tool(package, command)
    if needed:
        return f"the start command runs {needed}, which is one of them"
    if nodemanagers.is_berry(chosen.manager) and not nodemanagers.focuses(files, tool):
        return "Yarn before 4 needs the plugin workspace-tools to remove them"
    return None


def _manifests(
    files: AppFiles, package: PackageJson, chosen: Chosen, member: Member | None, file: str
) -> nodeentry.Groups:
    """What an installation reads, grouped by the directory it goes to."""
    manager = chosen.manager
    root, manifest = (member.root, member.manifest) if member else (files, package)
    said = nodeworkspace.read(root) if manager.name == "pnpm" else None
    patches = (*manifest.patches, *(said.patches if said else ()))
    names = (file, chosen.lock, *manager.reads, *nodeentry.schemas(root, manifest), *patches)
    found = nodeentry.groups(root, names, manager.directories)
    return (*found, *member.reads(files, package, everyone=bool(manager.focus))) if member else found
