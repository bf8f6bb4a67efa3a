"""An app that Maven or Gradle builds, in Java or in Kotlin: found once, then planned for the language that claims it.

The dependency step runs the build tool where only its own files are: Maven its whole lifecycle, because that fetches
what the build will need and no more (`dependency:go-offline` fetches three times as much), Gradle a task that resolves
every configuration. All it fetches stays in the cache mount, and the step's layer is a mark. Where the layer is known
and the mount is empty, on a fresh builder, the build step fetches what it needs itself: no step works offline.

What starts is a copy of what the build made, under a name that no version changes. A start command of the user's own
may name any file of the build, so that the image then holds the whole directory as well.
"""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from langs import base, commands, gradle, health, jvm, jvmhealth, jvmproject, launch, maven, procfile, workspace
from langs.errors import LangError
from langs.files import AppFiles
from langs.jvmproject import Found, Member
from langs.launch import Launch
from langs.model import EPOCH, AppBuild, CacheMount, Detection, Evidence, Process, Settings, Version

PROGRAMS: Final = frozenset({"java", "gradle", "gradlew", "mvn", "mvnw"})

_STATING: Final = (".java-version", ".sdkmanrc", "system.properties", ".tool-versions", "mise.toml")
_WRITTEN: Final[Mapping[str, tuple[str, ...]]] = {"maven": ("target",), "gradle": (".gradle", "build")}
"""What the tools write into a module's directory."""
_DEPENDENCY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
"""The newest whose Maven may be as old as a wrapper's: it works with 3.2.5."""

_NOT_REPACKAGED: Final = "-Dspring-boot.repackage.skip=true"
"""docs.spring.io/spring-boot/maven-plugin/packaging.html"""

_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_OLDEST: Final = 315_532_802
"""1980-01-01T00:00:02Z: the first time that zip, and so Maven, can tell."""
_YOUNGEST: Final = 4_102_444_799
"""The last that Maven takes."""


def detect(files: AppFiles, language: str) -> Detection | None:
    """The detection of an app whose sources are written in `language`.

    Raises:
        LangError: a file cannot be understood.
    """
    found = jvmproject.find(files)
    if found is None or found.language != language:
        return None
    tool = "a Maven project" if found.tool == "maven" else "a Gradle build"
    evidence = [Evidence(file=found.file, reason=tool)]
    evidence += [found.kotlin] if found.kotlin else []
    member = jvmproject.member_of(files)
    launches = found.launches or (member.launches if member else ())
    evidence += [each.evidence for each in found.launches]
    declared = procfile.read(files)
    wished = any(process.name == base.WEB and _starts_it(process.command) for process in declared)
    evidence += [Evidence(file=procfile.FILE, reason="web runs a JVM")] if wished else []
    return Detection(
        language=language,
        evidence=tuple(evidence),
        package_manager=found.tool,
        packages=workspace.from_root(member.root, (path or "." for path in member.needed)) if member else (),
        is_app=(wished or len(launches) == 1) and not jvmproject.held(files, found),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with Maven or Gradle, a runtime image with a JVM and what starts; the version is Java's.

    Raises:
        LangError: nothing or too much can be started, or a file cannot be understood.
    """
    found = jvmproject.find(files)
    if found is None:
        raise LangError(
            "there is no pom.xml and no build of Gradle",
            hint=f"Put one of them here. {base.DOCKERFILE_HINT}",
        )
    member = jvmproject.member_of(files)
    if member is not None:
        found = msgspec.structs.replace(found, work=member.work, launches=member.launches)
    declared = procfile.read(files)
    launched = _target(settings, declared, found)
    start = base.start(settings, declared, launch.command(launched, settings) if launched else None)
    own = launched is None or settings.run_command is not None or bool(declared)
    if isinstance(found.work, maven.Project):
        plan = _with_maven(files, settings, found.work, launched, member)
    else:
        plan = _with_gradle(files, settings, found.work, launched, member)
    settings = health.answering(
        settings, lambda: jvmhealth.path(member.root if member else files, found.work, launched)
    )
    runtime = jvm.runtime_image(settings, plan.java)
    # A command that names what the build wrote needs no copy of it.
    kind = None if launched is None or _names_output(start.command) else launched.kind
    text = base.dockerfile(
        f"{found.tool}.Dockerfile.j2",
        settings=settings,
        command=start.command,
        values={
            **plan.values,
            "builder": plan.builder,
            "runtime": runtime,
            "mounts": plan.mounts,
            "manifests": plan.manifests,
            "kind": kind.value if kind else None,
            "beside": kind is not None and launched is not None and launched.beside,
            "script": launched.script if launched else None,
            "whole": own,
            "home": f"/app/{member.path}" if member else "/app",
            "tool_options": jvm.TOOL_OPTIONS,
            "title": base.title(plan.title),
        },
        asks=(found.tool,),
    )
    return base.generated(
        files,
        settings,
        detection,
        version=plan.java,
        package_manager=detection.package_manager or found.tool,
        dockerfile=text,
        start=start,
        cache=plan.mounts,
        ignored=_WRITTEN[found.tool] if member else plan.outputs,
        warnings=plan.warnings,
        place=member.place(path for _, paths in plan.manifests for path in paths) if member else None,
    )


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a build tool adds to the template's values."""

    java: Version
    warnings: tuple[str, ...]
    builder: str
    mounts: tuple[CacheMount, ...]
    manifests: tuple[tuple[str, tuple[str, ...]], ...]
    outputs: tuple[str, ...]
    title: str | None
    values: dict[str, object]


def _started(launched: Launch | None, member: Member | None) -> str:
    """The directory of the module that is built."""
    return member.path if member else launched.directory if launched else ""


def _told(files: AppFiles, member: Member | None) -> AppFiles:
    """Where files that state a version are looked for: beside the module, else beside the project."""
    return files if member is None or files.first(*_STATING) else member.root


def _with_maven(
    files: AppFiles, settings: Settings, project: maven.Project, launched: Launch | None, member: Member | None
) -> _Plan:
    directory = _started(launched, member)
    module = next((each for each in project.modules if each.directory == directory), project.root)
    java, warnings = jvm.java_version(
        _told(files, member), settings, maven.java_release(module), maven.implied_release(module)
    )
    part = ("-pl", module.directory, "-am") if module.directory else ()
    mounts = [base.cache(settings, "maven", "/root/.m2/repository")]
    if project.wrapped:
        mounts.append(base.cache(settings, "maven-wrapper", "/root/.m2/wrapper"))
    # Where there are no sources, it would look for a main class and fail; what it needs is fetched all the same.
    plain = (_NOT_REPACKAGED,) if maven.repackages(project) else ()
    copied: tuple[str, ...] = ()
    if launched and launched.beside:
        copied = (f"{_DEPENDENCY}:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=/out/lib")
        copied += ("-Dmdep.prependGroupId=true",)
    outputs = tuple(f"{each.directory}/target" if each.directory else "target" for each in project.modules)
    return _Plan(
        java=java,
        warnings=warnings,
        builder=base.image(settings, "maven", f"3-eclipse-temurin-{java.value}"),
        mounts=tuple(mounts),
        manifests=maven.manifests(member.root if member else files, project),
        outputs=outputs,
        title=module.pom.artifact,
        values={
            "mvn": "sh ./mvnw" if project.wrapped else "mvn",
            "stamp": _stamp(settings),
            # What all modules need is the same for all apps.
            "fetched": (*plain, *(() if member else part), "package"),
            "goals": (*part, "package"),
            "copied": copied,
            # A neighbour's jar is found only where it was made in the same run.
            "again": (*part, "package") if part else (),
            "outputs": outputs,
            "output": f"{module.directory}/target" if module.directory else "target",
            "neighbours": "target" if project.reactor else None,
        },
    )


def _stamp(settings: Settings) -> str | None:
    """The time of all files in jars, as Maven takes it: only those that zip can tell."""
    said = settings.arguments.get(EPOCH, "")
    if not _SECONDS.fullmatch(said):
        return None
    time = dt.datetime.fromtimestamp(min(max(int(said), _OLDEST), _YOUNGEST), dt.UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_gradle(
    files: AppFiles, settings: Settings, build_: gradle.Build, launched: Launch | None, member: Member | None
) -> _Plan:
    directory, root = _started(launched, member), member.root if member else files
    project = next((each for each in build_.projects if each.directory == directory), build_.root)
    java, warnings = jvm.java_version(_told(files, member), settings, gradle.java_release(root, build_, project))
    mount = base.cache(settings, "gradle", "/var/cache/gradle")
    path = project.path.replace("/", ":")
    return _Plan(
        java=java,
        warnings=(*warnings, *gradle.doubts(files)),
        builder=base.image(settings, "gradle", f"jdk{java.value}"),
        # Gradle asks the owner of a lock for it through a port of localhost, which is another one in each step.
        mounts=(msgspec.structs.replace(mount, sharing="locked"),),
        manifests=gradle.manifests(root, build_),
        outputs=gradle.outputs(build_),
        title=project.name,
        values={
            "gradle": "sh ./gradlew" if build_.wrapped else "gradle",
            "task": gradle.task(project, launched) if launched else f":{path}:assemble" if path else "assemble",
            "project": f":{path}" if path else "",
            "output": f"{project.directory}/build" if project.directory else "build",
            "neighbours": "build/libs" if len(build_.projects) > 1 else None,
        },
    )


def _starts_it(command: str) -> bool:
    """Whether a command starts a JVM, or something that lies where the build writes."""
    return commands.program(command) in PROGRAMS or _names_output(command)


def _names_output(command: str) -> bool:
    return "target/" in command or "build/" in command


def _target(settings: Settings, declared: tuple[Process, ...], found: Found) -> Launch | None:
    """What is built to be started; None when the start command is somebody's own and names none of it.

    Raises:
        LangError: several can be started and nothing says which, or there is none and no command.
    """
    web = next((process.command for process in declared if process.name == base.WEB), None)
    said = settings.run_command or web
    if len(found.launches) == 1:
        return found.launches[0]
    named = [each for each in found.launches if said and each.directory and f"{each.directory}/" in said]
    if len(named) == 1:
        return named[0]
    if said:
        return None
    if not found.launches:
        archive = isinstance(found.work, maven.Project) and found.work.root.pom.packaging == "war"
        archive = archive or (isinstance(found.work, gradle.Build) and "war" in found.work.root.plugins)
        if archive:
            raise base.unsupported("an archive for a servlet container (WAR)", found.file)
        raise LangError(
            "no main class was found",
            file=found.file,
            hint=f"Name it where the build packs the jar, or set {base.RUN_SETTING}.",
        )
    modules = ", ".join(each.directory or "." for each in found.launches)
    raise LangError(
        f"several modules can be started: {modules[:200]}",
        file=found.file,
        hint=f"Set {base.RUN_SETTING} to a command with the path of one: `java -jar NAME/target/NAME.jar`.",
    )
