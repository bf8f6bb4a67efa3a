"""Python with pip or uv: a virtual environment made in the build image and copied into a slim one.

The environment stands at /app/.venv in both images, because its scripts hold absolute paths. Bytecode is compiled at
build time without time stamps: the root is read-only at run time, and the same inputs give the same image.
"""

import re
import shlex
from typing import Final

import msgspec

from langs import base, commands, documents, procfile, pyproject, specifiers, versions, wsgi
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Settings, Version
from langs.pyproject import Project

NAME: Final = "python"
PROGRAMS: Final = frozenset(
    {"celery", "daphne", "fastapi", "flask", "gunicorn", "hypercorn", "python", "python3", "streamlit", "uvicorn"}
    | {"waitress-serve", "uv"}
)
VERSION_VARIABLES: Final = ("PYTHON_VERSION",)
MANIFESTS: Final = (pyproject.FILE, pyproject.REQUIREMENTS, "Pipfile", "setup.py", "setup.cfg", "uv.lock")
ENTRY_POINTS: Final = ("main.py", "app.py", "server.py", "bot.py", "run.py", "wsgi.py", "__main__.py")
IMAGES: Final = ("python",)

_DEFAULT: Final = "3.12.8"
_LINE: Final = 2
_UV: Final = "0.13.9"
"""The uv that builds; it reads the lockfiles of all its predecessors."""
_UNSUPPORTED: Final = (
    ("poetry", "poetry.lock"),
    ("pdm", "pdm.lock"),
    ("pipenv", "Pipfile.lock"),
    ("pipenv", "Pipfile"),
)
_SERVER_NAMES: Final = frozenset({"serve", "server", "start", "web"})
_RUNTIME: Final = re.compile(r"python-(\S+)", re.ASCII)


class _LockHead(msgspec.Struct, rename="kebab"):
    requires_python: str | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the app's files say, read once."""

    project: Project | None
    requirements: pyproject.Requirements | None
    manager: str | None
    manager_file: str
    names: frozenset[str]
    application: wsgi.Application | None
    entry: str | None
    entry_starts: bool
    """Whether the entry point does something when it is started; one that only defines an application ends at once."""


def detect(files: AppFiles) -> Detection | None:
    """A manifest, a lockfile or a bare entry point; an app when something there can be started."""
    manager, manager_file = _manager(files)
    project = pyproject.read(files)
    entry = files.first(*ENTRY_POINTS)
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
    return Detection(language=NAME, evidence=tuple(evidence), package_manager=manager, is_app=runnable is not None)


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image that installs, a slim runtime image with the environment and the sources.

    Raises:
        LangError: a package manager that is not supported, files outside of the app, no start command.
    """
    found = _find(files)
    if found.manager not in {None, "pip", "uv"}:
        raise base.unsupported(found.manager or "", found.manager_file)
    if found.manager_file == pyproject.FILE and found.project and found.project.sources:
        # An index may know another package by the same name, and anybody may publish one.
        raise LangError(
            f"`tool.uv.sources` says where {', '.join(sorted(found.project.sources))[:80]} comes from, and pip would "
            "take it from an index",
            file=pyproject.FILE,
            hint="The build sees the app's directory only: lock it there with uv, or build it with a Dockerfile.",
        )
    version, warnings = _version(files, settings, found.project)
    default, notice = _default_start(found)
    start = base.start(settings, procfile.read(files), default)
    if notice and start.command == default:
        warnings += (notice,)
    ignored = next((file for _, file in _UNSUPPORTED if found.manager == "pip" and files.exists(file)), None)
    if ignored:
        warnings += (f"{found.manager_file} is installed; {ignored} is not read",)
    if found.manager and not files.exists("uv.lock"):
        pinned = found.manager_file == pyproject.REQUIREMENTS
        warnings += () if pinned else ("there is no lockfile: the versions installed may differ from build to build",)
    builder = base.image(settings, "python", version.value)
    runtime = base.image(settings, "python", f"{version.value}-slim")
    uv = found.manager == "uv"
    mount = base.cache(settings, "uv", "/root/.cache/uv") if uv else base.cache(settings, "pip", "/root/.cache/pip")
    project = found.project
    package = bool(project and project.package and found.manager_file != pyproject.REQUIREMENTS)
    local = bool(found.requirements.local if found.requirements else project and project.local)
    application = found.application
    text = base.dockerfile(
        "python.Dockerfile.j2",
        settings=settings,
        command=start.command,
        values={
            "builder": builder,
            "runtime": runtime,
            "uv": _UV if uv else None,
            "manifests": _manifests(files, found),
            "requirements": pyproject.REQUIREMENTS if found.requirements and not uv else None,
            "dependencies": () if found.requirements or uv or project is None else project.dependencies,
            "package": package,
            "sources_first": local,
            "in_place": local or package,
            "mount": mount,
            "gunicorn": "gunicorn" in found.names or commands.program(start.command) == "gunicorn",
            "source_directory": application.directory if application else "",
            "title": base.title(project.name if project else None),
        },
    )
    return AppBuild(
        language=NAME,
        version=version,
        package_manager=found.manager,
        dockerfile=text,
        dockerfile_path=None,
        dockerignore=base.dockerignore(files),
        start_command=start.command,
        processes=start.processes,
        port=settings.port,
        cache=(mount,) if found.manager else (),
        evidence=detection.evidence,
        considered=detection.considered,
        warnings=warnings,
    )


def _manager(files: AppFiles) -> tuple[str | None, str]:
    """The package manager and the file that says so; None for an app without dependencies."""
    if files.exists("uv.lock"):
        return "uv", "uv.lock"
    if files.exists(pyproject.REQUIREMENTS):
        return "pip", pyproject.REQUIREMENTS
    for manager, file in _UNSUPPORTED:
        if files.exists(file):
            return manager, file
    project = pyproject.read(files)
    if project is not None and project.poetry:
        return "poetry", pyproject.FILE
    if project is not None and project.is_project:
        return "pip", pyproject.FILE
    return None, ""


def _find(files: AppFiles) -> Found:
    manager, manager_file = _manager(files)
    project = pyproject.read(files)
    required = pyproject.requirements(files) if manager_file == pyproject.REQUIREMENTS else None
    names = required.names if required else pyproject.names(project.dependencies) if project else frozenset[str]()
    entry = files.first(*ENTRY_POINTS)
    return Found(
        project=project,
        requirements=required,
        manager=manager,
        manager_file=manager_file,
        names=names,
        application=wsgi.find(files),
        entry=entry,
        entry_starts=entry is not None and wsgi.look(files, entry).main,
    )


def _runnable(files: AppFiles, project: Project | None, entry: str | None, *, manifest: bool) -> Evidence | None:
    """What shows that something here can be started."""
    web = [process for process in procfile.read(files) if process.name == base.WEB]
    if web and commands.program(web[0].command) in PROGRAMS:
        return Evidence(file=procfile.FILE, reason="web runs Python")
    if files.exists("manage.py") and files.glob("*/wsgi.py"):
        return Evidence(file="manage.py", reason="a Django project")
    application = wsgi.find(files) if manifest or entry else None
    if application is not None:
        return Evidence(file=application.file, reason=f"defines {application.name}")
    if entry is not None:
        seen = wsgi.look(files, entry)
        if seen.serves or (manifest and seen.main):
            return Evidence(file=entry, reason="it serves" if seen.serves else "it starts something")
    if project is not None and project.package and _script(project):
        return Evidence(file=pyproject.FILE, reason=f"project.scripts.{_script(project)}")
    return None


def _script(project: Project) -> str | None:
    """The console script that starts a server, by its name."""
    return next((name for name in project.scripts if name in _SERVER_NAMES), None)


def _default_start(found: Found) -> tuple[str | None, str | None]:
    """The start command when neither configuration nor Procfile gives one, and a warning that goes with it."""
    served = _served(found.application, found.names) if found.application else None
    if served is not None:
        return served, None
    idle = found.application is not None and not found.entry_starts
    if found.application is not None and idle and "flask" in found.names:
        command = f"flask --app {found.application.module} run --host 0.0.0.0 --port $PORT"
        return command, "Flask's own server is for development: add gunicorn to the dependencies"
    if found.entry is not None and not idle:
        return f"python {found.entry}", None
    return (_script(found.project) if found.project and found.project.package else None), None


def _served(application: wsgi.Application, names: frozenset[str]) -> str | None:
    """The command of the first server among the dependencies that can load the application."""
    target = f"{application.module}:{application.name}"
    called = shlex.quote(f"{target}()") if application.factory else target
    factory, call = (" --factory", " --call") if application.factory else ("", "")
    servers = (
        (True, "uvicorn", f"uvicorn{factory} --host 0.0.0.0 --port $PORT {target}"),
        (True, "hypercorn", f"hypercorn --bind 0.0.0.0:$PORT {called}"),
        (False, "gunicorn", f"gunicorn --bind 0.0.0.0:$PORT {called}"),
        (False, "waitress", f"waitress-serve{call} --listen=0.0.0.0:$PORT {target}"),
    )
    return next((command for asgi, name, command in servers if asgi == application.asgi and name in names), None)


def _manifests(files: AppFiles, found: Found) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What the installation reads, grouped by the directory it goes to."""
    if found.manager == "uv":
        return (("./", (pyproject.FILE, "uv.lock")),) if files.exists(pyproject.FILE) else ()
    groups: dict[str, list[str]] = {}
    for file in found.requirements.files if found.requirements else ():
        directory = file.rpartition("/")[0]
        groups.setdefault(f"./{directory}/" if directory else "./", []).append(file)
    return tuple((target, tuple(sources)) for target, sources in groups.items())


def _version(files: AppFiles, settings: Settings, project: Project | None) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [specifiers.pep440(forced.value, source=forced.source)] if forced else []
    lines = [line.partition("#")[0].strip() for line in (files.read_text(".python-version") or "").split("\n")]
    text = next((line for line in lines if line), None)
    if text:
        stated.append(
            specifiers.pep440(text.removeprefix("cpython-"), source=".python-version", file=".python-version")
        )
    text = (files.read_text("runtime.txt") or "").strip()
    if text:
        match = _RUNTIME.fullmatch(text)
        stated.append(specifiers.pep440(match[1] if match else text, source="runtime.txt", file="runtime.txt"))
    locked = _locked(files)
    if locked:
        stated.append(specifiers.pep440(locked, source="uv.lock requires-python", file="uv.lock"))
    if project and project.requires_python:
        source = f"{pyproject.FILE} requires-python"
        stated.append(specifiers.pep440(project.requires_python, source=source, file=pyproject.FILE))
    stated += versions.tool_files(files, ("python",), specifiers.pep440)
    return versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)


def _locked(files: AppFiles) -> str | None:
    """`requires-python` of uv.lock, which stands in its head: the whole file may be megabytes."""
    head = (files.read_head("uv.lock") or "").partition("\n[")[0]
    return documents.toml_as(head, _LockHead, "uv.lock").requires_python
