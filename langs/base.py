"""What a language is, and what all of them share: settings checked once, base images, processes, ignore rules."""

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec

from langs import commands, debian, hardened, health, indexes, network, procfile, render, workspace
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import EPOCH, AppBuild, CacheMount, Detection, Process, Settings, Version
from langs.steps import Steps

DOCKERFILE_HINT: Final = 'Write a Dockerfile for this app; `language = "dockerfile"` makes it the one that is built.'
RUN_SETTING: Final = "`run` in fleetpacks.toml or $RUN_COMMAND"
BUILD_SETTING: Final = "`build` in fleetpacks.toml or $BUILD_COMMAND"
RELEASE: Final = "release"
WEB: Final = "web"

IGNORED: Final = (
    ".git",
    ".hg",
    ".svn",
    ".dockerignore",
    "Dockerfile*",
    "compose*.y*ml",
    "docker-compose*.y*ml",
    "fleetpacks.toml",
    "**/.DS_Store",
    "**/.env",
    "**/.env.*",
    "**/.ssh",
    "**/.netrc",
    "**/.git-credentials",
    "**/.pypirc",
    "**/.aws/credentials",
    "**/.docker/config.json",
    "**/.kube/config",
    "**/id_rsa",
    "**/id_ecdsa",
    "**/id_ed25519",
    "**/.cache",
    "**/.idea",
    "**/.vscode",
    "**/.mypy_cache",
    "**/.pytest_cache",
    "**/.ruff_cache",
    "**/.nox",
    "**/.tox",
    "**/.venv",
    "**/__pycache__",
    "**/*.py[co]",
    "**/node_modules",
    "**/npm-debug.log*",
)
"""Left out of every generated build's context: what is made again inside, what is private, what changes for nothing."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CACHE_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_TITLE: Final = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@._/-]{0,127}", re.ASCII)


class Language(Protocol):
    """One language: a module with these names."""

    @property
    def NAME(self) -> str:  # noqa: N802  (a module's constant)
        """What settings, results and `--json` call it."""
        ...

    @property
    def PROGRAMS(self) -> frozenset[str]:  # noqa: N802  (a module's constant)
        """Programs which, started by the Procfile's `web`, speak for this language."""
        ...

    @property
    def VERSION_VARIABLES(self) -> tuple[str, ...]:  # noqa: N802  (a module's constant)
        """Environment variables that force a version of it."""
        ...

    @property
    def MANIFESTS(self) -> tuple[str, ...]:  # noqa: N802  (a module's constant)
        """Files that make a directory worth a look, and that govern this language's sources below it."""
        ...

    @property
    def ENTRY_POINTS(self) -> tuple[str, ...]:  # noqa: N802  (a module's constant)
        """Sources that may be an app by themselves, where no manifest stands above them; the likeliest first."""
        ...

    @property
    def IMAGES(self) -> tuple[str, ...]:  # noqa: N802  (a module's constant)
        """The well-known names of the base images that it builds on, which `images` may replace."""
        ...

    def detect(self, files: AppFiles) -> Detection | None:
        """What speaks for this language in an app, or None."""
        ...

    def build(self, files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
        """Everything needed to build the app's image.

        Raises:
            LangError: a file of the app cannot be understood, or asks for what is not supported.
        """
        ...


class NothingStartsError(LangError):
    """Neither the app nor configuration says what is started."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """How the image starts, and the app's other processes."""

    command: str
    processes: tuple[Process, ...]


def start(
    settings: Settings, declared: tuple[Process, ...], default: str | None, *, lacking: LangError | None = None
) -> Start:
    """Choose the start command: the settings', the Procfile's `web`, or the language's own `default`.

    The command becomes the process `web`; the Procfile's other processes are kept. `lacking` is the error where there
    is none, and more is known of why.

    Raises:
        NothingStartsError: there is no command.
        LangError: it is no command line.
    """
    web = next((process.command for process in declared if process.name == WEB), None)
    if settings.run_command is not None:
        command = commands.check(settings.run_command, key=RUN_SETTING)
    elif web is not None:
        command = commands.check(web, key=WEB, file=procfile.FILE)
    elif default is not None:
        command = default
    else:
        hint = f"Add `web: COMMAND` to a Procfile, or set {RUN_SETTING}."
        raise lacking or NothingStartsError("no start command was found", hint=hint)
    others = tuple(process for process in declared if process.name != WEB)
    return Start(command=command, processes=(Process(name=WEB, command=command), *others))


def started(commands_by_name: Mapping[str, str]) -> Start:
    """Processes whose commands were rewritten, by name; the app itself is among them."""
    processes = tuple(Process(name=name, command=command) for name, command in commands_by_name.items())
    return Start(command=commands_by_name[WEB], processes=processes)


def restarted(start: Start, command: str) -> Start:
    """The same processes, the app itself being started by another command."""
    others = (each for each in start.processes if each.name != WEB)
    return Start(command=command, processes=(Process(name=WEB, command=command), *others))


def image(settings: Settings, name: str, tag: str, *, runs: bool | None = None) -> str:
    """The full reference of a base image, with the digest that the lock file has for it.

    Args:
        settings: `images[name]` replaces the well-known name: as it stands when it has a tag or a digest or is
            `scratch`, else as the repository in which `tag` is looked up. `hardened` replaces what is not replaced by
            name.
        name: the well-known name, such as `node`.
        tag: the tag of the well-known image.
        runs: whether it is the image that runs the app, where its tag does not say so (`-slim`, `-jre`).

    Raises:
        LangError: it is no image reference, or there is no hardened image that could run the app.
    """
    found = _image(settings, name, tag, runs=runs)
    digest = settings.pinned.get(found)
    if digest is None or "@" in found:
        return found
    if not _IMAGE.fullmatch(digest):
        raise LangError(f"{digest[:80]!r} is not a digest", hint="Write sha256: and 64 hexadecimal digits.")
    return f"{found}@{digest}"


def _image(settings: Settings, name: str, tag: str, *, runs: bool | None) -> str:
    replaced = settings.images.get(name)
    if replaced is not None and not _IMAGE.fullmatch(replaced):
        raise LangError(
            f"images.{name}: {replaced[:80]!r} is not an image reference", hint="Write `registry.example/name:tag`."
        )
    if not _TAG.fullmatch(tag):
        raise LangError(f"{tag[:80]!r} is not an image tag", hint="State a plain version.")
    if replaced == hardened.SCRATCH:
        return replaced
    if replaced is not None:
        return replaced if ":" in replaced.rpartition("/")[2] or "@" in replaced else f"{replaced}:{tag}"
    if settings.hardened:
        running = hardened.runs(tag) if runs is None else runs
        found = hardened.running(name, tag) if running else hardened.building(name, tag)
        if found is not None:
            return f"{_hardened_registry(settings)}/{found}"
        if running:
            raise LangError(
                f"there is no hardened image that could run what {name}:{tag} runs",
                hint=f"Unset $USE_DHI for this app, or name an image of yours: images.{name} in fleetpacks.toml.",
            )
    return f"{name}:{tag}"


def _hardened_registry(settings: Settings) -> str:
    registry = settings.hardened_registry
    if not _IMAGE.fullmatch(registry):
        raise LangError(
            f"{registry[:80]!r} is not the address of a registry", hint="Write $DHI_MIRROR as `registry.example/dhi`."
        )
    return registry.rstrip("/")


def cache(settings: Settings, tool: str, target: str) -> CacheMount:
    """The cache mount of a package manager, in the app's cache namespace.

    Raises:
        LangError: the namespace could end the mount's option.
    """
    if not _CACHE_KEY.fullmatch(settings.cache_key):
        raise LangError(
            f"cache key {settings.cache_key[:80]!r} is not a name", hint="Use letters, digits, `.`, `_` and `-`."
        )
    return CacheMount(id=f"{settings.cache_key}-{tool}", target=target)


def forced(settings: Settings, language: str) -> Version | None:
    """The version that configuration or environment forces, if any."""
    return settings.versions.get(language)


def told(settings: Settings, names: Iterable[str]) -> Mapping[str, str]:
    """What the builder's environment says under these names, where `env` does not say it."""
    return {name: settings.variables[name] for name in names if name in settings.variables and name not in settings.env}


def with_variables(settings: Settings, names: Iterable[str]) -> Settings:
    """The same settings with what the builder's environment says under these names as a part of `env`."""
    return msgspec.structs.replace(settings, env={**told(settings, names), **settings.env})


def flag(settings: Settings, name: str) -> bool:
    """Whether a variable of the builder's environment says yes."""
    return settings.variables.get(name, "").lower() in {"1", "true", "yes", "on"}


def words(settings: Settings, name: str) -> tuple[str, ...]:
    """The words of a variable of the builder's environment, to be quoted by whoever writes them into a step.

    Raises:
        LangError: it is no command line.
    """
    text = settings.variables.get(name, "")
    return tuple(shlex.split(commands.check(text, key=f"${name}"))) if text.strip() else ()


def title(text: object) -> str | None:
    """A project's own name as an image label, when it is one; it decides nothing, so that a strange one is left out."""
    return text if isinstance(text, str) and _TITLE.fullmatch(text) else None


def dockerfile(
    template: str,
    *,
    settings: Settings,
    command: str,
    values: Mapping[str, object],
    asks: tuple[str, ...] = (),
    probe: health.Probe = health.SHELL,
) -> str:
    """Render a language's template with what all templates need.

    Args:
        template: its name.
        settings: the app's.
        command: what starts the image.
        values: the language's own.
        asks: the package indexes (`indexes.NAMES`) that its steps ask, which the operator may have mirrors of.
        probe: what asks the app whether it is well, where somebody wants that.

    Raises:
        LangError: a setting cannot be written into a Dockerfile, or the image cannot do what is asked of it.
    """
    runtime = str(values["runtime"])
    bare = hardened.is_bare(runtime) or (settings.hardened and runtime.startswith(f"{_hardened_registry(settings)}/"))
    if bare and settings.apt_run:
        raise debian.refused(settings, runtime)
    cmd = commands.exec_form(command)
    if settings.hardened or bare:
        cmd = commands.without_shell(command, {"PORT": str(settings.port)})
    said = {
        **common(settings, asks),
        "cmd": cmd,
        "healthcheck": health.words(
            settings.healthcheck, probe, has_shell=not bare, image=runtime, images=settings.images
        ),
        "front_end": settings.assets,
        **values,
    }
    return render.render(template, {**said, "step": Steps(said)})


def _packages(settings: Settings) -> tuple[CacheMount, ...]:
    """The cache mounts of the steps that install packages: none where there are no such steps."""
    if not settings.apt and not settings.apt_run:
        return ()
    # Two installations cannot write to one directory at the same time.
    places = (("apt", "/var/cache/apt"), ("apt-lists", "/var/lib/apt/lists"))
    return tuple(msgspec.structs.replace(cache(settings, *place), sharing="locked") for place in places)


def stages(template: str, *, settings: Settings, values: Mapping[str, object], asks: tuple[str, ...] = ()) -> str:
    """Render the stages that make a part of an app in another language.

    Raises:
        LangError: a setting cannot be written into a Dockerfile.
    """
    said = {**common(settings, asks), **values}
    return render.render(template, {**said, "step": Steps(said)}).strip("\n")


def common(settings: Settings, asks: tuple[str, ...]) -> Mapping[str, object]:
    """What the shared steps of all templates read.

    Raises:
        LangError: a setting cannot be written into a Dockerfile.
    """
    maximum = 65535
    if not 0 < settings.port <= maximum:
        raise LangError(f"port {settings.port} is not between 1 and {maximum}", hint="Set `port` to a TCP port.")
    said = (*settings.env, *settings.passed, *settings.arguments)
    for kind, names in (("variable", said), ("secret", settings.secrets)):
        for name in names:
            if not _NAME.fullmatch(name):
                raise LangError(f"{name[:80]!r} is not the name of a {kind}", hint="Use letters, digits and `_`.")
    build = settings.build_command
    return {
        "env": dict(settings.env),
        "passed": {name: value for name, value in settings.passed.items() if name not in settings.env},
        "arguments": tuple(name for name in settings.arguments if name not in settings.env),
        "reproducible": EPOCH in settings.arguments,
        "origin": settings.origin,
        "secrets": settings.secrets,
        "invalidating": settings.invalidating,
        "indexes": indexes.mirrored(settings.indexes, asks),
        "network": network.seen(settings.network, asks),
        "distribution": indexes.mirrored(settings.indexes, ("apt",)),
        "apt": debian.merged(debian.checked("apt", settings.apt)),
        "apt_run": debian.merged(debian.checked("apt_run", settings.apt_run)),
        "apt_mounts": _packages(settings),
        "port": settings.port,
        "listens": not settings.worker,
        "user": hardened.USER if settings.hardened else "1000:1000",
        "build_command": None if build is None else commands.check(build, key=BUILD_SETTING),
    }


def dockerignore(files: AppFiles, *extra: str, place: workspace.Place | None = None) -> str:
    """The ignore rules of a generated build: ours, then the user's own, which may take ours back.

    Raises:
        LangError: the user's file cannot be read.
    """
    own = files.read_text(".dockerignore")
    if place is not None:
        return "\n".join(workspace.ignore_rules(place, (*IGNORED, *extra), own)) + "\n"
    return "\n".join((*IGNORED, *extra, *([own.strip("\n")] if own else []))) + "\n"


def generated(
    files: AppFiles,
    settings: Settings,
    detection: Detection,
    *,
    version: Version | None,
    package_manager: str | None,
    dockerfile: str,
    start: Start,
    cache: tuple[CacheMount, ...] = (),
    ignored: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
    runtime_version: Version | None = None,
    place: workspace.Place | None = None,
) -> AppBuild:
    """The end of a language's `build`: a generated Dockerfile with what is said of every app alike.

    Args:
        files: the app's.
        settings: what configuration says of it.
        detection: what it was recognised as.
        version: the language's own.
        package_manager: what installs, if anything does.
        dockerfile: the text.
        start: the app's processes.
        cache: the mounts that stand in the text.
        ignored: what else than `IGNORED` is left out of the context.
        warnings: what the app's owner should know.
        runtime_version: of what the language runs on, where that has a version of its own.
        place: where the app stands in what is built together with it; None when that is the app alone.

    Raises:
        LangError: the user's .dockerignore cannot be read, or two workspaces have the app.
    """
    front_end = settings.assets
    if place is not None and front_end is not None and front_end.origin:
        raise LangError(
            "the app and its front end are members of two workspaces",
            hint="Give the front end a directory of its own, or leave it out: `buildpacks` names what is in an app.",
        )
    context, rules = place.context if place else ".", dockerignore(files, *ignored, place=place)
    if front_end is not None and front_end.origin:
        # They see the app's directory, too, by rules that are an allow-list.
        own = (each if each.startswith("**/") else f"{front_end.origin}/{each.lstrip('/')}" for each in ignored)
        context, rules = front_end.context, "".join((front_end.dockerignore or "", *(f"{each}\n" for each in own)))
    return AppBuild(
        language=detection.language,
        version=version,
        runtime_version=runtime_version,
        package_manager=package_manager,
        dockerfile=dockerfile,
        dockerfile_path=None,
        dockerignore=rules,
        context=context,
        start_command=start.command,
        processes=start.processes,
        port=settings.port,
        cache=(*cache, *_packages(settings)),
        evidence=detection.evidence,
        apt=debian.merged(settings.apt),
        apt_run=debian.merged(settings.apt_run),
        needs=settings.needs,
        healthcheck=health.path_of(settings.healthcheck),
        considered=detection.considered,
        warnings=warnings,
        args=settings.arguments,
    )


def unsupported(tool: str, file: str) -> LangError:
    """The error for a package manager that is recognised and not built yet."""
    return LangError(f"{tool} is not supported yet", file=file, hint=DOCKERFILE_HINT)
