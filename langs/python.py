"""Python: a virtual environment made in the build image and copied into a slim one.

The environment stands at /app/.venv in both images, because its scripts hold absolute paths. Bytecode is compiled at
build time without time stamps: the root is read-only at run time, and the same inputs give the same image.
"""

import posixpath
from typing import Final

from langs import (
    base,
    commands,
    conda,
    django,
    hardened,
    health,
    locked,
    natives,
    nodeentry,
    pipfile,
    procfile,
    pyentry,
    pyinstall,
    pyproject,
    pyserver,
    pystart,
    pyversion,
    requirements,
    setuptools,
    uvworkspace,
    workspace,
    wsgi,
)
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, CacheMount, Detection, Evidence, Settings
from langs.pipfile import Pipfile
from langs.pyproject import Project
from langs.pystart import Found
from langs.requirements import Requirements

NAME: Final = "python"
PROGRAMS: Final = frozenset(
    {
        "arq",
        "celery",
        "daphne",
        "dramatiq",
        "fastapi",
        "flask",
        "gunicorn",
        "hypercorn",
        "python",
        "python3",
        "rq",
        "streamlit",
        "uvicorn",
    }
    | {"waitress-serve", "uv", "poetry", "pdm", "pipenv"}
)
VERSION_VARIABLES: Final = ("PYTHON_VERSION",)
MANIFESTS: Final = (
    *(pyproject.FILE, requirements.FILE, "Pipfile", setuptools.PROGRAM, setuptools.FILE),
    *("uv.lock", "poetry.lock", "pdm.lock"),
    *(*conda.FILES, conda.PIXI),
)
ENTRY_POINTS: Final = pyentry.NAMES
IMAGES: Final = ("python",)

_HEALTH: Final = "/_stcore/health"
"""Streamlit's own: docs.streamlit.io/deploy/tutorials/docker."""
_LOCKS: Final = (("poetry", "poetry.lock"), ("pdm", "pdm.lock"), ("pipenv", "Pipfile.lock"), ("pipenv", "Pipfile"))
_KNOWN: Final = (("uv", "uv.lock"), ("pip", requirements.FILE), *_LOCKS)
"""Files that name a package manager, the first one wins; an exported requirements.txt is there to be installed."""


def detect(files: AppFiles) -> Detection | None:
    """A manifest, a lockfile or a bare entry point; an app when something there can be started."""
    manager, manager_file = _manager(files)
    project = pyproject.read(files)
    entry = pyentry.find(files, manifest=manager is not None)
    evidence: list[Evidence] = []
    if manager:
        evidence.append(Evidence(file=manager_file, reason=f"dependencies for {manager}"))
    if project is not None and manager_file != pyproject.FILE:
        reason = "a Python project" if project.is_project or project.poetry else "configures Python tools"
        evidence.append(Evidence(file=pyproject.FILE, reason=reason))
    manifest = manager is not None
    runnable = _runnable(files, project, entry, manifest=manifest)
    if runnable is not None:
        evidence.append(runnable)
    elif entry is not None:
        evidence.append(Evidence(file=entry, reason="Python source"))
    if not evidence:
        return None
    member = _member(files)
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager=manager,
        packages=workspace.from_root(member.root, member.needed) if member else (),
        is_app=runnable is not None,
        obstacles=() if runnable else tuple(pyentry.unread(files)),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image that installs, a slim runtime image with the environment and the sources.

    Raises:
        LangError: files outside of the app, an environment of conda, no start command.
    """
    found = _find(files, settings)
    if found.manager == conda.NAME:
        raise conda.refused(found.manager_file)
    member = _member(files)
    if member is not None:
        member.check()
    if found.manager_file == pyproject.FILE and found.project and found.project.sources:
        # An index may know another package by the same name, and anybody may publish one.
        raise LangError(
            f"`tool.uv.sources` says where {', '.join(sorted(found.project.sources))[:80]} comes from, and pip would "
            "take it from an index",
            file=pyproject.FILE,
            hint="The build sees the app's directory only: lock it there with uv, or build it with a Dockerfile.",
        )
    # uv looks for .python-version beside the app, then beside the lockfile.
    stating = files if member is None or files.exists(".python-version") else member.root
    version, warnings = pyversion.resolve(stating, settings, found.project)
    builder = base.image(settings, "python", version.value)
    runtime = base.image(settings, "python", f"{version.value}-slim")
    default = pystart.default(found, shell=not (settings.hardened or hardened.is_bare(runtime)))
    scripted = found.project if found.manager == "pdm" else None
    start = pystart.direct(
        base.start(settings, procfile.read(files), default.command), scripted.commands if scripted else {}
    )
    database = default.database if start.command == default.command else None
    if default.warning and start.command == default.command:
        warnings += (default.warning,)
    ignored = next((file for _, file in _LOCKS if found.manager == "pip" and files.exists(file)), None)
    if ignored:
        warnings += (f"{found.manager_file} is installed; {ignored} is not read",)
    unread = conda.file(files)
    if unread:
        warnings += (f"{found.manager_file} is installed; {unread} is not read",)
    if found.manager and not found.locked:
        pinned = found.manager_file == requirements.FILE
        warnings += () if pinned else ("there is no lockfile: the versions installed may differ from build to build",)
    settings = natives.needing(settings, "pypi", _installed(files, found, member), image="python")
    settings = health.answering(settings, lambda: _HEALTH if "streamlit" in found.names else None)
    manage = found.manage
    static = django.static(files, settings, manage, found.application) if manage else django.Static()
    warnings += (static.warning,) if static.warning else ()
    installer = pyinstall.INSTALLERS.get(found.manager or "")
    mount = _mount(settings, installer)
    project, application = found.project, found.application
    manifests = nodeentry.groups(member.root, member.manifests, ()) if member else _manifests(files, found)
    text = base.dockerfile(
        "python.Dockerfile.j2",
        settings=settings,
        command=start.command,
        asks=("pypi",),
        probe=health.PYTHON,
        values={
            "builder": builder,
            "runtime": runtime,
            "installer": installer,
            "installer_version": pyinstall.version(installer, files) if installer else None,
            "install": (installer.locked if found.locked else installer.unlocked) if installer else None,
            "manifests": manifests,
            "member": member,
            "home": f"/app/{member.path}" if member else "/app",
            "requirements": requirements.FILE if found.requirements else None,
            "dependencies": () if found.requirements or installer or project is None else project.dependencies,
            "package": found.package,
            "no_deps": not (project and project.computed),
            "sources_first": found.local,
            "in_place": found.local or found.package or member is not None,
            "mount": mount,
            "static": static,
            "database": database,
            "database_directory": posixpath.dirname(database or ""),
            # The directory that everybody copies into is root's.
            "own_directory": database is not None and "/" not in database and member is None,
            "streamlit": "streamlit" in found.names,
            "gunicorn": "gunicorn" in found.names or commands.program(start.command) == "gunicorn",
            "source_directory": application.directory if application else "",
            "title": base.title(project.name if project else None),
        },
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        package_manager=found.manager,
        dockerfile=text,
        start=start,
        cache=(mount,) if found.manager else (),
        ignored=installer.ignored if installer else (),
        warnings=warnings,
        place=member.place if member else None,
    )


def _installed(files: AppFiles, found: Found, member: uvworkspace.Member | None) -> natives.Dependencies:
    """What is installed, each with the file that says so: by the lockfile, and what is asked for in any case."""
    by_lock = locked.python(member.root if member else files, found.names) if found.locked else natives.Dependencies()
    built = found.requirements.compiled if found.requirements else frozenset[str]()
    return natives.Dependencies(
        names={**dict.fromkeys(found.names, found.manager_file), **by_lock.names}, compiled=by_lock.compiled | built
    )


def _member(files: AppFiles) -> uvworkspace.Member | None:
    """The app in a workspace of uv, where no other file says how it is installed."""
    return None if any(files.exists(file) for _, file in _KNOWN) else uvworkspace.member_of(files)


def _mount(settings: Settings, installer: pyinstall.Installer | None) -> CacheMount:
    if installer is None:
        return base.cache(settings, "pip", "/root/.cache/pip")
    return base.cache(settings, installer.name, installer.cache)


def _manager(files: AppFiles) -> tuple[str | None, str]:
    """The package manager and the file that says so; None for an app without dependencies."""
    known = next(((manager, file) for manager, file in _KNOWN if files.exists(file)), None)
    if known is not None:
        return known
    member = uvworkspace.member_of(files)
    if member is not None:
        return "uv", posixpath.join(member.context, uvworkspace.LOCK)
    project = pyproject.read(files)
    if project is not None and (project.poetry or project.is_project):
        return "poetry" if project.poetry else "pip", pyproject.FILE
    file = next((file for file in (setuptools.PROGRAM, setuptools.FILE) if setuptools.is_project(files, file)), None)
    if file is None and (environment := conda.file(files)):
        return conda.NAME, environment
    return ("pip", file) if file else (None, "")


def _find(files: AppFiles, settings: Settings) -> Found:
    manager, manager_file = _manager(files)
    project = pyproject.read(files)
    member = _member(files)
    if manager_file in {setuptools.PROGRAM, setuptools.FILE}:
        project = setuptools.read(files)
    required = requirements.read(files) if manager_file == requirements.FILE else None
    pipenv = pipfile.read(files) if manager == "pipenv" else None
    names = (required or pipenv or project or Project()).names
    # A script that says what it is comes before a source that looks like it.
    scripted = project is not None and pystart.script(project) is not None
    entry = pyentry.find(files, manifest=manager is not None and not scripted)
    application = pystart.loadable(files, wsgi.find(files), names)
    manage = django.find(files, application)
    return Found(
        project=project,
        requirements=required,
        manager=manager,
        manager_file=manager_file,
        locked=member is not None or files.first("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock") is not None,
        package=_is_package(files, project, manager, manager_file),
        local=member is None and _is_local(required, pipenv, project),
        names=names,
        application=application,
        manage=manage,
        database=django.database(files, settings, manage, application) if manage else None,
        entry=entry,
        program=pyentry.command(files, entry) if entry else None,
        look=wsgi.look(files, entry) if entry else None,
        own=pyserver.find(files, entry, application) if entry and pyserver.depends(names) else None,
    )


def _is_package(files: AppFiles, project: Project | None, manager: str | None, manager_file: str) -> bool:
    """Whether the project itself is installed into its environment."""
    if project is None or manager in {None, "pipenv"} or manager_file == requirements.FILE:
        return False
    if manager == "poetry":
        # A flat project is importable where it stands, and Poetry refuses to install one without a package.
        return project.poetry_package and bool(project.scripts or files.has_directory("src"))
    if manager == "pdm" and project.distribution is not None:
        return project.distribution
    return project.package


def _is_local(required: Requirements | None, pipenv: Pipfile | None, project: Project | None) -> bool:
    if required or pipenv:
        return bool(required and required.local) or bool(pipenv and pipenv.local)
    return bool(project and (project.local or project.computed))


def _runnable(files: AppFiles, project: Project | None, entry: str | None, *, manifest: bool) -> Evidence | None:
    """What shows that something here can be started."""
    web = [process for process in procfile.read(files) if process.name == base.WEB]
    if web and commands.program(web[0].command) in PROGRAMS:
        return Evidence(file=procfile.FILE, reason="web runs Python")
    application = wsgi.find(files) if manifest or entry else None
    manage = django.find(files, application)
    if manage is not None:
        return Evidence(file=manage, reason="a Django project")
    if application is not None:
        return Evidence(file=application.file, reason=f"defines {application.name}")
    if entry is not None:
        seen = wsgi.look(files, entry)
        if seen.serves or (manifest and seen.main):
            return Evidence(file=entry, reason="it serves" if seen.serves else "it starts something")
    if project is not None and project.package and pystart.script(project):
        return Evidence(file=pyproject.FILE, reason=f"project.scripts.{pystart.script(project)}")
    return None


def _manifests(files: AppFiles, found: Found) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What the installation reads, grouped by the directory it goes to."""
    installer = pyinstall.INSTALLERS.get(found.manager or "")
    if installer is not None:
        present = tuple(name for name in installer.manifests if files.exists(name))
        return (("./", present),)
    groups: dict[str, list[str]] = {}
    for file in found.requirements.files if found.requirements else ():
        directory = file.rpartition("/")[0]
        groups.setdefault(f"./{directory}/" if directory else "./", []).append(file)
    return tuple((target, tuple(sources)) for target, sources in groups.items())
