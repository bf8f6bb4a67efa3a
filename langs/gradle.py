"""A Gradle build: its projects, what of it can be started, and what it says of the Java release."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from langs import gradlescript, jvm, mainclass, properties, versions
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.gradlescript import KOTLIN_JVM, Script, Values
from langs.launch import Kind, Launch
from langs.model import Evidence

SETTINGS: Final = ("settings.gradle.kts", "settings.gradle")
BUILDS: Final = ("build.gradle.kts", "build.gradle")
WRAPPER: Final = "gradle/wrapper/gradle-wrapper.properties"

_MAX_PROJECTS: Final = 500
_JVM: Final = frozenset({"java", "application", "groovy", KOTLIN_JVM})
_SHADOW: Final = frozenset(
    {
        "com.gradleup.shadow",
        "com.github.johnrengelman.shadow",
        "io.github.goooler.shadow",
        "com.github.jengelman.shadow",
    }
)
_DISTRIBUTIONS: Final = frozenset({"application", "io.ktor.plugin", "io.micronaut.application"})
_FRAMEWORKS: Final = frozenset({"org.springframework.boot", "io.quarkus"})
_OTHERS: Final = frozenset(
    {"com.android.application", "com.android.library", "java-gradle-plugin", "ear"}
    | {"org.jetbrains.intellij", "org.jetbrains.intellij.platform", "org.jetbrains.kotlin.multiplatform", "fabric-loom"}
)
"""What makes something else than a server: an app of Android, a plugin, an archive for an application server."""
_NEWEST: Final = (((8, 5), 21), ((7, 3), 17), ((5, 0), 11), ((2, 0), 8))
"""The newest long-term Java that Gradle itself runs on from a release on: docs.gradle.org/current/userguide/
compatibility.html. Older ones than the last run on what is older still."""
_TASKS: Final[Mapping[Kind, str]] = {
    Kind.BOOT: "bootJar",
    Kind.FAT: "shadowJar",
    Kind.THIN: "jar",
    Kind.DISTRIBUTION: "installDist",
    Kind.QUARKUS: "quarkusBuild",
}
_VERSION_NAMES: Final = ("kotlin_version", "kotlinVersion", "kotlin.version", "kotlin")


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """One project of the build."""

    path: str
    """As the settings include it, with slashes; empty for the root's."""
    directory: str
    """Relative to the app's; empty for the app's own."""
    name: str
    plugins: frozenset[str]
    script: Script | None = None


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """All projects of the app, the root first."""

    projects: tuple[Project, ...]
    values: Values
    settings: Script | None
    wrapped: bool
    """Whether the wrapper can be used: its script, its properties and its jar are there."""

    @property
    def root(self) -> Project:
        """The project of the app's directory."""
        return self.projects[0]


def read(files: AppFiles, limit: int = _MAX_PROJECTS) -> Build | None:
    """The build in the app's directory; None where nothing is Gradle's.

    Args:
        files: the app.
        limit: how many projects are read.

    Raises:
        LangError: a project lies outside of the app, or a file cannot be understood.
    """
    file = files.first(*SETTINGS)
    if file is None and files.first(*BUILDS) is None:
        return None
    values = gradlescript.values(files)
    settings = None if file is None else gradlescript.parse(files.read_text(file) or "", file, values)
    root = _project(files, ("", ""), (settings.project if settings else None) or "app", values, frozenset())
    below = root.script.below if root.script else frozenset[str]()
    found = {"": root}
    for said, place in _places(settings)[:limit]:
        path, directory = _inside(said, file or ""), _inside(place, file or "")
        if directory not in found:
            found[directory] = _project(files, (path, directory), posixpath.basename(path), values, below)
    wrapped = all(files.exists(name) for name in ("gradlew", WRAPPER, "gradle/wrapper/gradle-wrapper.jar"))
    return Build(projects=tuple(found.values()), values=values, settings=settings, wrapped=wrapped)


def launch(files: AppFiles, project: Project, *, guess: bool = True) -> Launch | None:
    """How what the project makes is started, or None when nothing shows that it is more than a library.

    Args:
        files: the app.
        project: one of its projects.
        guess: whether a main method in its sources is enough.
    """
    script = project.script
    plugins = project.plugins
    if plugins & _OTHERS or not plugins & (_JVM | _DISTRIBUTIONS | _FRAMEWORKS):
        return None
    if "war" in plugins and not plugins & _FRAMEWORKS:
        return None
    own = Evidence(file=script.file if script else SETTINGS[1], reason="")
    stated = mainclass.legal(script.main) if script else None
    applied = frozenset(script.plugins) if script else frozenset[str]()
    kind = _kind(plugins)
    # What all projects inherit makes apps only of those that have something to start.
    surely = kind is not None and bool(applied & (_FRAMEWORKS | _DISTRIBUTIONS))
    source = mainclass.find(files, project.directory) if guess and not stated and not surely else None
    main = stated or (source[0] if source else None)
    if main is None and not surely:
        return None
    if kind is None or (kind is Kind.FAT and stated is None):
        # Without a main class in its manifest, the jar with everything in it starts no better than the other.
        kind = Kind.THIN
    reasons = {
        Kind.BOOT: "a Spring Boot app",
        Kind.QUARKUS: "a Quarkus app",
        Kind.FAT: "a jar with everything in it",
        Kind.DISTRIBUTION: "an application",
    }
    guessed = source is not None and not surely
    evidence = msgspec.structs.replace(own, reason=reasons.get(kind, "a main class"))
    if source and guessed:
        evidence = Evidence(file=source[1], reason="a main method")
    return Launch(
        kind=kind,
        main=main,
        directory=project.directory,
        evidence=evidence,
        guessed=guessed,
        war="war" in plugins,
        script=mainclass.script((script.application if script else None) or project.name) or "app",
    )


def holder(files: AppFiles) -> AppFiles | None:
    """The directory around the app whose settings include it; a build with settings of its own stands alone."""
    if files.first(*SETTINGS):
        return None
    for above in files.enclosing:
        file = above.first(*SETTINGS)
        if file is not None:
            return above if files.root.relative_to(above.root).as_posix() in _included(above) else None
    return None


@once
def _included(files: AppFiles) -> frozenset[str]:
    """What the settings of the directory include."""
    return frozenset(posixpath.normpath(place) for _, place in _places(_settings(files)))


@once
def _settings(files: AppFiles) -> Script | None:
    file = files.first(*SETTINGS)
    return gradlescript.parse(files.read_text(file) or "", file, Values()) if file else None


def _places(settings: Script | None) -> list[tuple[str, str]]:
    """The paths of the included projects, and where they lie."""
    return [(path, settings.places.get(path, path)) for path in settings.includes] if settings else []


def doubts(files: AppFiles) -> Iterator[str]:
    """What the settings of the directory, or else those around it, say in words that are not understood."""
    for depth, each in enumerate((files, *files.enclosing)):
        if settings := _settings(each):
            if settings.unread:
                where = f"{'../' * depth}{settings.file}:{settings.unread[0]}"
                more = f" (+{len(settings.unread) - 1} more lines)" if len(settings.unread) > 1 else ""
                said = 'write it as project(":api").projectDir = file("services/api"), below the settings\' directory'
                yield f"{where}: projectDir is not read{more}: {said}"
            return


def needed(build: Build, project: Project) -> tuple[str, ...]:
    """The directories of the projects that one of them depends on, directly or not."""
    by_name = {accessor(each.path): each for each in build.projects if each.path}
    # What the root's script says to all projects may be said of this one.
    shared = build.root.script.neighbours if build.root.script else frozenset[str]()
    found: dict[str, None] = {project.directory: None}
    pending = [project]
    while pending:
        script = pending.pop().script
        for name in sorted({*shared, *(script.neighbours if script else ())}):
            neighbour = by_name.get(accessor(name))
            if neighbour is not None and neighbour.directory not in found:
                found[neighbour.directory] = None
                pending.append(neighbour)
    return tuple(directory for directory in found if directory != project.directory)


def accessor(path: str) -> str:
    """A project's path in the one form that its accessor and it have in common: `libs/text-tools`, `libs.textTools`."""
    return re.sub(r"[-_.]", "", path).lower()


def task(project: Project, launched: Launch) -> str:
    """The path of the task that makes what is launched of a project."""
    path = project.path.replace("/", ":")
    name = "bootWar" if launched.war and launched.kind is Kind.BOOT else _TASKS[launched.kind]
    return f"{':' if path else ''}{path}:{name}"


def java_release(files: AppFiles, build: Build, project: Project) -> Iterator[versions.Statement]:
    """What the scripts say of the Java release, in order; else what their wrapper's Gradle runs on.

    Raises:
        LangError: something else than a release stands there.
    """
    scripts = [each for each in (project.script, build.root.script) if each]
    said = [(script, key, value) for script in scripts for key, value in script.releases]
    for script, key, value in said:
        chosen = key in {"languageVersion", "jvmToolchain"}
        name = "toolchain" if chosen else key
        yield (jvm.statement if chosen else jvm.level)(value, source=f"{script.file} {name}", file=script.file)
    version = _wrapper_version(files) if build.wrapped and not said else None
    newest = next((java for gradle, java in _NEWEST if version and version >= gradle), 8)
    if version and newest < int(jvm.DEFAULT):
        yield jvm.statement(str(newest), source=f"{WRAPPER}, whose Gradle runs on no newer one", file=WRAPPER)


def kotlin(build: Build, project: Project) -> tuple[str | None, str] | None:
    """The version of the Kotlin plugin that the project is compiled with, and where it stands; None without Kotlin."""
    if KOTLIN_JVM not in project.plugins:
        return None
    scripts = [each for each in (project.script, build.root.script, build.settings) if each]
    for name in _VERSION_NAMES:
        if name in build.values.properties:
            return build.values.properties[name], f"{gradlescript.PROPERTIES} {name}"
    for script in scripts:
        if KOTLIN_JVM in script.versions:
            return script.versions[KOTLIN_JVM], f"{script.file} plugins"
    for script in scripts:
        for name in _VERSION_NAMES:
            if name in script.constants:
                return script.constants[name], f"{script.file} {name}"
    version = build.values.versions.get("kotlin")
    return (version, f"{gradlescript.CATALOG} versions.kotlin") if version else (None, "")


def manifests(files: AppFiles, build: Build) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What Gradle reads before any source, grouped by the directory it goes to."""
    names = ("gradlew", gradlescript.PROPERTIES, "gradle.lockfile", "settings-gradle.lockfile")
    root = [name for name in names if files.exists(name)]
    root += [*files.glob("*.gradle"), *files.glob("*.gradle.kts")]
    groups = [("./", tuple(root))]
    included = [_inside(path, SETTINGS[0]) for path in (build.settings.builds if build.settings else ())]
    whole = dict.fromkeys(("gradle", "buildSrc", *included))
    groups += [(f"./{name}/", (name,)) for name in whole if name and files.has_directory(name)]
    for project in build.projects[1:]:
        kept = (gradlescript.PROPERTIES, "gradle.lockfile", *([project.script.file] if project.script else []))
        paths = [posixpath.join(project.directory, posixpath.basename(name)) for name in kept]
        found = tuple(path for path in paths if files.exists(path))
        if found:
            groups.append((f"./{project.directory}/", found))
    return tuple(groups)


def outputs(build: Build) -> tuple[str, ...]:
    """The directories that Gradle writes, relative to the app's."""
    found = [posixpath.join(project.directory, "build") for project in build.projects]
    return (".gradle", "buildSrc/build", "buildSrc/.gradle", *found)


def _project(files: AppFiles, where: tuple[str, str], name: str, values: Values, below: frozenset[str]) -> Project:
    path, directory = where
    candidates = [posixpath.join(directory, each) for each in (*BUILDS, f"{name}.gradle.kts", f"{name}.gradle")]
    file = files.first(*candidates)
    script = None if file is None else gradlescript.parse(files.read_text(file) or "", file, values)
    plugins = frozenset(script.plugins) if script else frozenset[str]()
    return Project(path=path, directory=directory, name=name, plugins=plugins | below, script=script)


def _kind(plugins: frozenset[str]) -> Kind | None:
    """What the strongest of the plugins makes."""
    if "io.quarkus" in plugins:
        return Kind.QUARKUS
    if "org.springframework.boot" in plugins:
        return Kind.BOOT
    if plugins & _SHADOW:
        return Kind.FAT
    return Kind.DISTRIBUTION if plugins & _DISTRIBUTIONS else None


def _inside(path: str, file: str) -> str:
    directory = posixpath.normpath(path)
    if directory.startswith(("../", "/")) or directory == "..":
        raise LangError(
            f"the project {path[:80]!r} lies outside of the app's directory, which is all that its build sees",
            file=file,
            hint="Build from the directory that holds all projects.",
        )
    return "" if directory == "." else directory


def _wrapper_version(files: AppFiles) -> tuple[int, ...] | None:
    url = properties.parse(files.read_text(WRAPPER) or "").get("distributionUrl", "")
    match = re.search(r"gradle-([0-9]{1,3})\.([0-9]{1,3})", url, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None
