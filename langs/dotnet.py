"""C#, F# and Visual Basic: restored, published, and started on the ASP.NET Core or the plain runtime.

A solution holds many projects; one is published. Restoring reads project files only, so that those of the project and
of all that it refers to are copied before. Packages stay in the layer, and the cache mount holds NuGet's downloads:
what restoring made refers to the packages by their place, which must be there whenever the layer is taken from a cache.

Which SDK builds is said by global.json (or is the newest of its line), which runtime runs by the project's target
framework: an app for .NET 8 is not started by a runtime of .NET 9, unless somebody asks for that version by name.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from langs import base, commands, documents, dotnetsolution, msbuild, procfile, versions, workspace, xml
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.model import AppBuild, Detection, Evidence, Process, Settings, Version
from langs.msbuild import Project

NAME: Final = "dotnet"
PROGRAMS: Final = frozenset({"dotnet"})
VERSION_VARIABLES: Final = ("DOTNET_VERSION",)
MANIFESTS: Final = ("*.csproj", "*.fsproj", "*.vbproj", "*.sln", "*.slnx")
ENTRY_POINTS: Final = ()
IMAGES: Final = ("mcr.microsoft.com/dotnet/sdk", "mcr.microsoft.com/dotnet/aspnet", "mcr.microsoft.com/dotnet/runtime")

_DEFAULT: Final = "8.0"
_LINE: Final = 2
_MAX_EVIDENCE: Final = 20
_GLOBAL: Final = dotnetsolution.GLOBAL
_NUGET: Final = dotnetsolution.NUGET
_SOLUTIONS: Final = dotnetsolution.SOLUTIONS
_LANGUAGES: Final = {".csproj": "C#", ".fsproj": "F#", ".vbproj": "Visual Basic"}
_FIRST_HTTP_PORTS: Final = (8, 0)
"""The first release that reads $ASPNETCORE_HTTP_PORTS (what is new in ASP.NET Core 8.0)."""
_FIRST_FEATURE_BAND: Final = 100
"""The third number of an SDK's version is 100 or more (https://learn.microsoft.com/dotnet/core/versions)."""
_EXACT_POLICIES: Final = frozenset({"disable", "patch", "latestpatch"})
"""The policies of global.json that only SDKs of its own feature band satisfy; the image of the line has the newest."""
_VERSION: Final = re.compile(
    r"(?:net|netcoreapp|v)?([0-9]{1,3})(?:\.([0-9]{1,3}|[xX*]))?(?:\.([0-9]{1,5}|[xX*]))?", re.ASCII
)
_ASSEMBLY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_ADDRESSES: Final = ("ASPNETCORE_", "--urls", "DOTNET_URLS")
_RUN_HINT: Final = f"Set {base.RUN_SETTING} to `dotnet NAME.dll` of the one to start, or add it to a Procfile as `web`."
_VERSION_HINT: Final = "Write a version of .NET, such as 8.0, or of its SDK, such as 8.0.404."


class _Sdk(msgspec.Struct, rename="camel"):
    version: str | None = None
    roll_forward: str | None = None


class _GlobalJson(msgspec.Struct):
    sdk: _Sdk = msgspec.field(default_factory=_Sdk)


class _Stated(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says: a line, and the one SDK or runtime of it when it says so."""

    statement: versions.Statement
    sdk: str | None = None


class _Lines(msgspec.Struct, frozen=True, kw_only=True):
    """What builds and what runs."""

    version: Version
    sdk: str
    """The tag of the SDK's image."""
    runtime: str
    """The tag of the runtime's image."""
    framework: str | None = None
    """The one that is published, where the project targets several."""
    forward: bool = False
    """Whether the runtime is newer than the one that the project targets, because somebody asks for it."""
    warnings: tuple[str, ...] = ()


def detect(files: AppFiles) -> Detection | None:
    """Solutions and project files; an app when exactly one of the programs is the obvious one to start.

    Project files that only lie somewhere below, without a solution or settings of MSBuild in the directory itself,
    are apps of their own directories; so is a solution with several programs no app as a whole.
    """
    found = msbuild.files_of(files)
    solutions = tuple(file for pattern in _SOLUTIONS for file in files.glob(pattern))
    web = next((process.command for process in procfile.read(files) if process.name == base.WEB), "")
    wished = commands.program(web) in PROGRAMS
    if not found and not solutions and not wished:
        return None
    evidence = [Evidence(file=file, reason="a solution") for file in solutions]
    settings_here = files.first(_GLOBAL, *msbuild.PROPS, *_NUGET)
    own = bool(solutions) or settings_here is not None or any("/" not in file for file in found)
    projects = _programs(files, found) if own else []
    by_file = {project.file: project for project in projects}
    for file in found[:_MAX_EVIDENCE]:
        reason = f"a {_LANGUAGES[file[file.rindex('.') :]]} project"
        if file in by_file:
            reason += " for ASP.NET Core" if by_file[file].web else ", a program"
        evidence.append(Evidence(file=file, reason=reason))
    if wished:
        evidence.append(Evidence(file=procfile.FILE, reason="web runs .NET"))
    obvious = wished or len(_likeliest(projects)) == 1
    within = _governed(files) if obvious and projects else None
    if within is not None:
        evidence.append(Evidence(file=projects[0].file, reason=f"a project of the solution {within}"))
    is_app = wished or (own and obvious and within is None)
    chosen = _likeliest(projects) if is_app else []
    member = dotnetsolution.member_of(files, chosen[0]) if len(chosen) == 1 else None
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager="nuget" if found else None,
        packages=workspace.from_root(member.root, member.needed) if member else (),
        is_app=is_app,
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """The SDK's image publishes one project, the runtime's image runs it.

    Raises:
        LangError: no program or several, the .NET Framework, a project outside of the app, a password in nuget.config.
    """
    declared = procfile.read(files)
    project = _choose(files, settings, declared)
    member = dotnetsolution.member_of(files, project) if project else None
    root = member.root if member else files
    project = member.project if member else project
    lines = _lines(files if files.exists(_GLOBAL) else root, settings, project)
    start = base.start(settings, declared, None if project is None else f"dotnet {_assembly(project)}.dll")
    projects = msbuild.closure(root, project) if project else ()
    sources = _sources(root)
    manifests = _manifests(root, projects, sources)
    # Of the hardened images one runs both.
    console = project is not None and not project.web and not settings.hardened
    runtime = base.image(settings, IMAGES[2] if console else IMAGES[1], lines.runtime, runs=True)
    cache = base.cache(settings, "nuget", "/var/cache/nuget")
    locked = project and root.exists(posixpath.join(posixpath.dirname(project.file), "packages.lock.json"))
    warnings = (*lines.warnings, *_unseen(projects))
    if project and project.alone:
        warnings += (f"{project.file} asks for a native or single file: it is published for the runtime of the image",)
    command = start.command if settings.hardened else _listening(start.command, lines.runtime)
    text = base.dockerfile(
        "dotnet.Dockerfile.j2",
        settings=settings,
        command=command,
        asks=("nuget",),
        values={
            "builder": base.image(settings, IMAGES[0], lines.sdk),
            "runtime": runtime,
            "manifests": manifests,
            "home": f"/app/{member.path}" if member else "/app",
            "project": project.file if project else None,
            "locked": bool(locked),
            "framework": lines.framework,
            "alone": bool(project and project.alone),
            "forward": lines.forward,
            "listen": _addresses(lines.runtime, str(settings.port)) if settings.hardened else None,
            "cache": cache,
            "title": base.title(project.assembly) if project else None,
        },
    )
    return base.generated(
        files,
        settings,
        detection,
        version=lines.version,
        package_manager=detection.package_manager,
        dockerfile=text,
        start=base.restarted(start, command),
        cache=(cache,) if project else (),
        ignored=("**/bin/Debug", "**/bin/Release", "**/obj"),
        warnings=warnings,
        place=member.place(tuple(path for _, paths in manifests for path in paths)) if member else None,
    )


def _programs(files: AppFiles, found: Iterable[str]) -> list[Project]:
    """The projects that make a program which is no test; those that nobody can read are the build's business."""
    projects: list[Project] = []
    for file in found:
        with suppress(LangError):
            project = msbuild.read(files, file)
            if project is not None and project.program and not project.test:
                projects.append(project)
    return projects


def _likeliest(projects: list[Project]) -> list[Project]:
    """Those in the directory itself before those below, the ones that serve before the others."""
    here = [project for project in projects if "/" not in project.file] or projects
    return [project for project in here if project.web] or here


def _governed(files: AppFiles) -> str | None:
    """The solution above the app which is an app itself, and of which this directory is a part."""
    for depth, above in enumerate(files.enclosing, start=1):
        solutions = tuple(file for pattern in _SOLUTIONS for file in above.glob(pattern))
        if solutions:
            projects = _programs(above, msbuild.files_of(above))
            return "../" * depth + solutions[0] if len(_likeliest(projects)) == 1 else None
    return None


def _choose(files: AppFiles, settings: Settings, declared: tuple[Process, ...]) -> Project | None:
    """The project to publish; None where a command of the app's own builds without one."""
    found = msbuild.files_of(files)
    if not found and settings.build_command is not None:
        return None
    if not found:
        raise LangError("there is no project", hint=f"Run `dotnet new web`, or set {base.BUILD_SETTING}.")
    programs = _programs(files, found)
    wanted = settings.run_command or next((each.command for each in declared if each.name == base.WEB), "")
    named = {word.rpartition("/")[2] for word in wanted.split()}
    by_name = [project for project in programs if f"{project.assembly}.dll" in named]
    for candidates in (by_name, _likeliest(programs)):
        if len(candidates) == 1:
            return candidates[0]
    if programs:
        names = ", ".join(project.file[:200] for project in _likeliest(programs)[:20])
        raise LangError(f"several projects make a program: {names}", file=programs[0].file, hint=_RUN_HINT)
    raise _no_program([project for file in found if (project := msbuild.read(files, file)) is not None])


def _no_program(projects: list[Project]) -> LangError:
    for project in projects:
        if project.wasm:
            return base.unsupported("Blazor WebAssembly without a server", project.file)
        if project.sdk is None or (project.targets and not project.test):
            return LangError(
                f"targets {(project.targets or 'the .NET Framework')[:80]!r}, which needs Windows or is a library",
                file=project.file,
                hint="Target a line of .NET such as net8.0, with OutputType Exe; or write a Dockerfile.",
            )
    return LangError(
        "no project makes a program",
        file=projects[0].file,
        hint='Use Sdk="Microsoft.NET.Sdk.Web", or set OutputType to Exe.',
    )


def _assembly(project: Project) -> str:
    if not _ASSEMBLY.fullmatch(project.assembly):
        raise LangError(
            f"AssemblyName: {project.assembly[:80]!r} cannot be started by its name",
            file=project.file,
            hint=f"Use letters, digits, `.`, `_` and `-`; or set {base.RUN_SETTING}.",
        )
    return project.assembly


def _listening(command: str, runtime: str) -> str:
    """`command`, with the port that the container is told where ASP.NET Core looks for it."""
    if commands.program(command) not in PROGRAMS or any(word in command for word in _ADDRESSES):
        return command
    if command.split(maxsplit=1)[0] != "dotnet":
        return command
    return f"{_addresses(runtime, '$PORT')} {command}"


def _addresses(runtime: str, port: str) -> str:
    """The variable that tells ASP.NET Core its port, on all interfaces; the images set it to 8080 themselves."""
    if _numbers(runtime) >= _FIRST_HTTP_PORTS:
        return f'ASPNETCORE_HTTP_PORTS="{port}"'
    return f'ASPNETCORE_URLS="http://+:{port}"'


def _lines(files: AppFiles, settings: Settings, project: Project | None) -> _Lines:
    forced = base.forced(settings, NAME)
    stated = [_statement(forced.value, source=forced.source)] if forced else []
    text = files.read_text(_GLOBAL)
    pinned = documents.json_as(_without_comments(text), _GlobalJson, _GLOBAL).sdk if text else _Sdk()
    if pinned.version:
        stated.append(_of_sdk(pinned))
    if project and project.frameworks:
        file = project.stated_in or project.file
        said = ".".join(map(str, project.frameworks[0]))
        stated.append(_statement(said, source=f"{file} TargetFramework", file=file))
    said_by_tools: list[_Stated] = []

    def noted(text: str, *, source: str, file: str | None = None) -> versions.Statement:
        said_by_tools.append(_statement(text, source=source, file=file))
        return said_by_tools[-1].statement

    for _ in versions.tool_files(files, ("dotnet", "dotnet-core"), noted):
        pass
    stated += said_by_tools
    version, warnings = versions.resolve(
        [each.statement for each in stated], settings=settings, table=NAME, default=_DEFAULT, line=_LINE
    )
    line = _numbers(version.value)
    targets = [each for each in project.frameworks if each <= line] if project else []
    if project and project.frameworks and not targets:
        raise LangError(
            f"{version.source} asks for .NET {version.value}, whose SDK cannot build {_said(project.frameworks[-1])}",
            file=project.file,
            hint="State the version that the project targets, or a later one.",
        )
    exact = stated[0].sdk if stated else None
    own = _said(line)
    runs = own if forced or not targets else _said(targets[0])
    if forced and len(version.value.split(".")) > _LINE:
        runs = version.value
    if forced and targets and targets[0] < line:
        warnings = tuple(each for each in warnings if "TargetFramework" not in each)
    elif not forced:
        # That an SDK builds for an older line is no contradiction.
        warnings = tuple(each for each in warnings if "TargetFramework" not in each or not targets)
    if not stated and project and project.targets:
        where = f"{project.stated_in or project.file}: TargetFramework {project.targets[:80]!r}"
        warnings += (f"{where} is not understood; .NET {version.value} is taken",)
    return _Lines(
        version=version,
        sdk=exact or own,
        runtime=runs,
        framework=f"net{_said(targets[0])}" if project and project.several and targets else None,
        forward=bool(forced and targets and targets[0] < line),
        warnings=warnings,
    )


def _statement(text: str, *, source: str, file: str | None = None) -> _Stated:
    """What `8`, `8.0`, `net8.0`, `8.0.404` (an SDK) or `8.0.11` (a runtime) says."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise versions.not_understood(text, source=source, file=file, hint=_VERSION_HINT)
    major, minor, patch = match.groups()
    line = f"{int(major)}.{minor if minor and minor.isdigit() else 0}"
    is_sdk = patch is not None and patch.isdigit() and int(patch) >= _FIRST_FEATURE_BAND
    value = f"{line}.{patch}" if patch and patch.isdigit() and not is_sdk else line
    statement = versions.exact(value, source=source, file=file, hint=_VERSION_HINT)
    return _Stated(
        statement=msgspec.structs.replace(statement, text=text),
        sdk=f"{line}.{int(patch)}" if patch and is_sdk else None,
    )


def _of_sdk(pinned: _Sdk) -> _Stated:
    text = pinned.version or ""
    source = f"{_GLOBAL} sdk.version"
    # It knows the policies, and refuses what is no SDK's version.
    versions.sdk(text, pinned.roll_forward, source=source, file=_GLOBAL)
    said = _statement(".".join(text.strip().split("-")[0].split(".")[:3]), source=source, file=_GLOBAL)
    exact = (pinned.roll_forward or "latestPatch").lower() in _EXACT_POLICIES
    return said if exact else msgspec.structs.replace(said, sdk=None)


def _without_comments(text: str) -> str:
    """global.json may hold comments, as the SDK's own reader allows; none of its values has two slashes."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def _numbers(value: str) -> tuple[int, int]:
    major, minor = (int(part) for part in value.split(".")[:_LINE])
    return major, minor


def _said(line: tuple[int, int]) -> str:
    return ".".join(map(str, line))


def _sources(files: AppFiles) -> tuple[str, ...]:
    """Directories of the app that nuget.config names as feeds.

    Raises:
        LangError: it holds a password.
    """
    file = files.first(*_NUGET)
    if file is None:
        return ()
    root = xml.parse(files.read_text(file) or "", file)
    for section in root.all("packageSourceCredentials"):
        for source in section.children:
            for entry in source.all("add"):
                key = entry.attributes.get("key", "").lower()
                value = entry.attributes.get("value", "")
                if "password" in key and not re.fullmatch(r"%[A-Za-z_][A-Za-z0-9_]*%", value):
                    raise LangError(
                        "holds a credential in plain text",
                        file=file,
                        line=entry.line,
                        hint='Write value="%NUGET_TOKEN%" and declare the secret NUGET_TOKEN for this app.',
                    )
    found: list[str] = []
    for entry in root.all("packageSources", "add"):
        path = posixpath.normpath(entry.attributes.get("value", "").replace("\\", "/"))
        if "://" not in path and ":/" not in path and not path.startswith(("/", "..")) and files.has_directory(path):
            found.append(path)
    return tuple(found)


def _unseen(projects: Iterable[Project]) -> Iterator[str]:
    """Warnings of files that projects name, and that are not sent."""
    for project in projects:
        for said in project.unread:
            yield f"{said} leads out of the project's directory and is computed: the build does not see those files"
        for path in project.astray:
            yield f"{project.file}: {path[:80]!r} lies outside of what the build sees"


def _manifests(
    files: AppFiles, projects: tuple[Project, ...], sources: tuple[str, ...]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What restoring reads, grouped by the directory it goes to."""
    if not projects:
        return ()
    solutions = tuple(file for pattern in _SOLUTIONS for file in files.glob(pattern))
    nuget = files.first(*_NUGET)
    paths: dict[str, None] = dict.fromkeys((*solutions, *((_GLOBAL,) if files.exists(_GLOBAL) else ())))
    if nuget:
        paths[nuget] = None
    for project in projects:
        directory = posixpath.dirname(project.file)
        lock = posixpath.join(directory, "packages.lock.json")
        paths |= dict.fromkeys((*project.imports, project.file, *((lock,) if files.exists(lock) else ())))
    groups: dict[str, list[str]] = {}
    for path in paths:
        directory = posixpath.dirname(path)
        groups.setdefault(f"./{directory}/" if directory else "./", []).append(require_plain_name(path))
    copied = [(target, tuple(found)) for target, found in groups.items()]
    copied += [(f"./{path}/", (path,)) for path in sources]
    return tuple(copied)
