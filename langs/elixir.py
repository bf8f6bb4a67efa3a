"""Elixir: Mix projects as releases, or under `mix run` where no release can be; Phoenix with its assets."""

import posixpath
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from langs import base, commands, mixfile, procfile, spans, versions
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.mixfile import Project
from langs.model import AppBuild, Detection, Evidence, Process, Settings, Version

NAME: Final = "elixir"
PROGRAMS: Final = frozenset({"elixir", "iex", "mix"})
VERSION_VARIABLES: Final = ("ELIXIR_VERSION",)
RUNTIME_VARIABLES: Final[Mapping[str, str]] = {"ERLANG_VERSION": "erlang", "OTP_VERSION": "erlang"}
VARIABLES: Final = ("MIX_ENV",)
MANIFESTS: Final = (mixfile.FILE,)
ENTRY_POINTS: Final = ()
IMAGES: Final = ("elixir", "node")

_DEFAULT: Final = "1.18.4"
_LINE: Final = 2
_LOCK: Final = "mix.lock"
_ERLANG: Final = "erlang"
_NODE: Final = "22.16.0"
_OTP: Final = re.compile(r"(.+?)-otp-([0-9]{2})", re.ASCII)
_ATOM: Final = re.compile(r"[a-z][a-zA-Z0-9_]{0,127}", re.ASCII)
"""What Mix accepts as the name of a release, but for its upper bound."""
_CHECKS_LOCK: Final = (1, 15)
"""Since this release `mix deps.get` has --check-locked."""
_PLATFORMS: Final[Mapping[tuple[int, ...], tuple[int, int]]] = {
    (1, 14): (23, 26),
    (1, 15): (24, 26),
    (1, 16): (24, 26),
    (1, 17): (25, 27),
    (1, 18): (25, 28),
    (1, 19): (26, 28),
    (1, 20): (27, 29),
}
"""Elixir's release line -> the oldest and the newest Erlang/OTP (hexdocs.pm/elixir/compatibility-and-deprecations)."""
_OTP_HINT: Final = "Write a release of Erlang/OTP such as 27 or 27.3.4."
_IGNORED: Final = ("_build", "deps", "apps/*/_build", "apps/*/deps", "cover", "erl_crash.dump", "**/.elixir_ls", "*.ez")
"""What Mix makes again."""
_ASSETS_LOCKS: Final = (("yarn", "assets/yarn.lock"), ("pnpm", "assets/pnpm-lock.yaml"))


def detect(files: AppFiles) -> Detection | None:
    """mix.exs; an app when it starts something, is a Phoenix one, or has releases."""
    project = mixfile.read(files)
    if project is None:
        return None
    evidence = [Evidence(file=mixfile.FILE, reason="a Mix project")]
    if files.exists(_LOCK):
        evidence.append(Evidence(file=_LOCK, reason="locked by Mix"))
    if "phoenix" in project.names:
        evidence.append(Evidence(file=mixfile.FILE, reason="it depends on Phoenix"))
    web = [process for process in procfile.read(files) if process.name == base.WEB]
    wished = bool(web) and commands.program(web[0].command) in PROGRAMS
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager="mix",
        is_app=not project.root.member and (project.starts or bool(project.root.releases) or wished),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with Mix, a runtime image with a release: the app, its dependencies and Erlang's runtime.

    Raises:
        LangError: no mix.exs, a dependency outside of the app, several releases, no start command.
    """
    settings = base.with_variables(settings, VARIABLES)
    project = mixfile.read(files)
    if project is None:
        raise LangError("there is no mix.exs", hint="Run `mix new`, or set `language` for this app.")
    version, otp, warnings = _versions(files, settings, project)
    declared = procfile.read(files)
    release = _release(project, settings, declared)
    start = base.start(settings, declared, _default_start(project, release))
    locked = files.exists(_LOCK)
    dependencies = [each for mix in project.all for each in mix.dependencies if not each.in_umbrella]
    fetches = locked or bool(dependencies)
    if not locked and any(each.path is None for each in dependencies):
        warnings += (f"there is no {_LOCK}: the versions installed may differ from build to build",)
    tag = f"{version.value}-otp-{otp.value}" if otp else version.value
    hex_cache = msgspec.structs.replace(base.cache(settings, "hex", "/root/.hex"), sharing="locked")
    npm = base.cache(settings, "npm", "/root/.npm")
    deploys = any(each.deploys_assets for each in project.all)
    modules = deploys and _has_modules(files)
    text = base.dockerfile(
        "elixir.Dockerfile.j2",
        settings=settings,
        command=start.command,
        values={
            "builder": base.image(settings, "elixir", tag),
            "runtime": base.image(settings, "elixir", f"{tag}-slim"),
            "node": base.image(settings, "node", f"{_NODE}-slim", runs=False) if modules else None,
            "modules": files.exists("assets/package-lock.json"),
            "npm": npm,
            "hex": hex_cache,
            "fetches": fetches,
            "frozen": locked and _supports_check(version.value),
            "umbrella": bool(project.children),
            "manifests": _manifests(files, project),
            "config": _config(files, project),
            "deploys": deploys,
            "release": release,
            # A release that is made of the app as it is goes by no name.
            "listed": bool(project.root.releases),
            "cookie": any(each.cookie for each in project.all),
            "built_path": _built_path(start) if release is not None else None,
            "phoenix": "phoenix" in project.names,
            "title": base.title(project.root.app),
        },
        asks=("hex", *(("npm",) if modules else ())),
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        runtime_version=otp,
        package_manager=detection.package_manager,
        dockerfile=text,
        start=start,
        cache=(*((hex_cache,) if fetches else ()), *((npm,) if modules else ())),
        ignored=_IGNORED,
        warnings=warnings,
    )


def _built_path(start: base.Start) -> str | None:
    """Where in `_build` a process starts the release from: the name of Mix's environment."""
    found = (re.search(r"\b_build/([a-z][a-z0-9_]*)/rel/", each.command) for each in start.processes)
    return next((match[1] for match in found if match), None)


def _release(project: Project, settings: Settings, declared: tuple[Process, ...]) -> str | None:
    """The release to assemble; None where the app runs under Mix.

    Raises:
        LangError: there are several, or its name is none.
    """
    stated = [settings.run_command] if settings.run_command is not None else []
    lines = [*stated, *(process.command for process in declared if not stated or process.name != base.WEB)]
    programs = [commands.program(line) for line in lines]
    root = project.root
    if PROGRAMS.intersection(programs):
        # A release holds no Mix.
        return None
    names = root.releases or ((root.app,) if root.app and not root.apps_path else ())
    if not names:
        return None
    for name in (*programs, root.default_release, *(names if len(names) == 1 else ()), root.app):
        if name is not None and name in names:
            return _checked(name)
    raise LangError(
        f"several releases were found: {', '.join(name[:80] for name in names[:20])}",
        file=mixfile.FILE,
        hint=f"Set `default_release`, or name one: `web: bin/NAME start` in a Procfile, or {base.RUN_SETTING}.",
    )


def _checked(name: str) -> str:
    if not _ATOM.fullmatch(name):
        hint = "Use lower-case letters, digits and `_`."
        raise LangError(f"{name[:80]!r} is no name of a release", file=mixfile.FILE, hint=hint)
    return name


def _default_start(project: Project, release: str | None) -> str | None:
    if release is not None:
        return f"bin/{release} start" if project.starts or project.root.releases else None
    if not project.starts:
        return None
    # Everything is compiled, and what is not in the image need not be asked for.
    task = "phx.server" if "phoenix" in project.names else "run --no-halt"
    return f"mix {task} --no-compile --no-deps-check"


def _manifests(files: AppFiles, project: Project) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What `mix deps.get` reads, grouped by the directory it goes to."""
    names = tuple(name for name in (mixfile.FILE, _LOCK) if files.exists(name))
    groups = [("./", names)]
    groups += [(f"./{each.directory}/", (f"{each.directory}/{mixfile.FILE}",)) for each in project.children]
    groups += [
        (f"./{path}/", (path,)) for path in map(require_plain_name, project.paths()) if files.has_directory(path)
    ]
    return tuple(groups)


def _config(files: AppFiles, project: Project) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The configuration that dependencies are compiled with; runtime.exs is read when the app starts."""
    directories = ("config", *(f"{each.directory}/config" for each in project.children))
    groups = ((directory, files.glob(f"{directory}/*.exs")) for directory in directories)
    kept = ((place, tuple(file for file in found if not file.endswith("/runtime.exs"))) for place, found in groups)
    return tuple((f"./{place}/", found) for place, found in kept if found)


def _has_modules(files: AppFiles) -> bool:
    """Whether the assets have packages of npm."""
    if not files.exists("assets/package.json"):
        return False
    for manager, file in _ASSETS_LOCKS:
        if files.exists(file):
            raise base.unsupported(f"{manager} for Phoenix's assets", file)
    return True


def _supports_check(version: str) -> bool:
    numbers = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", version)
    return numbers is not None and versions.release(numbers[0]) >= _CHECKS_LOCK


def _versions(files: AppFiles, settings: Settings, project: Project) -> tuple[Version, Version | None, tuple[str, ...]]:
    """Elixir's version, Erlang/OTP's where something states it, and what there is to warn of."""
    platforms: list[versions.Statement] = []

    def elixir(text: str, *, source: str, file: str | None = None) -> versions.Statement:
        match = _OTP.fullmatch(text.strip())
        if match:
            platforms.append(otp(match[2], source=source, file=file))
        return versions.elixir(match[1] if match else text, source=source, file=file)

    def otp(text: str, *, source: str, file: str | None = None) -> versions.Statement:
        stated = versions.exact(text.strip().removeprefix("OTP-"), source=source, file=file, hint=_OTP_HINT)
        major = (stated.exact or "").partition(".")[0]
        return versions.exact(major, source=source, file=file, hint=_OTP_HINT)

    forced = base.forced(settings, NAME)
    stated = [elixir(forced.value, source=forced.source)] if forced else []
    text = (files.read_text(".elixir-version") or "").strip()
    if text:
        stated.append(elixir(text, source=".elixir-version", file=".elixir-version"))
    required = [
        elixir(each.elixir, source=f"{file} elixir", file=file)
        for each in project.all
        for file in [posixpath.join(each.directory, mixfile.FILE)]
        if each.elixir
    ]
    # What the applications of an umbrella require stands behind what is said of all of it.
    stated += [each for each in required if each.file == mixfile.FILE]
    stated += versions.tool_files(files, (NAME,), elixir)
    stated += [each for each in required if each.file != mixfile.FILE]
    version, warnings = versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)
    forced = base.forced(settings, _ERLANG)
    named = [otp(forced.value, source=forced.source)] if forced else []
    # The one that an Elixir was made for says nothing of another Elixir.
    named += [
        *versions.tool_files(files, (_ERLANG,), otp),
        *(each for each in platforms if each.source == version.source),
    ]
    if not named:
        return version, None, warnings
    platform, more = versions.resolve(named, settings=settings, table=_ERLANG, default="", line=1)
    if not _runs_on(version, platform):
        # A range of Elixir may hold an older one that does.
        chosen, told = versions.resolve(
            [*stated, _made_for(platform)], settings=settings, table=NAME, default=_DEFAULT, line=_LINE
        )
        if _runs_on(chosen, platform):
            return chosen, platform, (*told, *more)
        left = f"{platform.source} asks for Erlang/OTP {platform.value}, which Elixir {version.value} does not run on"
        return version, None, (*warnings, *more, f"{left}; the one of its image is used")
    return version, platform, (*warnings, *more)


def _runs_on(version: Version, platform: Version) -> bool:
    oldest, newest = _PLATFORMS.get(versions.release(version.value.partition("-")[0])[:_LINE], (0, 99))
    return oldest <= int(platform.value) <= newest


def _made_for(platform: Version) -> versions.Statement:
    """The Elixirs that run on this Erlang/OTP."""
    lines = (line for line, (oldest, newest) in _PLATFORMS.items() if oldest <= int(platform.value) <= newest)
    text = f"Erlang/OTP {platform.value}"
    return versions.Statement(source=platform.source, text=text, spans=tuple(map(spans.line, lines)))
