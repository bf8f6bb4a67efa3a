"""The apps of a monorepo: which directories hold one, by one listing of files and a look at the few that may.

A directory is looked at when it holds a *marker*: a manifest, a Procfile, a Dockerfile, our own file. Whether it is an
app is the language's judgement, so libraries, workspace roots and tool configuration fall out there. A bare source
file (`main.py`) is a weaker sign: it counts only where no manifest of its language and no app stands above it, because
the entry points of an app's packages have the same names.

Not looked at, anywhere below the root: hidden directories, and those whose names say that they hold other people's
code (`node_modules`), output (`dist`), or examples and tests (`testdata`); `places` knows them. A directory called
`docker` or the like that only has a Dockerfile or a Compose file is a recipe of its parent. The root's file overrules
all of this: `[apps."path"]` declares an app, `ignore` takes one away; and a directory named on the command line is
always looked at.

A Compose file is several apps, one for each service that is built: `deploy/compose.yaml#api`. Where the directory of a
service is an app by itself, that is built, unless the Compose file was asked for or says more than a Dockerfile there.
"""

import functools
import os
import posixpath
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from langs.facts import COMPOSE_FILES, DOCKERFILE, DOCKERFILES, ENTRY_POINTS, MANIFESTS, PAGES, PROCFILE
from langs.model import Detection, Service, Settings
from langs.real import Real
from orchestrator.config import Config, EachSettings, credentials
from orchestrator.config.repository import FILE
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import App
from orchestrator.workspace import places
from orchestrator.workspace.border import Problems, errors_of
from orchestrator.workspace.files import printable
from orchestrator.workspace.ignored import ignore_spec
from orchestrator.workspace.names import assign

Detect = Callable[[Path, Settings], Detection | None]

MARKERS = frozenset({*(name for names in MANIFESTS.values() for name in names), PROCFILE, FILE})
SOURCES = frozenset(name for names in ENTRY_POINTS.values() for name in names)
_SPOKEN_FOR = {name: tuple(said for said, names in ENTRY_POINTS.items() if name in names) for name in SOURCES}
"""Bare source file -> the languages that it is one of."""
MARKED_ENDINGS = tuple(name[1:] for name in MARKERS if name.startswith("*."))
"""Of manifests that are named after what they build."""

RECIPE = frozenset({*DOCKERFILES, *COMPOSE_FILES})
SURE = frozenset({PROCFILE, FILE, *RECIPE})
"""Markers of an app in whatever language."""
RECIPES = frozenset({"docker", "dockerfiles", "build", "ci", "deploy", "deployment", "infra"})


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A directory that may hold an app."""

    path: str
    marked: bool
    """It holds a marker, is declared, or was named; else only a bare source file."""
    sure: bool = False
    """The same, but for manifests: these mark an app of their own language alone."""
    languages: frozenset[str] = frozenset()
    """Of its bare source files."""


def candidates(files: Iterable[str], config: Config, named: tuple[str, ...] = ()) -> tuple[Candidate, ...]:
    """The directories worth a look, parents first.

    Args:
        files: all files of the source, as paths from the root.
        config: declares and ignores.
        named: directories named on the command line.
    """
    found: dict[str, set[str]] = {}
    for file in files:
        directory, _, name = file.rpartition("/")
        marks = _is_marker(name)
        if marks or name in SOURCES:
            above, _, last = directory.rpartition("/")
            directory = above if last == places.ROOT_BELOW and not marks else directory
            found.setdefault(directory or ".", set()).add(name)
    ignored = ignore_spec(config.ignore) if config.ignore else None
    project = config.project_path or "."
    kept: dict[str, Candidate] = {}
    for path, names in found.items():
        markers = set(filter(_is_marker, names))
        recipe = markers <= RECIPE and bool(markers) and path.rpartition("/")[2] in RECIPES
        looked_at = path == project or (not recipe and places.is_looked_at(_parts(path, project)))
        looked_at = looked_at and _below(path, project) and not _hidden(path)
        if looked_at and not (ignored and ignored.match_file(f"{path}/")):
            languages = frozenset(language for name in names for language in _SPOKEN_FOR.get(name, ()))
            if markers or languages - {PAGES} or places.holds_pages(_parts(path, project)):
                sure = not markers.isdisjoint(SURE)
                kept[path] = Candidate(path=path, marked=bool(markers), sure=sure, languages=languages)
    declared = [path for path in (*config.tables, ".") if config.is_declared(path) and _below(path, project)]
    for path in (*declared, *named):
        if path not in kept or not kept[path].marked:
            kept[path] = Candidate(path=path, marked=True, sure=True)
    return tuple(sorted(kept.values(), key=lambda each: (each.path != ".", each.path.split("/"))))


def _unheard(_message: str) -> None:
    pass


def _unseen(_path: str, _detection: Detection) -> None:
    pass


def discover(
    files: Iterable[str],
    config: Config,
    detect: Detect,
    named: tuple[str, ...] = (),
    real: Real | None = None,
    *,
    absent: Collection[str] = (),
    warn: Callable[[str], None] = _unheard,
    left_out: Callable[[str, Detection], None] = _unseen,
) -> tuple[App, ...]:
    """The apps of the monorepo, parents first.

    Args:
        files: those of the source that tell something, as paths from the root; others do no harm.
        config: what is known beforehand.
        detect: recognises a directory (`langs.detect`).
        named: directories named on the command line; the ones that are no app are left out.
        real: has resolved directories before.
        absent: directories of which a sparse checkout leaves files out: a declared app that is not there for this
            reason alone is no error.
        warn: hears of it.
        left_out: hears of directories that were recognised, and of which nothing is started.

    Raises:
        ConfigError: a declared app is none, two apps have one name, or an app's files cannot be understood.
    """
    files = tuple(files)
    governed = _governed(files)
    real = real or Real()
    settings_for = EachSettings(config)
    apps: dict[str, App] = {}
    several: dict[str, App] = {}
    problems = Problems()
    looked_at, asked_for = candidates(files, config, named), frozenset(named)
    for candidate in looked_at:
        path = candidate.path
        if not candidate.marked and _part_of_something(candidate, apps, governed):
            continue
        directory = inside(config, path, real)
        declared = config.is_declared(path)
        with problems.collected(path, declared=declared), errors_of(path):
            settings = settings_for(path)
            detection = detect(directory, settings) if directory is not None else None
            if directory is None or detection is None:
                if declared and path in absent:
                    warn(f"{printable(path)}: this app is left out: the checkout is sparse, and does not have it")
                elif declared:
                    raise _no_app(config, path, directory)
                continue
            if not candidate.sure and _is_bare(detection):
                bare = msgspec.structs.replace(candidate, languages=frozenset({detection.language}))
                if _part_of_something(bare, apps, governed):
                    continue
            if detection.is_app or declared or path in asked_for:
                found = App(name=path, path=path, directory=directory, detection=detection, settings=settings)
                (several if detection.services else apps)[path] = found
            else:
                left_out(path, detection)
    apps = {path: app for path, app in apps.items() if not _is_taken_apart(config, app, apps)}
    services: list[App] = []
    for path, found in several.items():
        with problems.collected(path, declared=config.is_declared(path)):
            said = found.detection.language == found.settings.language or found.settings.compose_file is not None
            services += _services(config, path, found.detection, found.settings, {} if said else apps)
    problems.raise_all(among=len(looked_at))
    replaced = {*(app.directory for app in services), *_recipes(services)}
    rest = [app for app in apps.values() if app.directory not in replaced] if replaced else apps.values()
    return _named(config, [*rest, *services])


def _is_taken_apart(config: Config, app: App, apps: Collection[str]) -> bool:
    """Whether somebody declares a program of it to be an app: it is none as a whole then, unless that is said, too."""
    programs = (_joined(app.path, program) for program in app.detection.programs)
    return not config.is_declared(app.path) and any(config.is_declared(path) and path in apps for path in programs)


def _governed(files: Iterable[str]) -> Mapping[str, set[str]]:
    """Language -> the directories with a manifest of it."""
    governed: dict[str, set[str]] = {language: set() for language in MANIFESTS}
    for file in files:
        directory, _, name = file.rpartition("/")
        if _is_marker(name):
            for language in _languages_of(name):
                governed[language].add(directory or ".")
    # A page may belong to anything.
    governed[PAGES].update(*governed.values())
    return governed


@functools.cache
def _languages_of(manifest: str) -> tuple[str, ...]:
    return tuple(language for language, names in MANIFESTS.items() if _is_one_of(manifest, names))


def _recipes(services: Iterable[App]) -> Iterator[Path]:
    """Directories whose Dockerfiles services are built by, from contexts of their own."""
    for app in services:
        service = app.settings.service
        if service is not None and service.dockerfile and posixpath.basename(service.dockerfile) in DOCKERFILES:
            yield Path(posixpath.normpath(app.directory / service.dockerfile)).parent


def _named(config: Config, apps: Iterable[App]) -> tuple[App, ...]:
    """The apps with their final names."""
    apps = tuple(apps)
    services = {app.path: app.settings.service.name for app in apps if app.settings.service is not None}
    configured = {app.path: None if app.path in services else config.name_for(app.path) for app in apps}
    names = assign(configured, config.root.name, last=services)
    return tuple(msgspec.structs.replace(app, name=names[app.path]) for app in apps)


def _services(
    config: Config,
    path: str,
    detection: Detection,
    settings: Settings,
    apps: Mapping[str, App],
) -> Iterator[App]:
    """The apps of the Compose file at `path`, but for those that `apps` has by better evidence.

    Raises:
        ConfigError: a service's directory is not there or lies outside of the root, or an argument is a credential.
    """
    replaced: dict[str, str] = {}
    built: list[tuple[Service, str, str]] = []
    for service in detection.services:
        file = _joined(path, service.file)
        context = _joined(path, service.context)
        recipe = posixpath.dirname(_joined(context, service.dockerfile or DOCKERFILES[0])) or "."
        better = next((each for each in (context, recipe) if each in apps and _is_better(apps[each].detection)), None)
        if better is None:
            built.append((service, file, context))
        else:
            replaced[service.name] = better
    for service, file, context in built:
        where = f"{printable(file)}: services.{service.name}"
        directory = inside(config, context)
        if directory is None:
            raise ConfigError(
                f"{where}: {printable(context)!r} is no directory of the source", hint="Correct `build.context`."
            )
        for name, value in service.args.items():
            if why := credentials.reason(name, value):
                raise ConfigError(
                    f"{where}: build.args.{name}: {why}, and arguments end up in the image's history",
                    hint="Remove it, and mount a secret: `build.secrets` here, `RUN --mount=type=secret` there.",
                )
        yield App(
            name=service.name,
            path=f"{file}#{service.name}",
            directory=directory,
            detection=Detection(language=detection.language, evidence=detection.evidence, warnings=detection.warnings),
            contexts={name: replaced.get(need, f"{file}#{need}") for name, need in service.needs.items()},
            settings=msgspec.structs.replace(
                settings,
                service=service,
                secrets=tuple(dict.fromkeys((*settings.secrets, *service.secrets))),
                ssh=tuple(dict.fromkeys((*settings.ssh, *service.ssh))),
            ),
        )


def _is_better(detection: Detection) -> bool:
    return detection.language != DOCKERFILE


def told(config: Config, path: str, detect: Detect) -> tuple[App, ...]:
    """The app at `path` as the environment tells it: `$LANGUAGE`, `$RUN_COMMAND` and their like speak of it alone.

    Of a Compose file these are all its services.

    Raises:
        ConfigError: nothing is recognised there all the same, or its files cannot be understood.
    """
    settings = config.settings_for(path, sole=True)
    directory = inside(config, path)
    with errors_of(path):
        detection = detect(directory, settings) if directory is not None else None
    if detection is None:
        said = ", ".join(f"${name}" for name in config.environment.sole_app_variables)
        problem = "is no directory of the source" if directory is None else f"nothing in it was recognised, with {said}"
        raise ConfigError(f"{printable(path)!r}: {problem}", hint="Correct $PROJECT_PATH, or set $LANGUAGE.")
    if detection.services:
        with errors_of(path):
            return _named(config, _services(config, path, detection, settings, {}))
    return _named(
        config, [App(name=path, path=path, directory=config.root / path, detection=detection, settings=settings)]
    )


def select(apps: tuple[App, ...], named: tuple[str, ...]) -> tuple[App, ...]:
    """The apps that paths name: the app at a path, else all apps below it; without paths all of them.

    Raises:
        UsageError: a path names none.
    """
    chosen: dict[str, App] = {}
    by_path = {app.path: app for app in apps}
    for path in named:
        found = [by_path[path]] if path in by_path else [app for app in apps if _below(app.path, path)]
        if not found:
            same_name = next((app for app in apps if app.name == path), None)
            hint = (
                f"Did you mean {printable(same_name.path)!r}?" if same_name else "See `fleetpacks apps` for all apps."
            )
            raise UsageError(f"{printable(path)!r}: there is no app", hint=hint)
        chosen |= {app.path: app for app in found}
    return tuple(app for app in apps if app.path in chosen) if named else apps


def named_paths(root: Path, words: tuple[str, ...], absent: Collection[str] = ()) -> tuple[str, ...]:
    """Paths of the command line, as paths from the root.

    Args:
        root: the source.
        words: the paths.
        absent: directories of which a sparse checkout leaves files out.

    Raises:
        UsageError: one is outside of the root, or no directory.
    """
    paths: list[str] = []
    for word in words:
        file, service, _ = word.partition("#")
        if service and (root / file).is_file():
            # A service of a Compose file, which `select` looks for.
            paths.append(posixpath.normpath(word))
            continue
        try:
            directory = os.path.realpath(root / word, strict=True)
        except (OSError, ValueError):
            directory = None
        if directory is None or not os.path.isdir(directory):  # noqa: PTH112 -- as in `inside`
            if (place := posixpath.normpath(word)) in absent:
                raise UsageError(f"{printable(word)!r} {LEFT_OUT}", hint=check_out_hint(place))
            raise UsageError(f"{printable(word)!r}: no such directory in {root}", hint="See `fleetpacks apps`.")
        if not _is_inside(directory, root):
            raise UsageError(
                f"{printable(word)!r} is outside of the source {root}", hint="Name a path below it, or change -C."
            )
        paths.append(directory[len(str(root).rstrip("/")) + 1 :] or ".")
    return tuple(paths)


def tells(name: str) -> bool:
    """Whether there may be an app, or none, because of files of this name; discovery passes over all others."""
    return name in SOURCES or _is_marker(name)


@functools.cache
def _is_marker(name: str) -> bool:
    return name in MARKERS or name.endswith(MARKED_ENDINGS)


def _is_one_of(name: str, manifests: tuple[str, ...]) -> bool:
    return name in manifests or any(each.startswith("*.") and name.endswith(each[1:]) for each in manifests)


def _parts(path: str, project: str) -> tuple[str, ...]:
    relative = path if project == "." else path[len(project) + 1 :]
    return tuple(relative.split("/"))


def _below(path: str, above: str) -> bool:
    return above in {".", path} or path.startswith(f"{above}/")


def _hidden(path: str) -> bool:
    return path != "." and "/." in f"/{path}"


def _ancestors(path: str) -> Iterator[str]:
    while path != ".":
        path = path.rpartition("/")[0] or "."
        yield path


def _is_bare(detection: Detection) -> bool:
    """Whether no manifest speaks for it: what marked its directory is of another language."""
    return not any(_is_marker(posixpath.basename(each.file)) for each in detection.evidence)


def _part_of_something(candidate: Candidate, apps: Iterable[str], governed: Mapping[str, set[str]]) -> bool:
    above = set(_ancestors(candidate.path))
    return not above.isdisjoint(apps) or all(not above.isdisjoint(governed[name]) for name in candidate.languages)


def inside(config: Config, path: str, real: Real | None = None) -> Path | None:
    """The directory at `path`, unless it does not exist or is reached by leaving the root.

    Args:
        config: knows the root.
        path: from the root.
        real: resolves many of them.
    """
    directory = config.root / path
    found = (real or Real()).directory(str(directory))
    return directory if found is not None and _is_inside(found, config.root) else None


def _is_inside(real: str, root: Path) -> bool:
    above = str(root)
    return real == above or real.startswith(f"{above.rstrip('/')}/")


def _joined(directory: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(directory, path))


LEFT_OUT = "is left out by the sparse checkout"


def check_out_hint(path: str) -> str:
    """How a directory gets into a sparse checkout."""
    return f"Check it out: git sparse-checkout add {shlex.quote(printable(path))}"


_NO_DIRECTORY_HINT = "Correct the path, or remove the table."


def _no_app(config: Config, path: str, directory: Path | None) -> ConfigError:
    problem = "is no directory of the source" if directory is None else "nothing in it was recognised as an app"
    hint = _NO_DIRECTORY_HINT if directory is None else "State language or dockerfile for it."
    table = config.tables.get(path) or config.shared
    if table is None:
        return ConfigError(f"{path}: {problem}", hint=hint)
    return table.error((), f"{printable(path)!r} {problem}", hint=hint)
